"""Scores models that classify pictures by the names of classes alone."""

from typing import Any

from PIL import Image

from hfmm import metrics
from hfmm.data.columns import class_names
from hfmm.data.examples import Examples
from hfmm.data.prompts import templates_of, written
from hfmm.evaluation.base import Asked, Outcome, check_metric
from hfmm.evaluation.reading import answers
from hfmm.explanation.matching import ZeroShotClassifier


def score_prompted(model: Any, processor: Any, examples: Examples, asked: Asked) -> Outcome:
    """Score by `classification`, the task's own metric, with the data set's templates.

    Raises:
        UsageError: Another metric is asked for, or the model embeds no texts.
        DataError: The data have no named classes.
    """
    check_metric(asked, "classification", "zero-shot classifier")
    names = class_names(examples)
    was_training = model.training
    model.eval()
    classifier = ZeroShotClassifier(model, processor, written(names), templates_of(examples.name))

    def logits(pictures: list[Image.Image]) -> list[list[float]]:
        found: list[list[float]] = classifier.logits(pictures).tolist()
        return found

    rows, read = answers(model, processor, examples, logits, asked.processes)
    model.train(was_training)
    known = [row for row, example in enumerate(read) if example.get("label") is not None]
    scores = metrics.load("classification").compute(
        predictions=[rows[row] for row in known], references=[read[row]["label"] for row in known]
    )
    predictions = [names[max(range(len(row)), key=row.__getitem__)] for row in rows]
    return Outcome(scores, predictions, read)
