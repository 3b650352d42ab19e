"""Mean intersection over union of segmentations, the definition of Pascal VOC, over a whole data set.

Of each class, the pixels that are and are said to be of it, divided by those that are or are said to be of it, counted
over all pictures together; the mean is over the classes that occur in the truth or in the predictions. Pixels whose
true class is 255 do not count at all.
"""

from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
from numpy.typing import NDArray

from hfmm.errors import DataError, UsageError

from .base import InMemoryMetric

IGNORED = 255
INPUTS = """
Args:
    predictions: of each picture the class of every pixel, from 0 (height, width)
    references: the same, 255 where the class is not known
    per_class: whether to add the intersection over union of each class, None for those that do not occur
Returns:
    mean_iou and pixel_accuracy, and iou_per_class where asked for
"""


class Segmentation(InMemoryMetric):
    """Mean intersection over union of the classes (`mean_iou`), and the share of pixels that are right."""

    keys = ("mean_iou", "pixel_accuracy")
    options = ("per_class",)
    of_captions = False
    citation_text = "Everingham et al., The Pascal visual object classes challenge: a retrospective, IJCV 2015"
    inputs_text = INPUTS

    def _features(self) -> list[datasets.Features]:
        mask = datasets.Sequence(datasets.Sequence(datasets.Value("int64")))
        return [datasets.Features({"predictions": mask, "references": mask})]

    def _check_predictions(self, predictions: list[Any], first: int) -> None:
        for number, given in enumerate(predictions, first):
            read(given, f"prediction {number}")

    def _checked_references(self, references: list[Any], first: int) -> list[Any]:
        return [read(given, f"reference {number}") for number, given in enumerate(references, first)]

    def _compute(self, predictions: list[Any], references: list[Any], per_class: bool = False) -> dict[str, Any]:
        said = [read(given, f"prediction {number}") for number, given in enumerate(predictions)]
        counts = confusion(said, references)
        if not counts.any():
            raise UsageError("no pixel has a class: there is no intersection over union")
        right = counts.diagonal()
        either = counts.sum(0) + counts.sum(1) - right
        occurs = either > 0
        scores = {
            "mean_iou": float((right[occurs] / either[occurs]).mean()),
            "pixel_accuracy": float(right.sum() / counts.sum()),
        }
        if not per_class:
            return scores
        each = [float(a / b) if b else None for a, b in zip(right, either, strict=True)]
        return {**scores, "iou_per_class": each}


def read(given: Any, what: str) -> NDArray[np.integer[Any]]:
    """A mask as an array (H, W).

    Raises:
        DataError: It is none.
    """
    try:
        mask = np.asarray(given)
    except ValueError as error:
        raise DataError(f"{what} has rows of different lengths: give the class of every pixel") from error
    if mask.ndim != 2 or mask.dtype.kind not in "iu" or mask.size == 0 or mask.min() < 0:
        raise DataError(f"{what} is not a table of class numbers from 0: {given!r:.60}")
    return mask


def confusion(predictions: Sequence[NDArray[Any]], references: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """How many pixels of each true class (rows) are said to be of each class (columns). (K, K).

    Raises:
        DataError: A prediction is not of the size of its reference.
    """
    largest = [int(truth.max(where=truth != IGNORED, initial=0)) for truth in references]
    most = 1 + max(*(int(said.max()) for said in predictions), *largest)
    counts = np.zeros(most * most, np.int64)
    for number, (said, truth) in enumerate(zip(predictions, references, strict=True)):
        if said.shape != truth.shape:
            sizes = [" x ".join(map(str, mask.shape)) for mask in (said, truth)]
            raise DataError(f"prediction {number} has {sizes[0]} pixels but its reference {sizes[1]}")
        known = truth != IGNORED
        counts += np.bincount(truth[known].astype(np.int64) * most + said[known], minlength=most * most)
    return counts.reshape(most, most)
