"""Scores detectors: the boxes that they find against those that are there."""

from collections.abc import Sequence
from typing import Any

from accelerate.utils import gather_object

from hfmm import metrics
from hfmm.data.examples import Example, Examples
from hfmm.errors import unknown
from hfmm.evaluation.reading import batches
from hfmm.explanation.detection import find_objects

LEAST = 0.01  # score of a box that is scored
Found = dict[str, Any]  # of one picture, see `find_objects`


def detect(
    model: Any,
    processor: Any,
    examples: Examples,
    batch_size: int = 100,
    num_processes: int = 1,
    process_index: int = 0,
) -> tuple[list[Found], list[Example]]:
    """Find the objects of every example once, each process its share; the whole list on every process.

    Args:
        model: A detector, on its device.
        processor: Its image processor.
        examples: With `image` and `objects` columns.
        batch_size: Pictures at a time.
        num_processes: How many processes share the work.
        process_index: Which of them this is.

    Returns:
        What was found and the examples (without pictures), in the order of `examples`.
    """
    rows = range(process_index, len(examples), num_processes)
    was_training = model.training
    model.eval()
    found: list[Found] = []
    read: list[Example] = []
    for batch in batches(examples.select(rows), processor, batch_size):
        found += find_objects(model, processor, [example["image"] for example in batch], LEAST)
        read += [{key: value for key, value in example.items() if key != "image"} for example in batch]
    model.train(was_training)
    if num_processes == 1:
        return found, read
    gathered = sorted(gather_object(list(zip(rows, found, read, strict=True))), key=lambda item: item[0])
    return [item[1] for item in gathered], [item[2] for item in gathered]


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
