"""Mean average precision of detections, in COCO's definition and equal to pycocotools, for which it needs numpy only.

A detection is right if its overlap with an object of its class, that no better-scored detection has taken, reaches the
threshold. Precision is made to fall with recall, read at 101 recalls, and averaged over these, over the classes that
have objects, and over the thresholds. Of each picture and class the 100 best-scored detections count.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import datasets
import numpy as np
from numpy.typing import NDArray

from hfmm.errors import DataError, UsageError

from .base import InMemoryMetric

Floats = NDArray[np.float64]
THRESHOLDS = np.linspace(0.5, 0.95, 10)  # of the intersection over union
RECALLS = np.linspace(0, 1, 101)
MOST = 100  # detections of a class in a picture
EXACT = 1 - 1e-10  # no threshold is greater, so that equal boxes agree whatever their rounding
INPUTS = """
Args:
    predictions: of each picture a dict of lists: "boxes" ([x0, y0, x1, y1] each), "labels" and "scores"
    references: of each picture the same without "scores"; lists are empty where nothing is there
Returns:
    "map" (mean over overlaps of 0.5, 0.55, ... 0.95), "map_50" and "map_75"
"""


class Found(NamedTuple):
    """Boxes of one picture: corners (N, 4), classes (N,) and scores (N,)."""

    boxes: Floats
    labels: NDArray[np.int64]
    scores: Floats


class Detection(InMemoryMetric):
    """Mean average precision of boxes: `map`, and at overlaps of a half and three quarters `map_50` and `map_75`."""

    keys = ("map", "map_50", "map_75")
    of_captions = False
    citation_text = "Lin et al., Microsoft COCO: common objects in context, ECCV 2014"
    inputs_text = INPUTS

    def _features(self) -> list[datasets.Features]:
        numbers = datasets.Sequence(datasets.Value("float64"))
        objects = {"boxes": datasets.Sequence(numbers), "labels": datasets.Sequence(datasets.Value("int64"))}
        return [datasets.Features({"predictions": {**objects, "scores": numbers}, "references": objects})]

    def _check_predictions(self, predictions: list[Any], first: int) -> None:
        for number, given in enumerate(predictions, first):
            read(given, f"prediction {number}", scored=True)

    def _checked_references(self, references: list[Any], first: int) -> list[Any]:
        return [read(given, f"reference {number}", scored=False) for number, given in enumerate(references, first)]

    def _compute(self, predictions: list[Any], references: list[Found]) -> dict[str, float]:
        if not any(len(truth.labels) for truth in references):
            raise UsageError("no picture has an object: there is no mean average precision")
        found = [read(given, f"prediction {number}", scored=True) for number, given in enumerate(predictions)]
        precision = average_precisions(found, references).mean(0)  # thresholds
        return {"map": float(precision.mean()), "map_50": float(precision[0]), "map_75": float(precision[5])}


def read(given: Any, what: str, scored: bool) -> Found:
    """One picture's boxes as arrays.

    Raises:
        DataError: Something is missing, or lengths disagree.
    """
    names = ("boxes", "labels", "scores") if scored else ("boxes", "labels")
    if not isinstance(given, Mapping) or any(name not in given for name in names):
        raise DataError(f"{what} is not a dict of {', '.join(names)}: {given!r:.60}")
    try:
        boxes = np.asarray(given["boxes"], np.float64).reshape(-1, 4)
        labels = np.asarray(given["labels"], np.int64).reshape(-1)
        scores = np.asarray(given["scores"] if scored else np.zeros(len(labels)), np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} has values that are no boxes [x0, y0, x1, y1], labels or scores: {error}") from error
    if not len(boxes) == len(labels) == len(scores):
        raise DataError(f"{what} has {len(boxes)} boxes, {len(labels)} labels and {len(scores)} scores: one each a box")
    return Found(boxes, labels, scores)


def average_precisions(predictions: Sequence[Found], references: Sequence[Found]) -> Floats:
    """The average precision of each class that has objects, at each threshold (K, 10)."""
    classes = np.unique(np.concatenate([truth.labels for truth in references]))
    scores: dict[int, list[Floats]] = {int(label): [] for label in classes}
    right: dict[int, list[NDArray[np.bool_]]] = {int(label): [] for label in classes}
    for found, truth in zip(predictions, references, strict=True):
        for label in np.unique(found.labels):
            if label in scores:
                best = np.flatnonzero(found.labels == label)
                best = best[np.argsort(-found.scores[best], kind="stable")][:MOST]
                scores[label].append(found.scores[best])
                right[label].append(assigned(overlaps(found.boxes[best], truth.boxes[truth.labels == label])) >= 0)
    objects = np.concatenate([truth.labels for truth in references])
    return np.stack(
        [average_precision(scores[label], right[label], int((objects == label).sum())) for label in classes.tolist()]
    )


def overlaps(boxes: Floats, others: Floats) -> Floats:
    """Intersection over union of every pair, from sides as in pycocotools. (N, 4), (M, 4) -> (N, M)."""
    sides, other_sides = boxes[:, 2:] - boxes[:, :2], others[:, 2:] - others[:, :2]
    ends, other_ends = boxes[:, :2] + sides, others[:, :2] + other_sides
    common = np.minimum(ends[:, None], other_ends) - np.maximum(boxes[:, None, :2], others[:, :2])  # N M 2
    inside = np.where((common > 0).all(-1), common.prod(-1), 0)
    union = sides.prod(-1)[:, None] + other_sides.prod(-1) - inside
    return np.divide(inside, union, out=np.zeros_like(inside), where=inside > 0)


def assigned(overlap: Floats) -> NDArray[np.int64]:
    """The object of each detection, the best-scored first, at each threshold; -1 where it is wrong. (N, M) -> (10, N).

    A detection takes the free object that it overlaps most, the last of equal ones.
    """
    objects = np.full((len(THRESHOLDS), len(overlap)), -1)
    free = np.ones((len(THRESHOLDS), overlap.shape[1]), bool)
    rows = np.arange(len(THRESHOLDS))
    for number in np.flatnonzero((overlap >= THRESHOLDS[0]).any(1)):
        open_to = np.where(free, overlap[number], -1)  # 10 M
        taken = open_to.shape[1] - 1 - open_to[:, ::-1].argmax(1)
        hit = open_to[rows, taken] >= np.minimum(THRESHOLDS, EXACT)
        objects[hit, number] = taken[hit]
        free[rows[hit], taken[hit]] = False
    return objects


def average_precision(scores: list[Floats], right: list[NDArray[np.bool_]], objects: int) -> Floats:
    """Precision at 101 recalls, averaged, of one class at each threshold (10,)."""
    if not scores:
        return np.zeros(len(THRESHOLDS))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    hits = np.concatenate(right, 1)[:, order].cumsum(1)  # 10 N
    precision = hits / (np.arange(1, len(order) + 1) + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    found = np.zeros((len(THRESHOLDS), len(RECALLS)))
    for row, recall in enumerate(hits / objects):
        at = np.searchsorted(recall, RECALLS)
        reached = at < len(order)
        found[row, reached] = precision[row, at[reached]]
    return found.mean(1)
