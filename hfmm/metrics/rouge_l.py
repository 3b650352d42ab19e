"""ROUGE-L (Lin, 2004), in coco-caption's definition: the longest common subsequence of words, beta 1.2.

The best precision and the best recall over the references are combined, even if they are not those of one reference.
As there, words are what stands between two single spaces: a double space has an empty word in it, and an empty caption
is one empty word (so two empty captions agree fully).
"""

import numpy as np
from numpy.typing import NDArray

from .base import CaptionMetric, Scores, mean
from .ngrams import Corpus, Integers

BETA = 1.2
_BITS = 64


def rouge_l(corpus: Corpus) -> NDArray[np.float64]:
    """The score of every prediction (N,), between 0 and 1; the corpus must be split at single spaces."""
    predicted = corpus.length[corpus.prediction]  # (N,)
    common = np.where(corpus.is_reference, _common(corpus), 0)  # (S,)
    precision = np.maximum.reduceat(common / predicted[corpus.picture], corpus.prediction)
    recall = np.maximum.reduceat(common / corpus.length, corpus.prediction)
    best = (1 + BETA**2) * precision * recall
    return np.divide(best, recall + BETA**2 * precision, out=best, where=best != 0)


def _common(corpus: Corpus) -> Integers:
    """The length of the longest common subsequence of each sentence with its picture's prediction (S,).

    Bit-parallel (Crochemore et al., 2001): bit i of a sentence's row is 0 where its words so far have one more word in
    common with words 0..i of the prediction than with words 0..i-1. All sentences advance by one word together.
    """
    common = np.zeros(len(corpus.length), np.int64)
    start = np.cumsum(corpus.length) - corpus.length  # (S,)
    predicted = corpus.length[corpus.prediction][corpus.picture]  # (S,)
    short = predicted <= _BITS
    ends = start + corpus.length
    for sentence in np.flatnonzero(corpus.is_reference & ~short):
        pair = (corpus.prediction[corpus.picture[sentence]], sentence)
        common[sentence] = _common_of_two(*(corpus.words[start[which] : ends[which]].tolist() for which in pair))
    order = np.argsort(-corpus.length, kind="stable")  # the longest first, so that those that go on stand in front
    order = order[(corpus.is_reference & short)[order]]
    places = _places(corpus, start)
    rows = np.full(len(order), ~np.uint64(0))
    for word in range(int(corpus.length[order].max(initial=0))):
        going = order[: np.searchsorted(-corpus.length[order], -word, side="left")]
        row, place = rows[: len(going)], places[start[going] + word]
        rows[: len(going)] = (row + (row & place)) | (row & ~place)
    kept = np.left_shift(np.uint64(1), predicted[order].astype(np.uint64) % _BITS) - np.uint64(1)
    kept[predicted[order] == _BITS] = ~np.uint64(0)
    common[order] = np.bitwise_count(~rows & kept)
    return common


def _places(corpus: Corpus, start: Integers) -> NDArray[np.uint64]:
    """Where in its picture's prediction each word stands: bit i for the prediction's word i (T,)."""
    places = np.zeros(len(corpus.words), np.uint64)
    picture = corpus.picture[corpus.sentence]  # (T,)
    length, first = corpus.length[corpus.prediction], start[corpus.prediction]  # (N,)
    for i in range(min(int(length.max(initial=0)), _BITS)):
        word = np.where(length > i, corpus.words[np.minimum(first + i, len(corpus.words) - 1)], -1)  # (N,)
        places |= (corpus.words == word[picture]).astype(np.uint64) << np.uint64(i)
    return places


def _common_of_two(first: list[int], second: list[int]) -> int:
    """The length of the longest common subsequence of two sentences of any length."""
    places: dict[int, int] = {}
    for i, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << i
    row = ones = (1 << len(first)) - 1
    for word in second:
        place = places.get(word, 0)
        row = (row + (row & place)) | (row & ~place)
    return (~row & ones).bit_count()


class RougeL(CaptionMetric):
    """ROUGE-L as coco-caption computes it."""

    keys = ("rouge_l",)
    separator = " "
    citation_text = "Lin, ROUGE: a package for automatic evaluation of summaries, 2004"

    @staticmethod
    def score(corpus: Corpus) -> Scores:
        """See `rouge_l`."""
        return mean({"rouge_l": rouge_l(corpus)})
