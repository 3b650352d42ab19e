"""METEOR 1.5 (Denkowski and Lavie, WMT 2014) for English, as coco-caption computes it, without Java.

Words of a prediction and of a reference are aligned by four stages: exact, stem, synonym and paraphrase. Synonyms and
paraphrases need tables that are not part of hfmm: those of WordNet 3.0 and of METEOR, which an installed pycocoevalcap
has (see `meteor_tables` for where they are looked for and whose they are). Without them the first two stages score, and
the result is called `meteor_exact_stem`, never `meteor`. `stages` names those that were on.

As there, a picture's score is that of the best of its references, and the corpus score that of all counts together.
"""

from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hfmm.errors import UsageError

from .base import InMemoryMetric, Scores, joined, words, words_of_lists
from .meteor_align import STAGES, WEIGHTS, Match, align
from .meteor_tables import Tables, find_meteor, load_tables
from .meteor_words import FUNCTION_WORDS, normalize

ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75  # English, tuned on human rankings (WMT 2014, section 4)
Counts = NDArray[np.float64]
Phrases = list[tuple[int, int, int]]
Ranks = Callable[[int], dict[int, int]]
# One row of counts: words, function words, then matched content and function words of each stage, for the prediction
# and for the reference, and chunks.
_SIDE = 2 + 2 * len(STAGES)


class Sentence(NamedTuple):
    """A caption as METEOR sees it."""

    words: list[int]
    function: list[bool]
    phrases: Phrases  # where each begins, its number of words, its node


class Vocabulary:
    """Words as numbers, with the stem and the synonym sets of each, looked up once."""

    def __init__(self, tables: Tables | None) -> None:
        try:
            from nltk.stem.snowball import EnglishStemmer
        except ImportError as error:
            raise UsageError('nltk is not installed: pip install "hfmm[eval]"') from error
        self._stem = EnglishStemmer().stem
        self.tables = tables
        self.numbers: dict[str, int] = {}
        self.stems: list[str] = []
        self.synonyms: list[frozenset[int]] = []
        self._pairs: dict[tuple[int, int], tuple[int, ...]] = {}

    def number(self, word: str) -> int:
        """The number of a word."""
        if word not in self.numbers:
            self.numbers[word] = len(self.stems)
            self.stems.append(self._stem(word))
            self.synonyms.append(self.tables.synonyms.of(word) if self.tables else frozenset())
        return self.numbers[word]

    def sentences(self, captions: Sequence[str]) -> list[Sentence]:
        """Captions as METEOR sees them."""
        lists = [normalize(caption) for caption in captions]
        phrases = self.tables.paraphrases.phrases(lists) if self.tables else [[] for _ in lists]
        return [
            Sentence([self.number(word) for word in texts], [word in FUNCTION_WORDS for word in texts], found)
            for texts, found in zip(lists, phrases, strict=True)
        ]

    def stages(self, one: int, other: int) -> tuple[int, ...]:
        """The stages of single words at which two words match."""
        if one == other:
            return (0,)
        pair = (one, other)
        if pair not in self._pairs:
            same_stem = self.stems[one] == self.stems[other]
            shared = not self.synonyms[one].isdisjoint(self.synonyms[other])
            self._pairs[pair] = (1,) * same_stem + (2,) * shared
        return self._pairs[pair]

    def matches(self, said: Sentence, reference: Sentence) -> list[Match]:
        """All matches of two sentences, by stage and place; of equal sentences, the exact ones alone."""
        found = [
            Match(i, 1, j, 1, stage)
            for i, one in enumerate(said.words)
            for j, other in enumerate(reference.words)
            for stage in self.stages(one, other)
        ]
        found.sort(key=lambda match: match.stage)
        if said.words == reference.words:
            return [match for match in found if match.stage == 0]
        if self.tables:
            ranks = self.tables.paraphrases.ranks
            found += [Match(*one, *other, 3) for other, one in _paraphrased(reference.phrases, said.phrases, ranks)]
            found += [Match(*one, *other, 3) for one, other in _paraphrased(said.phrases, reference.phrases, ranks)]
        return found


