"""Scores detectors: the boxes that they find against those that are there."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hfmm import metrics
from hfmm.data.examples import Example, Examples
from hfmm.errors import DataError
from hfmm.evaluation.base import Asked, Outcome, check_classes, check_metric
from hfmm.evaluation.reading import answers
from hfmm.explanation.detection import find_objects
from hfmm.metrics.detection import assigned, overlaps

LEAST = 0.01  # score of a box that counts
Found = dict[str, Any]  # of one picture, see `find_objects`


def detect(
    model: Any, processor: Any, examples: Examples, processes: tuple[int, int] = (1, 0)
) -> tuple[list[Found], list[Example]]:
    """Find the objects of every example once, each process its share; the whole list on every process.

    Args:
        model: A detector, on its device.
        processor: Its image processor.
        examples: With an `image` column.
        processes: (how many share the work, which one this is).

    Returns:
        What was found and the examples (without pictures), in the order of `examples`.
    """
    return answers(model, processor, examples, lambda found: find_objects(model, processor, found, LEAST), processes)


def score_detector(model: Any, processor: Any, examples: Examples, asked: Asked) -> Outcome:
    """Score a detector by `detection`, the task's own metric, and by `attribute_accuracy` where it tells attributes.

    Raises:
        UsageError: Another metric is asked for, or there are no objects at all.
        DataError: The data have other classes or attributes than the model.
    """
    check_metric(asked, "detection", "detector")
    check_classes(model, examples)
    if model.config.to_dict().get("id2attribute"):
        _check_attributes(model, examples)
    found, read = detect(model, processor, examples, asked.processes)
    truth = [
        {"boxes": [thing["box"] for thing in objects], "labels": [thing["label"] for thing in objects]}
        for objects in (example["objects"] for example in read)
    ]
    scores = metrics.load("detection").compute(predictions=found, references=truth)
    if any("attributes" in row for row in found):
        scores["attribute_accuracy"] = attribute_accuracy(found, [example["objects"] for example in read])
    return Outcome(scores, found, read)


def _check_attributes(model: Any, examples: Examples) -> None:
    """Raise DataError where the attributes of the data are not the model's."""
    names = list(model.config.id2attribute.values())
    if examples.attribute_names is not None and list(examples.attribute_names) != names:
        known = len(examples.attribute_names)
        raise DataError(f"the model's {len(names)} attributes are not the {known} of the data")


def attribute_accuracy(found: Sequence[Found], truth: Sequence[Sequence[Mapping[str, Any]]]) -> float:
    """The share of found objects whose attribute is right.

    An object is found by the box of its class that counts as right at an overlap of a half in mean average precision:
    the best-scored one that overlaps it most of all objects of the class that no better-scored box has taken. What is
    right is the first of the object's attributes; objects without any do not count.

    Args:
        found: Of each picture `boxes`, `labels` and `attributes`, best first.
        truth: Of each picture its objects, with `box`, `label` and `attributes`.

    Returns:
        From 0 to 1; 0 where no object is found.
    """
    right = [
        told == attributes[0]
        for row, objects in zip(found, truth, strict=True)
        for told, attributes in _told(row, objects)
        if attributes
    ]
    return float(np.mean(right)) if right else 0.0


def _told(found: Found, objects: Sequence[Mapping[str, Any]]) -> list[tuple[int, Sequence[int]]]:
    """What is told of each object of a picture that is found, and its attributes."""
    told = []
    for label in sorted({thing["label"] for thing in objects}):
        there = [thing for thing in objects if thing["label"] == label]
        boxes = [number for number, other in enumerate(found["labels"]) if other == label]
        corners = np.reshape([found["boxes"][number] for number in boxes], (-1, 4))
        object_of = assigned(overlaps(corners, np.array([thing["box"] for thing in there], float)))[0]  # N
        told += [
            (found["attributes"][boxes[row]], there[object_of[row]].get("attributes") or ())
            for row in np.flatnonzero(object_of >= 0)
        ]
    return told
