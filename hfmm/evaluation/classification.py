"""Scores classifiers of pictures."""

from typing import Any

from PIL import Image

from hfmm import metrics
from hfmm.data.examples import Example, Examples
from hfmm.evaluation.base import Asked, Outcome, check_classes, check_metric
from hfmm.evaluation.reading import answers
from hfmm.robustness.test_time_augmentation import TestTimeAugmentation


def classify(
    model: Any, processor: Any, examples: Examples, processes: tuple[int, int] = (1, 0), views: str | None = None
) -> tuple[list[list[float]], list[Example]]:
    """The scores of every example's classes once, each process its share; the whole list on every process.

    Args:
        model: A classifier, on its device.
        processor: Its image processor.
        examples: With an `image` column.
        processes: (how many share the work, which one this is).
        views: Of a picture, by name, that are averaged.

    Returns:
        Logits of the classes, of several views probabilities, and examples (without pictures), in the order of
        `examples`.
    """
    augmented = TestTimeAugmentation(model, views) if views else None

    def scores(pictures: list[Image.Image]) -> list[list[float]]:
        inputs = processor(pictures, return_tensors="pt").to(model.device)
        said = augmented(inputs["pixel_values"]) if augmented else model(**inputs).logits.float()  # B N
        found: list[list[float]] = said.tolist()
        return found

    return answers(model, processor, examples, scores, processes)


def score_classifier(model: Any, processor: Any, examples: Examples, asked: Asked) -> Outcome:
    """Score a classifier by `classification`, the task's own metric; examples without a class do not count.

    Raises:
        UsageError: Another metric is asked for, or views that there are not.
        DataError: The data have other classes than the model.
    """
    check_metric(asked, "classification", "classifier")
    check_classes(model, examples)
    classes, read = classify(model, processor, examples, asked.processes, asked.views)  # M N
    known = [row for row, example in enumerate(read) if example["label"] is not None]
    scores = metrics.load("classification").compute(
        predictions=[classes[row] for row in known], references=[read[row]["label"] for row in known]
    )
    names = list(model.config.id2label.values())
    predictions = [names[max(range(len(row)), key=row.__getitem__)] for row in classes]
    return Outcome(scores, predictions, read)
