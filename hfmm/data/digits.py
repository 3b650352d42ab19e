"""Digits: scikit-learn's 1,797 handwritten digits (Alpaydin and Kaynak, UCI 1998), real pictures without a download."""

from functools import lru_cache
from hashlib import blake2b
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hfmm.data.examples import Example, Examples
from hfmm.errors import UsageError, unknown

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPLITS = {"train": range(1200), "validation": range(1200, 1497), "test": range(1497, 1797)}  # after the shuffle
ENLARGED = 4  # times; the pictures are stored as 8 x 8


@lru_cache(maxsize=1)
def _source() -> tuple[NDArray[np.uint8], tuple[int, ...]]:
    """(1797, 8, 8) grey levels as bytes, and the labels, both shuffled for ever alike.

    Level v of the source's 0 to 16 becomes the nearest byte to 255 v / 16, from which v can be had back.
    """
    if find_spec("sklearn") is None:
        raise UsageError("the digits come with scikit-learn, which is not installed: pip install 'hfmm[eval]'")
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = sorted(range(len(digits.target)), key=lambda row: blake2b(f"digit {row}".encode()).digest())
    levels = np.rint(digits.images[order] * (255 / 16)).astype(np.uint8)  # 1797 8 8
    return levels, tuple(int(label) for label in digits.target[order])


class Digits(Examples):
    """Handwritten digits: `image` (RGB, 32 x 32, each stored pixel a square of 4 x 4), `label`, `captions`.

    Args:
        split: `train` (1,200), `validation` (297) or `test` (300).

    Raises:
        UsageError: No such split, or scikit-learn is not installed.
    """

    features = {"image": "image", "label": "label", "captions": "texts"}
    label_names = NAMES

    def __init__(self, split: str = "train") -> None:
        if split not in SPLITS:
            raise unknown("split of digits", split, SPLITS)
        _source()
        self.name, self.split = "digits", split

    def __len__(self) -> int:
        return len(SPLITS[self.split])

    def read(self, row: int) -> Example:
        """The digit of a row."""
        levels, labels = _source()
        place = SPLITS[self.split][row]
        enlarged = levels[place].repeat(ENLARGED, 0).repeat(ENLARGED, 1)  # 32 32
        return {
            "id": f"digits-{self.split}-{row}",
            "image": Image.fromarray(enlarged).convert("RGB"),
            "label": labels[place],
            "captions": [f"a handwritten {NAMES[labels[place]]}"],
        }
