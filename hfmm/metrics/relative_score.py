"""Relative score: how near a judge's scores of a model's answers come to those of reference answers."""

from collections.abc import Sequence
from math import fsum, isfinite
from typing import Any

import datasets

from hfmm.errors import DataError, UsageError

from .base import InMemoryMetric

INPUTS = """
Args:
    predictions: the judge's score of the model's answer to each question
    references: the judge's score of the reference answer to each
    categories: the kind of each question, a list; adds a score for each
Returns:
    relative_score, and relative_score_<category>
"""


class RelativeScore(InMemoryMetric):
    """100 times the sum of a judge's scores of the model's answers, over that of the reference answers.

    A ratio of sums, not a mean of ratios: questions on which the judge is generous to both weigh more.
    """

    keys = ("relative_score",)
    options = ("categories",)
    of_captions = False
    citation_text = "Liu et al., Visual instruction tuning, NeurIPS 2023, section 5.1"
    inputs_text = INPUTS

    def _features(self) -> list[datasets.Features]:
        number = datasets.Value("float64")
        return [datasets.Features({"predictions": number, "references": number})]

    def _check_predictions(self, predictions: list[Any], first: int) -> None:
        _check(predictions, first, "prediction")

    def _checked_references(self, references: list[Any], first: int) -> list[Any]:
        _check(references, first, "reference")
        return references

    def _compute(
        self, predictions: list[Any], references: list[Any], categories: Sequence[str] | None = None
    ) -> dict[str, float]:
        found = {"relative_score": ratio(predictions, references)}
        if categories is None:
            return found
        if len(categories) != len(predictions):
            raise UsageError(f"{len(predictions)} predictions but {len(categories)} categories: give one a question")
        for category in sorted(set(categories)):
            rows = [number for number, name in enumerate(categories) if name == category]
            given, expected = ([scores[number] for number in rows] for scores in (predictions, references))
            found[f"relative_score_{category}"] = ratio(given, expected)
        return found


def ratio(predictions: Sequence[float], references: Sequence[float]) -> float:
    """100 * sum of scores / sum of reference scores.

    Raises:
        DataError: The reference answers have no points at all.
    """
    if not any(references):
        raise DataError("the reference answers all have the score 0: nothing can be told relative to them")
    return 100 * fsum(predictions) / fsum(references)


def _check(scores: list[Any], first: int, called: str) -> None:
    """Refuse what is no score: released reviews hold -1 where the judge's words could not be read."""
    for number, score in enumerate(scores, first):
        valid = isinstance(score, int | float) and not isinstance(score, bool) and isfinite(score) and score >= 0
        if not valid:
            raise DataError(f"{called} {number} is {score!r:.40}: a judge's score is a number, not below 0")
