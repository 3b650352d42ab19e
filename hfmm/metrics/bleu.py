"""BLEU-1 to BLEU-4 (Papineni et al., ACL 2002), in coco-caption's definition.

Clipped counts and lengths are summed over the corpus; of the references, the length closest to the prediction's counts
(of two equally close ones the shorter), and tiny constants keep the score of an empty corpus finite.
"""

import numpy as np
from numpy.typing import NDArray

from .base import CaptionMetric, Scores
from .ngrams import LONGEST, Corpus, Integers

_TINY, _SMALL = 1e-15, 1e-9  # coco-caption's: without a match the score is nearly 0, without an n-gram nothing breaks


def bleu(corpus: Corpus, brevity_penalty: bool = True) -> Scores:
    """The corpus scores ``bleu_1`` to ``bleu_4``, and the same of every caption alone.

    Args:
        corpus: Predictions and references.
        brevity_penalty: Whether predictions that are shorter than their references lose for it.
    """
    correct, guessed = _matches(corpus), _guesses(corpus)
    predicted, expected = corpus.length[corpus.prediction], _closest_lengths(corpus)
    each = _scores(correct, guessed, predicted, expected, brevity_penalty)
    sums = [counts.sum(0, keepdims=True) for counts in (correct, guessed, predicted, expected)]
    total = _scores(sums[0], sums[1], sums[2], sums[3], brevity_penalty)[0]
    names = [f"bleu_{order}" for order in range(1, LONGEST + 1)]
    return dict(zip(names, total.tolist(), strict=True)), dict(zip(names, each.T.tolist(), strict=True))


def _matches(corpus: Corpus) -> Integers:
    """How many n-grams of each prediction are in its references, each at most as often as in one of them (N, 4)."""
    correct = np.zeros((corpus.num_pictures, LONGEST))
    for order, ngrams in enumerate(corpus.ngrams):
        if len(ngrams.group_start) == 0:
            continue
        is_reference = corpus.is_reference[ngrams.sentence]
        most = np.maximum.reduceat(np.where(is_reference, ngrams.times, 0), ngrams.group_start)  # (G,)
        predicted = np.where(is_reference, 0, ngrams.times)[ngrams.group_start]  # (G,)
        picture = corpus.picture[ngrams.sentence[ngrams.group_start]]
        correct[:, order] = np.bincount(picture, np.minimum(most, predicted), corpus.num_pictures)
    return correct.astype(np.int64)


def _guesses(corpus: Corpus) -> Integers:
    """How many n-grams each prediction has (N, 4)."""
    return np.maximum(corpus.length[corpus.prediction, None] - np.arange(LONGEST), 0)


def _closest_lengths(corpus: Corpus) -> Integers:
    """The length of the reference that is closest to the prediction's, the shorter of two (N,)."""
    longest = int(corpus.length.max(initial=0)) + 1
    distance = np.abs(corpus.length - corpus.length[corpus.prediction][corpus.picture])
    rank = np.where(corpus.is_reference, distance * longest + corpus.length, longest * longest)
    return np.minimum.reduceat(rank, corpus.prediction) % longest


def _scores(
    correct: Integers, guessed: Integers, predicted: Integers, expected: Integers, brevity_penalty: bool
) -> NDArray[np.float64]:
    """Geometric means of the precisions, shortened by the brevity penalty (N, 4)."""
    precision = (correct + _TINY) / (guessed + _SMALL)
    score = np.cumprod(precision, axis=1) ** (1 / np.arange(1, LONGEST + 1))
    if brevity_penalty:
        ratio = (predicted + _TINY) / (expected + _SMALL)
        score *= np.exp(np.minimum(1 - 1 / ratio, 0))[:, None]
    return score


class Bleu(CaptionMetric):
    """BLEU-1 to BLEU-4 of a corpus; ``compute(..., brevity_penalty=False)`` leaves the brevity penalty out."""

    keys = ("bleu_1", "bleu_2", "bleu_3", "bleu_4")
    options = ("brevity_penalty",)
    citation_text = "Papineni et al., BLEU: a method for automatic evaluation of machine translation, ACL 2002"
    score = staticmethod(bleu)
