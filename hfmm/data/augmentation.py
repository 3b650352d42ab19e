"""Changes of a training example that leave its meaning as it is, drawn anew at each visit.

They act on the picture and on what is told of its places: `mask` and `objects` move with it. Words do not: a caption
that says "left" does not survive a flip.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

from hfmm.data.examples import Example
from hfmm.errors import UsageError

Boxes = np.ndarray  # (N, 4): x0, y0, x1, y1 in pixels


@dataclass(frozen=True)
class Augmentation:
    """What may change.

    Attributes:
        flip: Left and right, every other time.
        turn: By 0, 90, 180 or 270 degrees; for pictures without an up.
        shift: At most so large a part of the sides, in both directions; what comes in is the mirrored edge (the edge's
            last pixel where there are objects, none of which may appear twice).
        light: Brightness and contrast are multiplied by up to 1 +- this.
        erase: A square of so large a part of the shorter side, anywhere, becomes the picture's mean color (Cutout,
            arXiv 1708.04552).
    """

    flip: bool = False
    turn: bool = False
    shift: float = 0.0
    light: float = 0.0
    erase: float = 0.0

    def __post_init__(self) -> None:
        for name in ("shift", "light", "erase"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"data.augmentation.{name} is {getattr(self, name)}: a part from 0 to 1 is needed")

    def __call__(self, example: Example, random: Random) -> Example:
        """A changed copy of an example; one without a picture comes back as it is."""
        if example.get("image") is None:
            return example
        pixels = np.asarray(example["image"].convert("RGB"))  # H W 3
        changed = {**example}
        objects: Sequence[dict[str, Any]] = example.get("objects") or ()
        boxes = np.array([thing["box"] for thing in objects], dtype=np.float64).reshape(-1, 4)
        mask = example.get("mask")
        for change in self._changes(random, pixels.shape[:2], "edge" if objects else "reflect"):
            pixels, boxes = change(pixels, boxes)
            mask = None if mask is None else change(np.asarray(mask), boxes)[0]
        if mask is not None:
            changed["mask"] = np.ascontiguousarray(mask)  # H W
        if objects:
            moved = [{**thing, "box": box.tolist()} for thing, box in zip(objects, boxes, strict=True)]
            changed["objects"] = [thing for thing in moved if _has_inside(thing["box"])]
        changed["image"] = self._lit(Image.fromarray(np.ascontiguousarray(pixels)), random)
        return changed

    def _changes(self, random: Random, size: tuple[int, ...], fill: str) -> list["Change"]:
        """The moves of one visit, in order."""
        changes: list[Change] = []
        if self.flip and random.random() < 0.5:
            changes.append(_flipped)
        if self.turn:
            changes += [_turned] * random.randrange(4)
        if self.shift:
            most = round(self.shift * min(size))
            down, right = random.randint(-most, most), random.randint(-most, most)
            changes.append(lambda array, boxes: _shifted(array, boxes, down, right, fill))
        return changes

    def _lit(self, picture: Image.Image, random: Random) -> Image.Image:
        """Brightness and contrast changed, and a square erased."""
        if self.light:
            for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast):
                picture = kind(picture).enhance(1 + random.uniform(-self.light, self.light))
        if self.erase:
            side = max(1, round(self.erase * min(picture.size)))
            left, top = (random.randint(-(side // 2), edge - (side + 1) // 2) for edge in picture.size)
            mean = tuple(int(value) for value in np.asarray(picture).mean((0, 1)))
            picture.paste(mean, (left, top, left + side, top + side))
        return picture


Change = Callable[[np.ndarray, Boxes], tuple[np.ndarray, Boxes]]


def _flipped(array: np.ndarray, boxes: Boxes) -> tuple[np.ndarray, Boxes]:
    width = array.shape[1]
    x0, y0, x1, y1 = boxes.T
    return array[:, ::-1], np.stack([width - x1, y0, width - x0, y1], 1)  # N 4


def _turned(array: np.ndarray, boxes: Boxes) -> tuple[np.ndarray, Boxes]:
    """By 90 degrees, against the clock."""
    width = array.shape[1]
    x0, y0, x1, y1 = boxes.T
    return np.rot90(array), np.stack([y0, width - x1, y1, width - x0], 1)  # N 4


def _shifted(array: np.ndarray, boxes: Boxes, down: int, right: int, fill: Any) -> tuple[np.ndarray, Boxes]:
    height, width = array.shape[:2]
    widths = [(max(down, 0), max(-down, 0)), (max(right, 0), max(-right, 0))] + [(0, 0)] * (array.ndim - 2)
    top, left = max(-down, 0), max(-right, 0)
    moved = np.pad(array, widths, mode=fill)[top : top + height, left : left + width]
    return moved, np.clip(boxes + np.array([right, down, right, down]), 0, [width, height, width, height])


def _has_inside(box: Sequence[float]) -> bool:
    return box[2] > box[0] and box[3] > box[1]
