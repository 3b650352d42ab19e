"""Pictures of what an example holds: boxes and masks drawn over, strips of frames, flow as color, sound as a wave."""

from collections.abc import Sequence
from colorsys import hsv_to_rgb
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hfmm.explanation.drawing import INK, PAPER

Color = tuple[int, int, int]

ACCENT, EDGE, IGNORED = (37, 99, 235), (216, 219, 224), (128, 128, 128)
IGNORE_INDEX = 255
FRAMES = 8  # of a clip, at most
LARGEST_FRAME = 128  # pixels across
_GAP = 5  # pixels between frames, at least


def color_of(number: int) -> Color:
    """A color for a class or an object; those of small numbers differ most."""
    if number == IGNORE_INDEX:
        return IGNORED
    red, green, blue = hsv_to_rgb(number * 0.618034 % 1, 0.85, 0.9 if number % 2 else 0.75)
    return round(255 * red), round(255 * green), round(255 * blue)


def enlarged(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The picture scaled to fit into width by height pixels; pixels of tiny pictures stay squares."""
    scale = min(width / picture.width, height / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    method = Image.Resampling.NEAREST if scale >= 3 else Image.Resampling.LANCZOS
    return picture.convert("RGB").resize(size, method)


def with_boxes(picture: Image.Image, boxes: Sequence[Sequence[float]], colors: Sequence[Color]) -> Image.Image:
    """Draw frames with a dark rim over a copy of the picture.

    Args:
        picture: RGB.
        boxes: [x0, y0, x1, y1] each, as fractions of the picture's sides.
        colors: One a box.
    """
    drawn = picture.copy()
    draw = ImageDraw.Draw(drawn)
    width, height = picture.size
    for (x0, y0, x1, y1), color in zip(boxes, colors, strict=True):
        left, right = sorted(min(max(round(x * width), 0), width - 1) for x in (x0, x1))
        top, bottom = sorted(min(max(round(y * height), 0), height - 1) for y in (y0, y1))
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=INK, width=4)
        draw.rectangle((left, top, right, bottom), outline=color, width=2)
    return drawn


def with_mask(picture: Image.Image, mask: NDArray[Any], hidden: int | None) -> Image.Image:
    """Tint each class of a mask.

    Args:
        picture: RGB.
        mask: (H, W) class indices, of any size.
        hidden: The class that is not tinted, None to tint all.
    """
    classes, places = np.unique(mask, return_inverse=True)  # K, and H W of 0..K-1
    tints = np.array([color_of(int(number)) for number in classes], np.uint8)  # K 3
    strengths = np.array([0 if number == hidden else 190 for number in classes], np.uint8)  # K
    places = places.reshape(mask.shape)
    tinted = Image.fromarray(tints[places]).resize(picture.size, Image.Resampling.NEAREST)
    strength = Image.fromarray(strengths[places]).resize(picture.size, Image.Resampling.NEAREST)
    return Image.composite(tinted, picture, strength)


def strip(frames: Sequence[Image.Image], width: int) -> Image.Image:
    """At most FRAMES frames, evenly spaced in time, beside each other in `width` pixels."""
    count = min(FRAMES, len(frames))
    chosen = [frames[round(index)] for index in np.linspace(0, len(frames) - 1, count)]
    side = min((width - (count - 1) * _GAP) // count, LARGEST_FRAME)
    drawn = [enlarged(frame, side, 4 * side) for frame in chosen]
    full = width if side < LARGEST_FRAME else count * side + (count - 1) * _GAP
    sheet = Image.new("RGB", (full, max(frame.height for frame in drawn)), PAPER)
    for index, frame in enumerate(drawn):
        ImageDraw.Draw(frame).rectangle((0, 0, frame.width - 1, frame.height - 1), outline=EDGE)
        sheet.paste(frame, (round(index * (full - side) / max(count - 1, 1)), 0))
    return sheet


def flow_pictures(flow: NDArray[Any]) -> list[Image.Image]:
    """Optical flow as color: the hue is the direction (right red, down green, left cyan, up violet), white is rest.

    Args:
        flow: (T, H, W, 2), pixels to the right and down. The fastest pixel of all frames is saturated.
    """
    speed = np.linalg.norm(flow, axis=-1)  # T H W
    angle = np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi) % 1  # T H W
    saturation = speed / max(float(speed.max(initial=0)), 1e-6)
    levels = np.stack([angle, saturation, np.ones_like(angle)], -1)  # T H W 3
    bytes_of = np.rint(255 * levels).astype(np.uint8)
    return [Image.fromarray(frame, "HSV").convert("RGB") for frame in bytes_of]


def waveform(samples: NDArray[Any], width: int, height: int = 72) -> Image.Image:
    """The lowest and highest sample of each moment, the loudest of all touching the edge.

    Args:
        samples: (N,), or (N, channels), of which the first is drawn; N > 0.
        width: Pixels.
        height: Pixels.
    """
    sound = np.asarray(samples, np.float64).reshape(len(samples), -1)[:, 0]  # N
    peak = max(float(np.abs(sound).max(initial=0)), 1e-9)
    picture = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(picture)
    middle = (height - 1) / 2
    draw.line((0, middle, width, middle), fill=EDGE)
    starts = np.linspace(0, len(sound), width, endpoint=False).astype(int)
    for column, (start, end) in enumerate(pairwise([*starts, len(sound)])):
        moment = sound[start : max(end, start + 1)]
        low, high = middle * (1 - moment.max() / peak), middle * (1 - moment.min() / peak)
        draw.line((column, low, column, high), fill=ACCENT)
    return picture
