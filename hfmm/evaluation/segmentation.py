"""Scores segmenters: the class of every pixel of pictures against the true one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hfmm import metrics
from hfmm.data.examples import Example, Examples
from hfmm.evaluation.base import Asked, Outcome, check_classes, check_metric
from hfmm.evaluation.reading import answers
from hfmm.explanation.segmentation import segment


def segment_all(
    model: Any, processor: Any, examples: Examples, processes: tuple[int, int] = (1, 0)
) -> tuple[list[NDArray[np.uint8]], list[Example]]:
    """Segment every example once, each process its share; the whole list on every process.

    Args:
        model: A segmenter, on its device.
        processor: Its image processor.
        examples: With an `image` column.
        processes: (how many share the work, which one this is).

    Returns:
        Masks (H, W), each of its picture's own size, and examples (without pictures), in the order of `examples`.
    """
    return answers(model, processor, examples, lambda pictures: segment(model, processor, pictures), processes)


def score_segmenter(model: Any, processor: Any, examples: Examples, asked: Asked) -> Outcome:
    """Score a segmenter by `segmentation`, the task's own metric.

    Raises:
        UsageError: Another metric is asked for.
        DataError: The data have other classes than the model.
    """
    check_metric(asked, "segmentation", "segmenter")
    check_classes(model, examples)
    found, read = segment_all(model, processor, examples, asked.processes)
    scores = metrics.load("segmentation").compute(predictions=found, references=[example["mask"] for example in read])
    return Outcome(scores, found, read)
