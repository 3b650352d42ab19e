"""The world of scenes: what stands where, as numbers. Drawing it is `render`, saying it is `grammar`.

Lengths and positions are in units of 1/64 of the picture, whatever its size in pixels, so that one scene can be drawn
at any size. Every scene is a pure function of (seed, split, index) and of the settings.

Splits are disjoint by construction: the numbers of a scene add up to its split's number modulo 4 (`signature`), which
the brightness of one color channel, drawn in steps of 4, is chosen to satisfy.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import product
from random import Random
from typing import NamedTuple

from hfmm.data.scenes.grammar import COLORS, SHAPES

UNITS = 64  # of the picture's side
PALETTE = {
    "red": (214, 39, 40),
    "green": (44, 160, 44),
    "blue": (40, 80, 210),
    "yellow": (240, 215, 30),
    "purple": (130, 50, 160),
    "orange": (245, 130, 25),
    "black": (20, 20, 20),
    "white": (250, 250, 250),
}
JITTER = 20  # levels of 255, 8 %
SMALL_DIAMETERS = (12, 13, 14)  # 18.75 to 21.9 % of the picture
LARGE_DIAMETERS = (21, 22, 23, 24, 25)  # 32.8 to 39.1 %
ANGLES = tuple(range(-12, 13, 3))  # degrees, clockwise; circles and rings have none
MAX_OBJECTS = 4
TEXTURES = ("stripes", "dots", "noise", "gradient")
NUM_BACKGROUND_COLORS = 6
NUM_VARIANTS = 3  # of each texture

SPLITS = ("train", "validation", "test", "test_heldout")
HELD_OUT = (("star", "purple"), ("heart", "green"), ("cross", "orange"), ("ring", "yellow"))  # only in test_heldout
_HELD_PAIRS = tuple((SHAPES.index(shape), COLORS.index(color)) for shape, color in HELD_OUT)
_SEEN_PAIRS = tuple(pair for pair in product(range(len(SHAPES)), range(len(COLORS))) if pair not in _HELD_PAIRS)

_WANDER = 3  # how far a center may be from that of its cell, before it is kept inside the picture
_GAP = 2  # between the boxes of two objects, so that they stay apart after rounding to the pixels of a 32 x 32 picture
_TRIES = 6  # positions tried for a size
_LAYOUTS = 4  # arrangements tried before every object is small and in the middle of its cell
_RANGES = tuple(
    tuple((max(0, level - JITTER), min(255, level + JITTER)) for level in PALETTE[color]) for color in COLORS
)  # of each channel of each color

_STREAMS = ("world", "words", "questions")

Draw = Callable[[], float]  # uniform in [0, 1)


class Body(NamedTuple):
    """One object: `shape` and `color` are positions in SHAPES and COLORS; center (x, y) and diameter are in units."""

    shape: int
    color: int
    row: int
    column: int
    diameter: int
    x: int
    y: int
    angle: int
    rgb: tuple[int, int, int]

    @property
    def is_large(self) -> bool:
        """Whether its size is `large`."""
        return self.diameter >= LARGE_DIAMETERS[0]

    @property
    def kind(self) -> tuple[int, ...]:
        """What words can say of it: shape, color, whether it is large, row and column."""
        return (self.shape, self.color, int(self.is_large), self.row, self.column)


class Scene(NamedTuple):
    """A scene: bodies in reading order (row, then column), and (color, texture, variant) of the background.

    Texture 0 is plain; texture k is TEXTURES[k - 1].
    """

    bodies: tuple[Body, ...]
    background: tuple[int, int, int]


class Settings(NamedTuple):
    """What scenes to draw.

    Attributes:
        split: One of SPLITS; `test_heldout` puts a held-out combination into every scene.
        weights: Relative frequency of 1, 2, ... objects.
        overlap: Objects may overlap.
    """

    split: str
    weights: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1)
    overlap: bool = False


def key_of(seed: int, split: str, index: int) -> bytes:
    """What every choice about an example starts from."""
    return blake2b(f"{seed}/{split}/{index}".encode(), digest_size=8 * len(_STREAMS)).digest()


def stream(key: bytes, purpose: str) -> Draw:
    """A source of uniform numbers for the `world`, the `words` or the `questions` of an example, each independent."""
    start = 8 * _STREAMS.index(purpose)
    return Random(int.from_bytes(key[start : start + 8], "little")).random


def signature(scene: Scene) -> int:
    """The number of the only split that may hold the scene (its position in SPLITS)."""
    return (sum(scene.background) + sum(sum(body[:-1]) + sum(body.rgb) for body in scene.bodies)) % len(SPLITS)


def sample(settings: Settings, draw: Draw, fewest: int = 1, most: int = MAX_OBJECTS) -> Scene:
    """Draw a scene.

    Args:
        settings: Of the data set.
        draw: Source of uniform numbers.
        fewest: Least number of objects, for questions that need several; the weights of fewer are left out.
        most: Greatest number, likewise.
    """
    count = _count(settings.weights, draw, fewest, most)
    pairs = _pairs(settings.split, count, draw)
    cells = _some_cells(count, draw)
    circles = _layout(cells, settings.overlap, draw)
    bodies = []
    for (shape, color), (row, column), (x, y, diameter) in sorted(
        zip(pairs, cells, circles, strict=True), key=lambda parts: parts[1]
    ):
        angle = 0 if SHAPES[shape] in ("circle", "ring") else ANGLES[int(draw() * len(ANGLES))]
        red, green, blue = (low + int(draw() * (high - low + 1)) for low, high in _RANGES[color])
        bodies.append(Body(shape, color, row, column, diameter, x, y, angle, (red, green, blue)))
    texture = max(0, int(draw() * (len(TEXTURES) + 2)) - 1)  # a third are plain
    variant = int(draw() * NUM_VARIANTS) if texture else 0
    scene = Scene(tuple(bodies), (int(draw() * NUM_BACKGROUND_COLORS), texture, variant))
    return _signed(scene, SPLITS.index(settings.split))


def _signed(scene: Scene, number: int) -> Scene:
    """The scene with the first object's red level moved, inside its range, so that the signature is `number`."""
    first = scene.bodies[0]
    low, high = _RANGES[first.color][0]
    red, green, blue = first.rgb
    red = min(low + (red - low) // 4 * 4, high - 3)
    red += (number - signature(scene) + first.rgb[0] - red) % len(SPLITS)
    return Scene((first._replace(rgb=(red, green, blue)), *scene.bodies[1:]), scene.background)


def _count(weights: Sequence[float], draw: Draw, fewest: int, most: int) -> int:
    allowed = [(count, weight) for count, weight in enumerate(weights, 1) if fewest <= count <= most]
    rest = draw() * sum(weight for _, weight in allowed)
    for count, weight in allowed:
        rest -= weight
        if rest < 0:
            return count
    return max(count for count, weight in allowed if weight > 0)  # where rounding left a rest of zero


def _pairs(split: str, count: int, draw: Draw) -> list[tuple[int, int]]:
    """Different (shape, color) pairs; the first is held out in `test_heldout`, all others are seen ones."""
    pairs = [_HELD_PAIRS[int(draw() * len(_HELD_PAIRS))]] if split == "test_heldout" else []
    while len(pairs) < count:
        pair = _SEEN_PAIRS[int(draw() * len(_SEEN_PAIRS))]
        if pair not in pairs:
            pairs.append(pair)
    return pairs


def _some_cells(count: int, draw: Draw) -> list[tuple[int, int]]:
    """Different cells, (row, column)."""
    rest = list(range(9))
    return [divmod(rest.pop(int(draw() * len(rest))), 3) for _ in range(count)]


def _layout(cells: Sequence[tuple[int, int]], overlap: bool, draw: Draw) -> list[tuple[int, int, int]]:
    """(x, y, diameter) of an object in each cell; a large object that does not fit becomes small."""
    for _ in range(_LAYOUTS):
        placed: list[tuple[int, int, int]] = []
        for cell in cells:
            wanted = (LARGE_DIAMETERS, SMALL_DIAMETERS) if draw() < 0.5 else (SMALL_DIAMETERS,)
            circle = _fit(cell, wanted, () if overlap else placed, draw)
            if circle is None:
                break
            placed.append(circle)
        else:
            return placed
    return [(_middle(column), _middle(row), SMALL_DIAMETERS[0]) for row, column in cells]


def _fit(
    cell: tuple[int, int], wanted: Sequence[Sequence[int]], placed: Sequence[tuple[int, int, int]], draw: Draw
) -> tuple[int, int, int] | None:
    """A place near the middle of the cell, inside the picture and clear of what is placed; None where there is none."""
    row, column = cell
    for diameters in wanted:
        for _ in range(_TRIES):
            diameter = diameters[int(draw() * len(diameters))]
            x, y = _near(column, diameter, draw), _near(row, diameter, draw)
            if all(2 * max(abs(x - u), abs(y - v)) >= diameter + other + 2 * _GAP for u, v, other in placed):
                return x, y, diameter
    return None


def _near(cell: int, diameter: int, draw: Draw) -> int:
    """A coordinate near the middle of a row or column that keeps the diameter inside the picture."""
    radius = (diameter + 1) // 2
    wandered = _middle(cell) + int(draw() * (2 * _WANDER + 1)) - _WANDER
    return min(max(wandered, radius), UNITS - radius)


def _middle(cell: int) -> int:
    return (11, 32, 53)[cell]
