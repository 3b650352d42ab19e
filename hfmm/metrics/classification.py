"""Accuracy of classifiers: whether the class is the likeliest, or among the five likeliest."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import datasets

from hfmm.errors import DataError

from .base import InMemoryMetric, joined, mean

INPUTS = """
Args:
    predictions: the scores of the classes of each example, a list of numbers
    references: the class of each, by number
    per_caption: whether to add what each example scores as a list, under "<key>_per_caption"
Returns:
    top_1, and top_5 where there are more than five classes
"""


class Classification(InMemoryMetric):
    """Shares of examples whose class is the likeliest (`top_1`), or among the five likeliest (`top_5`).

    Predictions are lists of scores, one number a class; references are classes by number. Of equal scores the class
    that comes first counts as likelier. `top_5` is left out where there are not more than five classes.
    """

    keys = ("top_1", "top_5")
    takes_texts = False
    citation_text = "Krizhevsky et al., ImageNet classification with deep convolutional neural networks, NIPS 2012"
    inputs_text = INPUTS

    def _features(self) -> list[datasets.Features]:
        scores, label = datasets.Sequence(datasets.Value("float64")), datasets.Value("int64")
        return [datasets.Features({"predictions": scores, "references": label})]

    def _check_predictions(self, predictions: list[Any], first: int) -> None:
        for number, scores in enumerate(predictions, first):
            if not isinstance(scores, Sequence) or not all(isinstance(score, Real) for score in scores):
                raise DataError(f"prediction {number} is not a list of numbers: give the score of each class")

    def _checked_references(self, references: list[Any], first: int) -> list[Any]:
        for number, label in enumerate(references, first):
            if not isinstance(label, int) or label < 0:
                raise DataError(f"reference {number} is {label!r}: give the number of a class, from 0")
        return references

    def _compute(self, predictions: list[Any], references: list[Any], per_caption: bool = False) -> dict[str, Any]:
        ranks = []
        for number, (scores, label) in enumerate(zip(predictions, references, strict=True)):
            if label >= len(scores):
                raise DataError(f"reference {number} is class {label}, but there are {len(scores)} scores")
            earlier = sum(score == scores[label] for score in scores[:label])
            ranks.append(sum(score > scores[label] for score in scores) + earlier)
        shares = {"top_1": [rank < 1 for rank in ranks]}
        if min(map(len, predictions)) > 5:
            shares["top_5"] = [rank < 5 for rank in ranks]
        return joined(mean(shares), per_caption)
