"""Accuracy of answers to questions about pictures, where several people may have answered."""

from typing import Any

import datasets

from .base import InMemoryMetric, mean

INPUTS = """
Args:
    predictions: an answer a question
    references: the answers that people gave to each, a list of strings
Returns:
    accuracy and exact
"""
ENOUGH = 3  # of the others who gave an answer that is wholly right


class Vqa(InMemoryMetric):
    """Accuracy of answers.

    `exact` is the share of questions answered as most people did. `accuracy` is VQA's: an answer that at least three of
    the others gave is right, with fewer a third for each, averaged over leaving each person out; with one or two people
    an answer is right if one of them gave it. Answers are compared in lower case.
    """

    keys = ("accuracy", "exact")
    of_captions = False
    citation_text = "Antol et al., VQA: Visual question answering, ICCV 2015"
    inputs_text = INPUTS

    def _features(self) -> list[datasets.Features]:
        text = datasets.Value("string")
        return [datasets.Features({"predictions": text, "references": datasets.Sequence(text)})]

    def _compute(self, predictions: list[Any], references: list[Any]) -> dict[str, Any]:
        shares: dict[str, list[float]] = {"accuracy": [], "exact": []}
        for said, given in zip(predictions, references, strict=True):
            answers = [answer.strip().lower() for answer in given]
            shares["accuracy"].append(soft_accuracy(said.strip().lower(), answers))
            shares["exact"].append(float(said.strip().lower() == max(answers, key=answers.count)))
        return mean(shares)[0]


def soft_accuracy(said: str, answers: list[str]) -> float:
    """How right an answer is, given those of people: 0 to 1."""
    if len(answers) < ENOUGH:
        return float(said in answers)
    matches = answers.count(said)
    others = [matches - (answer == said) for answer in answers]
    return sum(min(1.0, count / ENOUGH) for count in others) / len(answers)
