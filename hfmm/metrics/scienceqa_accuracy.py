"""ScienceQA's accuracy: replies in words, read as one of the choices, of one model or of two and a judge.

A reply is read as by LLaVA's released code: `B`, `B. ...` or `... The answer is B.`, else it has FAILED and is wrong.
Where two models have replied, two ensembles are scored (Liu et al. 2023, section 5.2): `complement` takes the other
model's answer, and the own where that failed; `judge` asks a judge wherever the two differ. The released ensembles
guess where no letter can be read; here that is wrong, so that the score does not depend on luck.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import datasets

from hfmm.errors import DataError, UsageError

from .base import InMemoryMetric, mean

LETTERS = tuple("ABCDE")
_STATED = re.compile(r"The answer is ([A-E])")
_STATED_AND_ENDED = re.compile(rf"{_STATED.pattern}\.")  # wins over one without a period, wherever it stands
INPUTS = """
Args:
    predictions: a reply a question, of any length
    references: the number of the right choice of each, 0 for A
    others: the replies of a second model, a list: adds other_accuracy and complement_accuracy
    verdicts: the judge's reply to each question where the two answers differ, others are not looked at: adds
        judge_accuracy
Returns:
    accuracy, failed (the share of replies without a letter), and those of ensembles
"""


class ScienceqaAccuracy(InMemoryMetric):
    """The share of multiple-choice questions answered right by replies in words, as LLaVA reads them on ScienceQA."""

    keys = ("accuracy", "failed", "other_accuracy", "complement_accuracy", "judge_accuracy")
    options = ("others", "verdicts")
    of_captions = False
    citation_text = "Lu et al., Learn to explain, NeurIPS 2022; Liu et al., Visual instruction tuning, NeurIPS 2023"
    inputs_text = INPUTS

    def _features(self) -> list[datasets.Features]:
        return [datasets.Features({"predictions": datasets.Value("string"), "references": datasets.Value("int32")})]

    def _checked_references(self, references: list[Any], first: int) -> list[Any]:
        for number, right in enumerate(references, first):
            if isinstance(right, bool) or not isinstance(right, int) or not 0 <= right < len(LETTERS):
                raise DataError(f"reference {number} is {right!r:.40}: give the number of the right choice, 0 for A")
        return references

    def _compute(
        self,
        predictions: list[Any],
        references: list[Any],
        others: Sequence[str] | None = None,
        verdicts: Sequence[str | None] | None = None,
    ) -> dict[str, float]:
        for name, given in (("others", others), ("verdicts", verdicts)):
            if given is not None and len(given) != len(predictions):
                raise UsageError(f"{len(predictions)} predictions but {len(given)} {name}: give one a question")
        if verdicts is not None and others is None:
            raise UsageError("a judge decides between two models: give the replies of the second as others=[...]")

        def right(answers: Sequence[int | None]) -> list[bool]:
            return [answer == truth for answer, truth in zip(answers, references, strict=True)]

        own = [read_choice(reply) for reply in predictions]
        found = {"accuracy": right(own), "failed": [answer is None for answer in own]}
        if others is not None:
            other = [read_choice(reply) for reply in others]
            found |= {"other_accuracy": right(other), "complement_accuracy": right(complement(own, other))}
            if verdicts is not None:
                found["judge_accuracy"] = right(judged(own, other, verdicts))
        return mean(found)[0]


def read_choice(reply: str) -> int | None:
    """The number of the choice that a reply names, 0 for A; None where it names none."""
    text = reply.replace("\n", ". ")
    if text.strip() in LETTERS:
        return LETTERS.index(text.strip())
    if text[:1] in LETTERS and text[1:3] == ". ":
        return LETTERS.index(text[0])
    stated = _STATED_AND_ENDED.search(text) or _STATED.search(text)
    return None if stated is None else LETTERS.index(stated[1])


def complement(own: Sequence[int | None], other: Sequence[int | None]) -> list[int | None]:
    """The other model's answers, and the own where it has none."""
    return [mine if its is None else its for mine, its in zip(own, other, strict=True)]


def disputed(own: Sequence[int | None], other: Sequence[int | None]) -> list[int]:
    """The numbers of the questions that two models answer differently: those that a judge is asked about."""
    return [number for number, (mine, its) in enumerate(zip(own, other, strict=True)) if mine != its]


def verdicts_of(own: Sequence[str], other: Sequence[str], judge: Callable[[int], str]) -> list[str | None]:
    """Ask a judge about each question that two models' replies answer differently, and about no other.

    Args:
        own: A reply a question.
        other: The second model's.
        judge: From the number of a question to a reply, by a model that is shown the question and both replies.

    Returns:
        A reply a question, None where the judge was not asked.
    """
    asked = set(disputed([*map(read_choice, own)], [*map(read_choice, other)]))
    return [judge(number) if number in asked else None for number in range(len(own))]


def judged(own: Sequence[int | None], other: Sequence[int | None], verdicts: Sequence[str | None]) -> list[int | None]:
    """The answer on which two models agree, the judge's where they do not.

    Raises:
        DataError: The judge has not replied where they differ.
    """
    answers = list(own)
    for number in disputed(own, other):
        verdict = verdicts[number]
        if verdict is None:
            raise DataError(f"question {number} is answered differently by the two models, but has no verdict")
        answers[number] = read_choice(verdict)
    return answers
