"""Whether a generator draws its training pictures again: distances to the nearest of them.

Axes: N samples, M training pictures, D numbers of a picture.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hfmm.errors import UsageError

from .vectors import Floats, VectorMetric, matrix, same_width

CLOSE = 0.01  # the quantile of held-out distances below which a sample counts as copied
CHUNK = 2048  # training pictures at a time
INPUTS = """
Args:
    predictions: the pixels (or features) of each sample, a list of numbers
    references: those of each training picture
    held_out: those of pictures that were not trained on
Returns:
    nearest_ratio, copied
"""


class Memorization(VectorMetric):
    """Distances of samples to their nearest training picture, against those of pictures that were held out.

    `nearest_ratio` is the median distance of samples over the median distance of held-out pictures: 0 for a generator
    that draws training pictures again, near 1 for one whose samples are as new as held-out pictures. `copied` is the
    share of samples that lie nearer to a training picture than all but the nearest hundredth of the held-out pictures
    do: 0.01 for held-out pictures themselves, 1 for copies. Samples that are blurred or all alike lie nearer, too.
    """

    keys = ("nearest_ratio", "copied")
    options = ("held_out",)
    needs_references = True
    citation_text = "Meehan, Chaudhuri and Dasgupta, A non-parametric test to detect data-copying, AISTATS 2020"
    inputs_text = INPUTS

    def _compute(self, predictions: list[Any], references: list[Any], held_out: Any = None) -> dict[str, float]:
        if held_out is None or len(held_out) == 0:
            raise UsageError("memorization compares with pictures that were not trained on: give held_out")
        training = matrix(references, "references")
        chunks = [training[start : start + CHUNK] for start in range(0, len(training), CHUNK)]
        samples, others = matrix(predictions, "predictions"), matrix(held_out, "held_out")
        return memorization(nearest(samples, chunks)[1], nearest(others, chunks)[1])


def memorization(samples: Floats, held_out: Floats) -> dict[str, float]:
    """The scores from the distances of samples (N,), and of held-out pictures, to their nearest training picture."""
    usual = max(float(np.median(held_out)), np.finfo(np.float64).tiny)
    return {
        "nearest_ratio": float(np.median(samples)) / usual,
        "copied": float((samples < np.quantile(held_out, CLOSE)).mean()),
    }


def nearest(rows: NDArray[Any], chunks: Iterable[NDArray[Any]]) -> tuple[NDArray[np.int64], Floats]:
    """Of each row the nearest of others, the first of several, and its Euclidean distance.

    Args:
        rows: (N, D).
        chunks: The others, some (M, D) at a time.

    Returns:
        Numbers of the others, counted over all chunks, and distances (0 for a copy, to the last bit), each (N,).

    Raises:
        DataError: Rows of unlike lengths.
    """
    best, where, start = np.full(len(rows), np.inf), np.zeros(len(rows), np.int64), 0
    for part in chunks:
        same_width(rows, part)
        squared = np.square(part).sum(1) - 2 * rows @ part.T  # N M; without |row|^2, which moves no minimum
        found = squared.argmin(1)
        distances = np.sqrt(np.square(rows - part[found], dtype=np.float64).sum(1))
        closer = distances < best
        best[closer], where[closer] = distances[closer], start + found[closer]
        start += len(part)
    return where, best
