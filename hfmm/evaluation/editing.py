"""Scores models that make a picture of a picture, beside what needs no model."""

from typing import Any

from PIL import Image

from hfmm import metrics
from hfmm.data.examples import Examples
from hfmm.evaluation.base import Asked, Outcome, check_metric
from hfmm.evaluation.reading import answers
from hfmm.explanation.editing import edit, worsened

Edited = tuple[Image.Image, Image.Image, Image.Image]


def score_editor(model: Any, processor: Any, examples: Examples, asked: Asked) -> Outcome:
    """Score an editor by `reconstruction`, the task's own metric: its answers to pictures that its processor worsened.

    Returns:
        `psnr` and `ssim`, and with a baseline its own, such as `bicubic_psnr`.

    Raises:
        UsageError: Another metric is asked for.
        DataError: A picture is too small.
    """
    check_metric(asked, "reconstruction", "model that edits pictures")

    def answer(pictures: list[Image.Image]) -> list[Edited]:
        given, truths = worsened(processor, pictures)
        return list(zip(edit(model, processor, given), truths, processor.plain(given), strict=True))

    found, read = answers(model, processor, examples, answer, asked.processes)
    edited, truths, plain = ([row[place] for row in found] for place in range(3))
    scores = _compared(processor, edited, truths)
    if processor.baseline:
        by_hand = _compared(processor, plain, truths)
        scores |= {f"{processor.baseline}_{name}": value for name, value in by_hand.items()}
    return Outcome(scores, edited, read)


def _compared(processor: Any, predictions: list[Image.Image], references: list[Image.Image]) -> dict[str, float]:
    metric = metrics.load("reconstruction")
    found: dict[str, float] = metric.compute(predictions=predictions, references=references, **processor.scored)
    return found
