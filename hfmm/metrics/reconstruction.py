"""How close pictures come to others: PSNR, and the structural similarity of Wang, Bovik, Sheikh and Simoncelli (2004).

Both are of pictures of 8 bits, and are means over pictures. The similarity's constants and window are the paper's:
K1 = 0.01, K2 = 0.03, L = 255, a Gaussian of 11 x 11 pixels with deviation 1.5, only where it lies inside the picture.
"""

from collections.abc import Sequence
from math import fsum, inf, log10
from typing import Any

import datasets
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hfmm.errors import DataError, UsageError, unknown

from .base import InMemoryMetric

Pixels = NDArray[np.float64]
PEAK = 255
WINDOW, DEVIATION = 11, 1.5
C1, C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
CHANNELS = ("all", "luminance")
INPUTS = """
Args:
    predictions: pictures of 8 bits, (height, width) or (height, width, channels), arrays, lists or Pillow's
    references: the pictures they should be, of the same sizes
    channel: "all" (the default), or "luminance", BT.601 from 16 to 235, of RGB
    border: pixels that do not count at each side, 0 by default
Returns:
    psnr in decibels (infinite where a picture is equal to its reference) and ssim
"""


class Reconstruction(InMemoryMetric):
    """Peak signal-to-noise ratio (`psnr`) and structural similarity (`ssim`), means over pictures."""

    keys = ("psnr", "ssim")
    options = ("channel", "border")
    of_captions = False
    citation_text = "Wang et al., Image quality assessment, IEEE Transactions on Image Processing 13(4), 2004"
    inputs_text = INPUTS

    def _features(self) -> list[datasets.Features]:
        rows = datasets.Sequence(datasets.Sequence(datasets.Value("uint8")))
        return [datasets.Features({"predictions": rows, "references": rows})]

    def _check_predictions(self, predictions: list[Any], first: int) -> None:
        for number, given in enumerate(predictions, first):
            read(given, f"prediction {number}")

    def _checked_references(self, references: list[Any], first: int) -> list[Any]:
        return [read(given, f"reference {number}") for number, given in enumerate(references, first)]

    def _compute(
        self, predictions: list[Any], references: list[Any], channel: str = "all", border: int = 0
    ) -> dict[str, float]:
        return compared(predictions, references, channel, border)


def compared(
    predictions: Sequence[Any], references: Sequence[Any], channel: str = "all", border: int = 0
) -> dict[str, float]:
    """`psnr` and `ssim`, means over pairs of pictures.

    Args:
        predictions: Pictures of 8 bits, each (H, W) or (H, W, C).
        references: As many, each of the same size as its prediction.
        channel: "all" or "luminance".
        border: Pixels that do not count at each side.

    Raises:
        UsageError: There is no such channel.
        DataError: There are none, as many are not there, one is no picture, or two differ in size.
    """
    if channel not in CHANNELS:
        raise unknown("channel", channel, CHANNELS)
    if len(predictions) != len(references) or not len(predictions):
        raise DataError(f"{len(predictions)} pictures cannot be compared with {len(references)}")
    found = []
    for number, (given, expected) in enumerate(zip(predictions, references, strict=True)):
        said, truth = read(given, f"prediction {number}"), read(expected, f"reference {number}")
        if said.shape != truth.shape:
            sizes = [" x ".join(map(str, picture.shape)) for picture in (said, truth)]
            raise DataError(f"prediction {number} has {sizes[0]} values but its reference {sizes[1]}")
        both = [inner(picture, channel, border, number) for picture in (said, truth)]
        found.append((psnr(*both), ssim(*both)))
    values = zip(*found, strict=True)
    return {name: fsum(scores) / len(scores) for name, scores in zip(("psnr", "ssim"), values, strict=True)}


def read(given: Any, what: str) -> NDArray[np.uint8]:
    """A picture as an array (H, W, C).

    Raises:
        DataError: It is none of 8 bits.
    """
    values = np.asarray(given)
    if (
        isinstance(given, list)
        and values.dtype == np.int64
        and values.size
        and 0 <= values.min() <= values.max() <= PEAK
    ):
        values = values.astype(np.uint8)  # as JSON holds them
    if values.dtype != np.uint8 or values.ndim not in (2, 3) or values.size == 0:
        raise DataError(f"{what} is not a picture of 8 bits: {given!r:.60}")
    return values.reshape(*values.shape[:2], -1)  # H W C


def inner(picture: NDArray[np.uint8], channel: str, border: int, number: int) -> Pixels:
    """The values that count. (H, W, C) -> (C', H', W').

    Raises:
        DataError: The similarity's window does not fit, or there is no luminance of so many channels.
    """
    height, width, channels = picture.shape
    if min(height, width) - 2 * border < WINDOW:
        within = f" within a border of {border}" if border else ""
        raise DataError(f"prediction {number} has {width} x {height} pixels{within}: ssim needs {WINDOW} x {WINDOW}")
    values = picture[border : height - border, border : width - border].astype(float)
    if channel == "all":
        return values.transpose(2, 0, 1)
    if channels != 3:
        raise UsageError(f"prediction {number} has {channels} channels: luminance is of RGB")
    return luminance(values)[None]


def luminance(values: Pixels) -> Pixels:
    """Y of BT.601, from 16 to 235, of RGB from 0 to 255. (H, W, 3) -> (H, W)."""
    return 16 + values @ (np.array([65.481, 128.553, 24.966]) / PEAK)


def psnr(one: Pixels, other: Pixels) -> float:
    """10 log10 (L^2 / MSE), in decibels; infinite for equal pictures. Two of (C, H, W)."""
    error = float(np.square(one - other).mean())
    return 10 * log10(PEAK**2 / error) if error else inf


def ssim(one: Pixels, other: Pixels) -> float:
    """The mean of the SSIM index (Eq. 13 of the paper) over all places of the window and all channels.

    Args:
        one: (C, H, W).
        other: The same.
    """
    mean, mean_other = blurred(one), blurred(other)  # C H-10 W-10
    variance = blurred(one * one) - mean**2
    variance_other = blurred(other * other) - mean_other**2
    covariance = blurred(one * other) - mean * mean_other
    alike = (2 * mean * mean_other + C1) * (2 * covariance + C2)
    return float((alike / ((mean**2 + mean_other**2 + C1) * (variance + variance_other + C2))).mean())


def _gaussian() -> Pixels:
    places = np.arange(WINDOW) - WINDOW // 2
    weights: Pixels = np.exp(-(places**2) / (2 * DEVIATION**2))
    return weights / weights.sum()


GAUSSIAN = _gaussian()


def blurred(values: Pixels) -> Pixels:
    """Means under the window. (C, H, W) -> (C, H - 10, W - 10)."""
    rows = sliding_window_view(values, WINDOW, 1) @ GAUSSIAN  # C H-10 W
    found: Pixels = sliding_window_view(rows, WINDOW, 2) @ GAUSSIAN  # C H-10 W-10
    return found
