"""What metrics of sets of pictures share: every prediction, and every reference, is a row of numbers.

Axes: N samples, M pictures, D numbers of a row.
"""

from typing import Any

import datasets
import numpy as np
from numpy.typing import NDArray

from hfmm.errors import DataError

from .base import InMemoryMetric

Floats = NDArray[np.float64]


class VectorMetric(InMemoryMetric):
    """A metric of rows of numbers, lists or arrays. Those that compare two sets set `needs_references`."""

    of_captions = False
    in_pairs = False
    needs_references = False

    @staticmethod
    def read(given: Any, name: str) -> Floats:
        """A row that was given, checked; `name` is for the message."""
        return vector_of(given, name)

    def _features(self) -> list[datasets.Features]:
        row = datasets.Sequence(datasets.Value("float64"))
        names = ["predictions", "references"] if self.needs_references else ["predictions"]
        return [datasets.Features(dict.fromkeys(names, row))]

    def _check_predictions(self, predictions: list[Any], first: int) -> None:
        for number, given in enumerate(predictions, first):
            self.read(given, f"prediction {number}")

    def _checked_references(self, references: list[Any], first: int) -> list[Any]:
        for number, given in enumerate(references if self.needs_references else [], first):
            self.read(given, f"reference {number}")
        return references


def vector_of(given: Any, name: str, expected: str = "a list of numbers") -> Floats:
    """One row as an array (D,).

    Raises:
        DataError: It is not one.
    """
    try:
        values = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise DataError(f"{name} is not {expected}: {given!r:.60}")
    return values


def matrix(rows: Any, name: str) -> Floats:
    """Rows as one array (N, D).

    Raises:
        DataError: They are not of one length.
    """
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise DataError(f"{name} have {min(lengths)} to {max(lengths)} numbers: give each as many")
    return np.asarray(rows, np.float64)


def same_width(first: NDArray[Any], second: NDArray[Any]) -> None:
    """Refuse two sets whose rows are not of one length.

    Raises:
        DataError: They are not.
    """
    if first.shape[1:] != second.shape[1:]:
        raise DataError(f"predictions have {first.shape[1]} numbers but references {second.shape[1]}: give both alike")
