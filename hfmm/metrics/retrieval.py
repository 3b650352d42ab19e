"""Retrieval: at which place a search by one of a pair finds the other, among all pictures or all captions.

A rank counts from 1 and ties count against: what scores as high as the right answer stands before it, so that scores
that are all equal are not taken for good ones. Of several right answers the best counts, and the others are not in its
way: a picture is found by any of its captions (Karpathy and Fei-Fei, CVPR 2015, section 4.1).

Axes: I pictures, T captions, Q queries, N of what is searched.
"""

from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
from numpy.typing import NDArray

from hfmm.errors import DataError

from .base import InMemoryMetric

DEPTHS = (1, 5, 10)
DIRECTIONS = ("text_to_image", "image_to_text")
NAMES = (*(f"r{depth}" for depth in DEPTHS), "median_rank", "mean_rank")
INPUTS = """
Args:
    predictions: of each picture its score with every caption, a list of numbers: greater fits better
    references: of each picture the numbers of its captions, from 0, a list or one number
Returns:
    r1, r5, r10 (shares of queries), median_rank and mean_rank, with text_to_image_ and image_to_text_ before them
"""


class Retrieval(InMemoryMetric):
    """How well pictures are found by captions (`text_to_image_`) and captions by pictures (`image_to_text_`).

    `r1`, `r5` and `r10` are the shares of queries whose answer is among so many, `median_rank` and `mean_rank` say
    where it stands, from 1. Predictions are the scores of each picture with every caption, references the numbers of
    each picture's captions. Ties count against; of several captions of a picture the best one counts. Captions of no
    picture are not searched for, but stand in the way.
    """

    keys = tuple(f"{direction}_{name}" for direction in DIRECTIONS for name in NAMES)
    of_captions = False
    citation_text = "Karpathy and Fei-Fei, Deep visual-semantic alignments for image descriptions, CVPR 2015"
    inputs_text = INPUTS

    def _features(self) -> list[datasets.Features]:
        scores, numbers = datasets.Sequence(datasets.Value("float64")), datasets.Sequence(datasets.Value("int64"))
        one = {"predictions": scores, "references": datasets.Value("int64")}
        return [datasets.Features({"predictions": scores, "references": numbers}), datasets.Features(one)]

    def _check_predictions(self, predictions: list[Any], first: int) -> None:
        for number, given in enumerate(predictions, first):
            try:
                scores = np.asarray(given, np.float64)
            except (TypeError, ValueError):
                scores = np.empty(0)
            if scores.ndim != 1 or len(scores) == 0:
                raise DataError(
                    f"prediction {number} is not a list of numbers: give the picture's score with each text"
                )
            if np.isnan(scores).any():
                raise DataError(f"prediction {number} has a score that is not a number (NaN)")

    def _checked_references(self, references: list[Any], first: int) -> list[Any]:
        lists = [[given] if isinstance(given, int | np.integer) else list(given) for given in references]
        for number, captions in enumerate(lists, first):
            if not captions or not all(isinstance(caption, int | np.integer) and caption >= 0 for caption in captions):
                raise DataError(f"reference {number} is {captions!r:.60}: give the numbers of the picture's captions")
        return lists

    def _compute(self, predictions: list[Any], references: list[Any]) -> dict[str, float]:
        lengths = {len(scores) for scores in predictions}
        if len(lengths) > 1:
            raise DataError(
                f"pictures have {min(lengths)} to {max(lengths)} scores: give each one's with every caption"
            )
        scores = np.asarray(predictions, np.float64)  # I T
        most = max(max(captions) for captions in references)
        if most >= scores.shape[1]:
            raise DataError(f"a picture has caption {most}, but there are scores of {scores.shape[1]} captions")
        own = ownership(references, scores.shape[1])
        asked = own.any(0)  # T
        return summary(ranks(scores.T[asked], own.T[asked]), ranks(scores, own))


def ownership(captions: Sequence[Sequence[int]], num_captions: int) -> NDArray[np.bool_]:
    """Whether a caption is a picture's.

    Args:
        captions: Of each picture the numbers of its captions.
        num_captions: T.

    Returns:
        (I, T).
    """
    own = np.zeros((len(captions), num_captions), bool)
    for row, numbers in enumerate(captions):
        own[row, list(numbers)] = True
    return own


def ranks(scores: NDArray[Any], own: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Where the best right answer to each query stands, from 1: after all wrong ones that score as high.

    Args:
        scores: (Q, N).
        own: (Q, N), whether it is a right answer, of which each query has one at least.

    Returns:
        (Q,).
    """
    best = np.where(own, scores, -np.inf).max(1, keepdims=True)  # Q 1
    before: NDArray[np.int64] = ((scores >= best) & ~own).sum(1)
    return before + 1


def summary(text_to_image: NDArray[np.int64], image_to_text: NDArray[np.int64]) -> dict[str, float]:
    """The scores of the ranks of all queries, both ways."""
    scores = {}
    for direction, found in zip(DIRECTIONS, (text_to_image, image_to_text), strict=True):
        shares = [(found <= depth).mean() for depth in DEPTHS]
        for name, score in zip(NAMES, (*shares, np.median(found), found.mean()), strict=True):
            scores[f"{direction}_{name}"] = float(score)
    return scores
