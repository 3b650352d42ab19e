"""Pictures of scenes: anti-aliased sprites, cached by shape, diameter, angle and picture size, on ready backgrounds.

Only the box of an object is blended, by Pillow, in whole numbers: the same scene gives the same bytes in any process.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hfmm.data.scenes.grammar import SHAPES
from hfmm.data.scenes.world import TEXTURES, UNITS, Body, Scene

BACKGROUND_COLORS = (
    (194, 204, 218),
    (200, 214, 192),
    (218, 202, 190),
    (212, 196, 214),
    (188, 212, 208),
    (204, 204, 204),
)
FARTHEST = 1.0  # depth of the background
_SMOOTHING = 8  # sub-pixels a pixel and side

Points = list[tuple[float, float]]


class Sprite(NamedTuple):
    """An object's silhouette, cut to its box.

    Attributes:
        alpha: Coverage of each pixel, mode L.
        corner: Column and row of its first pixel, seen from the center.
        solid: (h, w) bool, the pixels inside `box` that are at least half covered.
        box: Tight around those, seen from the center: x0, y0, x1, y1; x1 and y1 are one past the last pixel.
    """

    alpha: Image.Image
    corner: tuple[int, int]
    solid: NDArray[np.bool_]
    box: tuple[int, int, int, int]


class Placed(NamedTuple):
    """A sprite and the pixel corner (x, y) that its center falls on."""

    sprite: Sprite
    x: int
    y: int


def _star() -> Points:
    radii = [1.0 if corner % 2 == 0 else 0.42 for corner in range(10)]
    return [(r * math.sin(math.pi * corner / 5), -r * math.cos(math.pi * corner / 5)) for corner, r in enumerate(radii)]


def _heart() -> Points:
    turns = [2 * math.pi * step / 48 for step in range(48)]
    heights = [13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t) for t in turns]
    return [(16 * math.sin(t) ** 3 / 17, -(height + 2.5) / 17) for t, height in zip(turns, heights, strict=True)]


_A, _B = 0.32, 0.94  # half the width and half the length of a cross's arms
# Inside the square of half side 1 whatever the angle (12 degrees at most); y points down.
OUTLINES: dict[str, Points] = {
    "square": [(-0.82, -0.82), (0.82, -0.82), (0.82, 0.82), (-0.82, 0.82)],
    "triangle": [(0, -0.92), (0.9, 0.72), (-0.9, 0.72)],
    "star": _star(),
    "cross": [
        (-_A, -_B), (_A, -_B), (_A, -_A), (_B, -_A), (_B, _A), (_A, _A),
        (_A, _B), (-_A, _B), (-_A, _A), (-_B, _A), (-_B, -_A), (-_A, -_A),
    ],
    "diamond": [(0, -1), (0.74, 0), (0, 1), (-0.74, 0)],
    "heart": _heart(),
}  # fmt: skip
RING_HOLE = 0.55  # of the radius
REACHES = {shape: max(math.hypot(*corner) for corner in outline) for shape, outline in OUTLINES.items()}  # of radii


def draw_silhouette(
    canvas: ImageDraw.ImageDraw,
    shape: str,
    center: tuple[float, float],
    radius: float,
    angle: float,
    fill: int | tuple[int, int, int],
) -> None:
    """Draw a shape, without anti-aliasing; the hole of a ring is not cut out."""
    x, y = center
    if shape in ("circle", "ring"):
        canvas.ellipse([x - radius, y - radius, x + radius, y + radius], fill=fill)
        return
    cosine, sine = radius * math.cos(math.radians(angle)), radius * math.sin(math.radians(angle))
    canvas.polygon([(x + u * cosine - v * sine, y + u * sine + v * cosine) for u, v in OUTLINES[shape]], fill=fill)


@lru_cache(maxsize=2048)
def sprite(shape: int, diameter: float, angle: int, picture_size: int) -> Sprite:
    """The silhouette of a shape of a diameter (in units) and an angle (degrees), for pictures of a size in pixels."""
    radius = diameter * picture_size / UNITS / 2
    half = math.ceil(radius * max(REACHES.values())) + 1
    middle = half * _SMOOTHING
    fine = Image.new("L", (2 * middle, 2 * middle), 0)
    canvas = ImageDraw.Draw(fine)
    draw_silhouette(canvas, SHAPES[shape], (middle, middle), radius * _SMOOTHING, angle, 255)
    if SHAPES[shape] == "ring":
        draw_silhouette(canvas, "circle", (middle, middle), RING_HOLE * radius * _SMOOTHING, 0, 0)
    coverage = fine.reduce(_SMOOTHING)
    solid = np.asarray(coverage) >= 128  # 2 half, 2 half
    left, top, right, bottom = _extent(np.asarray(coverage) > 0)
    x0, y0, x1, y1 = _extent(solid)
    return Sprite(
        coverage.crop((left, top, right, bottom)),
        (left - half, top - half),
        np.ascontiguousarray(solid[y0:y1, x0:x1]),
        (x0 - half, y0 - half, x1 - half, y1 - half),
    )


def _extent(covered: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Tight box x0, y0, x1, y1 of what is True; x1 and y1 are one past the last."""
    columns, rows = np.flatnonzero(covered.any(0)), np.flatnonzero(covered.any(1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@lru_cache(maxsize=128)
def background(color: int, texture: int, variant: int, picture_size: int) -> Image.Image:
    """A pale picture without objects; not to be changed by the caller."""
    plain = np.array(BACKGROUND_COLORS[color], np.float64)
    relief = np.zeros((picture_size, picture_size)) if texture == 0 else _relief(texture, variant, picture_size)
    pixels = np.rint(plain + relief[:, :, None]).clip(0, 255).astype(np.uint8)  # S S 3
    return Image.fromarray(pixels)


def _relief(texture: int, variant: int, picture_size: int) -> NDArray[np.float64]:
    """Levels to add to a plain color, (S, S), some ten at most."""
    random = np.random.default_rng((texture, variant))
    y, x = np.mgrid[0:picture_size, 0:picture_size] * (UNITS / picture_size)  # S S each, in units
    turn = random.uniform(0, math.pi)
    along = x * math.cos(turn) + y * math.sin(turn)
    if TEXTURES[texture - 1] == "stripes":
        return 8 * np.sin(along * random.uniform(0.4, 0.9))
    if TEXTURES[texture - 1] == "dots":
        pitch = random.uniform(6, 10)
        return 8 * ((np.hypot(x % pitch - pitch / 2, y % pitch - pitch / 2) < pitch / 4) - 0.2)
    if TEXTURES[texture - 1] == "noise":
        return random.normal(0, 4, (picture_size, picture_size)).clip(-10, 10)
    return 10 * (along - along.mean()) / np.abs(along - along.mean()).max()


def place(scene: Scene, picture_size: int) -> list[Placed]:
    """The sprite of each body and where it goes."""
    return [_place(body, picture_size) for body in scene.bodies]


def _place(body: Body, picture_size: int) -> Placed:
    silhouette = sprite(body.shape, body.diameter, body.angle, picture_size)
    if picture_size == UNITS:
        return Placed(silhouette, body.x, body.y)
    return Placed(silhouette, *pixel_of(body.x, body.y, body.diameter, picture_size))


def pixel_of(x: float, y: float, diameter: float, picture_size: int) -> tuple[int, int]:
    """The pixel corner nearest to a point (in units) that keeps a diameter around it inside the picture."""
    margin = math.ceil(diameter * picture_size / UNITS / 2)
    column, row = (min(max(round(at * picture_size / UNITS), margin), picture_size - margin) for at in (x, y))
    return column, row


def back_to_front(scene: Scene) -> list[int]:
    """Positions of the bodies in drawing order: the smaller, the farther; equal ones in reading order."""
    return sorted(range(len(scene.bodies)), key=lambda position: scene.bodies[position].diameter)


def picture(scene: Scene, placed: Sequence[Placed], order: Sequence[int], picture_size: int) -> Image.Image:
    """The scene as an RGB picture."""
    image = background(*scene.background, picture_size).copy()
    for position in order:
        silhouette, x, y = placed[position]
        left, top = silhouette.corner
        image.paste(scene.bodies[position].rgb, (x + left, y + top), silhouette.alpha)
    return image


def instance_mask(placed: Sequence[Placed], order: Sequence[int], picture_size: int) -> NDArray[np.uint8]:
    """(S, S), 0 background, k where the k-th body is what one sees."""
    mask = np.zeros((picture_size, picture_size), np.uint8)
    for position in order:
        silhouette, x, y = placed[position]
        x0, y0, x1, y1 = silhouette.box
        mask[y + y0 : y + y1, x + x0 : x + x1][silhouette.solid] = position + 1
    return mask


def visible_boxes(mask: NDArray[np.uint8], count: int) -> list[list[int]]:
    """Tight box of each body in a mask where one may hide a part of another."""
    return [list(_extent(mask == number)) for number in range(1, count + 1)]


def boxes(placed: Sequence[Placed]) -> list[list[int]]:
    """Tight box [x0, y0, x1, y1] in pixels of each body that nothing hides; x1 and y1 are one past the last pixel."""
    return [
        [x + silhouette.box[0], y + silhouette.box[1], x + silhouette.box[2], y + silhouette.box[3]]
        for silhouette, x, y in placed
    ]


def depth_of(body: Body) -> float:
    """Depth of a body: all are equally large in the world, so the apparent size falls with distance; 0.43 to 0.9."""
    return 0.9 * 12 / body.diameter