def _paraphrased(phrases: Phrases, others: Phrases, ranks: Ranks) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Phrases of a sentence with their paraphrases in another, each as (start, length), in the order of the table."""
    places: dict[int, list[tuple[int, int]]] = {}
    for start, length, node in others:
        places.setdefault(node, []).append((start, length))
    found = []
    for start, length, node in sorted(phrases):
        known = ranks(node)
        shared = sorted(places.keys() & known.keys(), key=known.__getitem__)
        found += [((start, length), place) for other in shared for place in sorted(places[other])]
    return found


def counts(vocabulary: Vocabulary, said: Sentence, reference: Sentence) -> list[float]:
    """The row of counts of a prediction and one reference."""
    path = align(len(reference.words), vocabulary.matches(said, reference))
    sides = []
    for sentence, first in ((said, 0), (reference, 2)):
        side = [0.0] * _SIDE
        side[0], side[1] = len(sentence.words), sum(sentence.function)
        for match in path.matches:
            start, length = match[first : first + 2]
            for function in sentence.function[start : start + length]:
                side[2 + 2 * match.stage + function] += 1
        sides.append(side)
    return [*sides[0], *sides[1], path.chunks]


def _perfect(rows: Counts) -> NDArray[np.bool_]:
    """Whether the prediction of a row is its reference: every word of both matched, in one chunk."""
    whole = [side[:, 2:].sum(1) == side[:, 0] for side in (rows[:, :_SIDE], rows[:, _SIDE : 2 * _SIDE])]
    return np.asarray(whole[0] & whole[1] & (rows[:, -1] == 1))


def score(rows: Counts) -> NDArray[np.float64]:
    """The scores of rows of counts (N, 21) -> (N,), between 0 and 1 (equations 1 to 4 of WMT 2011)."""
    weights = np.repeat(WEIGHTS, 2) * np.tile([DELTA, 1 - DELTA], len(WEIGHTS))
    shares, matched = [], np.zeros(len(rows))
    for side in (rows[:, :_SIDE], rows[:, _SIDE : 2 * _SIDE]):
        length = DELTA * (side[:, 0] - side[:, 1]) + (1 - DELTA) * side[:, 1]
        shares.append(np.divide(side[:, 2:] @ weights, length, out=np.zeros(len(rows)), where=length != 0))
        matched += side[:, 2:].sum(1) / 2
    precision, recall = shares
    mean = ALPHA * precision + (1 - ALPHA) * recall
    mean = np.divide(precision * recall, mean, out=np.zeros(len(rows)), where=mean != 0)
    chunks = rows[:, -1]
    fragments = np.divide(chunks, matched, out=np.zeros(len(rows)), where=matched != 0)
    fragments[_perfect(rows)] = 0
    return mean * (1 - GAMMA * fragments**BETA)


def meteor(predictions: Sequence[str], references: Sequence[Sequence[str]], key: str, tables: Tables | None) -> Scores:
    """The score of the corpus and of each picture, under the name `key`."""
    vocabulary = Vocabulary(tables)
    said = vocabulary.sentences(predictions)
    truth = vocabulary.sentences(list(chain.from_iterable(references)))
    owner = [number for number, texts in enumerate(references) for _ in texts]
    rows = np.array([counts(vocabulary, said[number], text) for number, text in zip(owner, truth, strict=True)])
    each = score(rows)
    first = np.cumsum([0, *map(len, references)])
    best = [start + int(each[start:end].argmax()) for start, end in pairwise(first)]
    chosen = rows[best]
    chosen[_perfect(chosen), -1] = 0  # in the corpus score, what is its own reference makes no chunk
    total = float(score(chosen.sum(0, keepdims=True))[0])
    return {key: total}, {key: each[best].tolist()}


class Meteor(InMemoryMetric):
    """METEOR 1.5 for English, between 0 and 1; `meteor_exact_stem` where the tables of synonyms are not installed."""

    keys = ("meteor",)
    citation_text = (
        "Denkowski and Lavie, Meteor universal: language specific translation evaluation for any target language, "
        "WMT 2014"
    )

    def _compute(
        self,
        predictions: list[str],
        references: list[list[str]],
        tokenizer: str = "none",
        per_caption: bool = False,
    ) -> dict[str, Any]:
        scores = installed(words(predictions, tokenizer), words_of_lists(references, tokenizer))
        return {**joined(scores, per_caption), "stages": stages(scores)}


def installed(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Scores:
    """METEOR with the tables that are installed, under the name that they allow."""
    folder = find_meteor()
    tables = None if folder is None else load_tables(folder)
    return meteor(predictions, references, "meteor_exact_stem" if tables is None else "meteor", tables)


def stages(scores: Scores) -> list[str]:
    """The stages that were on."""
    return list(STAGES if "meteor" in scores[0] else STAGES[:2])
