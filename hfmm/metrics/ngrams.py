"""Captions as integers: what BLEU, ROUGE-L and CIDEr count, read once and kept in arrays.

Axes: N pictures, S sentences, T words of all sentences, E different n-grams of a sentence, G of a picture.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from itertools import chain, count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
LONGEST = 4  # all of these metrics count n-grams of one to four words


class NgramCounts(NamedTuple):
    """How often each n-gram of one length occurs in each sentence, ordered by n-gram, then by sentence.

    A group is one n-gram in the sentences of one picture; its entries stand together, the prediction's first.
    """

    sentence: Integers  # (E,)
    times: Integers  # (E,)
    group: Integers  # (E,) which group
    group_start: Integers  # (G,) the group's first entry
    group_ngram: Integers  # (G,) the number of its n-gram, ascending


class Corpus:
    """Predictions and their references as numbers: each picture's prediction, then its references.

    Args:
        predictions: One caption a picture.
        references: The captions of each picture to compare with; at least one each.
        separator: What stands between two words: a space, or None for any run of white space.
    """

    def __init__(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]], separator: str | None = None
    ) -> None:
        sentences = list(chain.from_iterable(map(chain, zip(predictions), references)))
        per_picture = np.fromiter(map(len, references), np.int64, len(predictions)) + 1
        self.num_pictures = len(predictions)
        self.prediction = np.cumsum(per_picture) - per_picture  # (N,) the sentence that is a picture's prediction
        self.picture = np.repeat(np.arange(self.num_pictures), per_picture)  # (S,)
        self.is_reference = np.ones(len(sentences), bool)  # (S,)
        self.is_reference[self.prediction] = False
        words = self._read(sentences, separator)
        self.length = np.diff(np.flatnonzero(words == 0)) - 1  # (S,) words of each sentence
        self.words = words[words != 0] - 1  # (T,)
        self.sentence = np.repeat(np.arange(len(sentences)), self.length)  # (T,)
        self.num_words = int(self.words.max(initial=-1)) + 1

    def _read(self, sentences: list[str], separator: str | None) -> Integers:
        """Numbers of all words, counted from 1; a 0 stands before each sentence and after the last."""
        mark = "\x00"
        while any(mark in sentence for sentence in sentences):
            mark += "\x00"
        text = f" {mark} ".join(["", *sentences, ""])[1:-1]
        numbers, words = _number(text.split(" "), mark)
        self.is_regular = all(len(word.split()) == 1 for word in numbers)  # single spaces, no other white space
        return words if self.is_regular or separator is not None else _number(text.split(), mark)[1]

    @cached_property
    def ngrams(self) -> tuple[NgramCounts, ...]:
        """The counts of one-word to four-word n-grams."""
        counts = []
        codes = np.zeros(len(self.words), np.int64)
        starts = np.arange(len(self.words))  # where an n-gram begins
        room = np.repeat(np.cumsum(self.length), self.length) - starts  # (T,) words left in the sentence
        for order in range(1, LONGEST + 1):
            starts = starts[room[starts] >= order]
            keys = codes[starts] * self.num_words + self.words[starts + order - 1]
            positions = starts[_stable_order(keys)]
            keys = codes[positions] * self.num_words + self.words[positions + order - 1]
            numbers = np.cumsum(_begins(keys)) - 1
            counts.append(self._count(numbers, self.sentence[positions]))
            codes[positions] = numbers
        return tuple(counts)

    def _count(self, ngrams: Integers, sentences: Integers) -> NgramCounts:
        """Count equal pairs of n-gram and sentence, which are sorted."""
        first = np.flatnonzero(_begins(ngrams) | _begins(sentences))
        times = np.diff(first, append=len(ngrams))
        sentence, ngram = sentences[first], ngrams[first]
        begins = _begins(ngram) | _begins(self.picture[sentence])
        group_start = np.flatnonzero(begins)
        return NgramCounts(sentence, times, np.cumsum(begins) - 1, group_start, ngram[group_start])


def _number(words: list[str], mark: str) -> tuple[dict[str, int], Integers]:
    """The number of each different word, 0 for the mark, and the words in numbers."""
    numbers: defaultdict[str, int] = defaultdict(count().__next__)
    numbers[mark] = numbers[mark]
    return numbers, np.fromiter(map(numbers.__getitem__, words), np.int64, len(words))


def _begins(values: Integers) -> NDArray[np.bool_]:
    """Where a run of equal values begins."""
    begins = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=begins[1:])
    return begins


def _stable_order(keys: Integers) -> Integers:
    """The permutation that sorts keys >= 0, equal ones in their order."""
    bits = len(keys).bit_length()
    if int(keys.max(initial=0)) >= 1 << (63 - bits):
        return np.argsort(keys, kind="stable")
    packed = np.sort((keys << bits) | np.arange(len(keys)))  # key and position in one number: much faster than argsort
    return packed & ((1 << bits) - 1)
