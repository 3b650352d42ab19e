"""Scores detectors: the boxes that they find against those that are there."""

from typing import Any

from hfmm import metrics
from hfmm.data.examples import Example, Examples
from hfmm.evaluation.base import Asked, Outcome, check_classes, check_metric
from hfmm.evaluation.reading import answers
from hfmm.explanation.detection import find_objects

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
    """Score a detector by `detection`, the task's own metric.

    Raises:
        UsageError: Another metric is asked for, or there are no objects at all.
        DataError: The data have other classes than the model.
    """
    check_metric(asked, "detection", "detector")
    check_classes(model, examples)
    found, read = detect(model, processor, examples, asked.processes)
    truth = [
        {"boxes": [thing["box"] for thing in objects], "labels": [thing["label"] for thing in objects]}
        for objects in (example["objects"] for example in read)
    ]
    return Outcome(metrics.load("detection").compute(predictions=found, references=truth), found, read)
