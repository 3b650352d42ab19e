"""Scores detectors: the boxes that they find against those that are there."""

from collections.abc import Sequence
from typing import Any

from hfmm import metrics
from hfmm.data.examples import Example, Examples
from hfmm.errors import unknown
from hfmm.evaluation.base import Asked, Outcome
from hfmm.evaluation.reading import batches, gathered
from hfmm.explanation.detection import find_objects

LEAST = 0.01  # score of a box that is scored
Found = dict[str, Any]  # of one picture, see `find_objects`


def detect(
    model: Any,
    processor: Any,
    examples: Examples,
    batch_size: int = 100,
    processes: tuple[int, int] = (1, 0),
) -> tuple[list[Found], list[Example]]:
    """Find the objects of every example once, each process its share; the whole list on every process.

    Args:
        model: A detector, on its device.
        processor: Its image processor.
        examples: With `image` and `objects` columns.
        batch_size: Pictures at a time.
        processes: (how many share the work, which one this is).

    Returns:
        What was found and the examples (without pictures), in the order of `examples`.
    """
    was_training = model.training
    model.eval()
    found: list[Found] = []
    read: list[Example] = []
    for batch in batches(examples.shard(*processes), processor, batch_size):
        found += find_objects(model, processor, [example["image"] for example in batch], LEAST)
        read += [{key: value for key, value in example.items() if key != "image"} for example in batch]
    model.train(was_training)
    both = gathered(list(zip(found, read, strict=True)), len(examples), processes)
    return [boxes for boxes, _ in both], [example for _, example in both]


def score_detector(model: Any, processor: Any, examples: Examples, asked: Asked) -> Outcome:
    """Find the objects of examples and score what was found."""
    found, read = detect(model, processor, examples, processes=asked.processes)
    return Outcome(score(found, read, asked.metrics), found, read)


def score(found: Sequence[Found], examples: Sequence[Example], names: Sequence[str] = ()) -> dict[str, float]:
    """Score what was found by `detection`, the task's own metric.

    Raises:
        UsageError: Another metric is asked for, or there are no objects at all.
    """
    for name in names:
        if name != "detection":
            raise unknown("metric of a detector", name, ("detection",))
    truth = [
        {"boxes": [thing["box"] for thing in objects], "labels": [thing["label"] for thing in objects]}
        for objects in (example["objects"] for example in examples)
    ]
    scores: dict[str, float] = metrics.load("detection").compute(predictions=list(found), references=truth)
    return scores
