"""What all metrics share: an `evaluate.Metric` that keeps what it is given in memory and explains what it refuses.

Evaluate itself writes predictions to locked files below the home directory; these metrics touch no file, so that they
work without a home, in any number of processes, and after a crash. To score one data set from several processes, gather
the captions and compute once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from math import fsum
from typing import Any

import datasets
import evaluate

from hfmm.errors import DataError, UsageError, unknown

from .ngrams import Corpus
from .ptb import tokenize

Scores = tuple[dict[str, float], dict[str, list[float]]]  # of the corpus, and of each caption

INPUTS = """
Args:
    predictions: one caption a picture
    references: the captions of each picture to compare with, a list of strings each
    tokenizer: "none" (words split at spaces) or "ptb" (coco-caption's tokenizer)
    per_caption: whether to add each caption's own score as a list, under "<key>_per_caption"
Returns:
    a score for each of the metric's keys
"""


class InMemoryMetric(evaluate.Metric):
    """Collects predictions and references in lists. A metric sets `keys` and writes `_compute`."""

    keys: tuple[str, ...] = ()
    options: tuple[str, ...] = ()  # arguments of `compute`, beside those that all metrics of captions take
    of_captions = True
    needs_references = True
    in_pairs = True  # each prediction has its own references; otherwise both are sets, of any two sizes
    citation_text = ""
    inputs_text = INPUTS

    def __init__(self, config_name: str | None = None, **settings: Any) -> None:
        super().__init__(config_name, **{**settings, "keep_in_memory": True})
        self._forget()

    def _forget(self) -> None:
        self._predictions: list[Any] = []
        self._references: list[Any] = []

    def __len__(self) -> int:
        return len(self._predictions)

    def _build_data_dir(self) -> str:
        return ""  # nothing is stored, so no directory is made

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=type(self).__doc__,
            citation=self.citation_text,
            inputs_description=self.inputs_text,
            features=self._features(),
        )

    def _features(self) -> list[datasets.Features]:
        """The kinds of predictions and references that it takes."""
        text = datasets.Value("string")
        several = datasets.Features({"predictions": text, "references": datasets.Sequence(text)})
        return [several, datasets.Features({"predictions": text, "references": text})]

    def add(self, *, prediction: Any = None, reference: Any = None, **kwargs: Any) -> None:
        """Add one prediction and its references."""
        self.add_batch(predictions=[prediction], references=None if reference is None else [reference], **kwargs)

    def add_batch(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> None:
        """Add predictions and the references of each."""
        if kwargs:
            raise unknown("input", next(iter(kwargs)), ("predictions", "references"))
        predictions = [] if predictions is None else list(predictions)
        if references is None and not self.needs_references:
            references = [()] * len(predictions)
        references = [] if references is None else list(references)
        if self.in_pairs and len(predictions) != len(references):
            raise UsageError(
                f"{len(predictions)} predictions but {len(references)} lists of references: give one list a prediction"
            )
        first = len(self)
        self._check_predictions(predictions, first)
        self._references += self._checked_references(references, first)
        self._predictions += predictions

    def _check_predictions(self, predictions: list[Any], first: int) -> None:
        """Refuse what is no text. The first one's number is that of all added so far."""
        for number, prediction in enumerate(predictions, first):
            if not isinstance(prediction, str):
                raise DataError(f"prediction {number} is a {type(prediction).__name__}: give the caption as a string")

    def _checked_references(self, references: list[Any], first: int) -> list[Any]:
        """The references of each prediction as a list of strings; a string alone is one reference."""
        lists: list[Any] = [[texts] if isinstance(texts, str) else texts for texts in references]
        for number, texts in enumerate(lists, first):
            if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
                raise DataError(f"the references of prediction {number} are not a list of strings: {texts!r:.60}")
            if len(texts) == 0 and self.needs_references:
                raise DataError(f"prediction {number} has no references: give at least one caption of that picture")
        return lists

    def compute(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> dict[str, Any]:
        """Score everything added and what is given here, and forget it."""
        known = (*(("tokenizer", "per_caption") if self.of_captions else ()), *self.options)
        for option in kwargs:
            if option not in known:
                raise unknown("option", option, known)
        if predictions is not None or references is not None:
            self.add_batch(predictions=predictions, references=references)
        if len(self) == 0:
            raise UsageError(f"{self.name} has nothing to score: add predictions first, or give them to compute")
        texts, lists = self._predictions, self._references
        self._forget()
        scores: dict[str, Any] = self._compute(texts, lists, **kwargs)
        return scores


class CaptionMetric(InMemoryMetric):
    """A metric that counts words and n-grams: sets `score`, which is given the corpus and the metric's own options."""

    score: Callable[..., Scores]
    separator: str | None = None  # what its definition splits captions at; None is any run of white space

    def _compute(
        self,
        predictions: list[str],
        references: list[list[str]],
        tokenizer: str = "none",
        per_caption: bool = False,
        **options: Any,
    ) -> dict[str, Any]:
        corpus = Corpus(words(predictions, tokenizer), words_of_lists(references, tokenizer), self.separator)
        return joined(self.score(corpus, **options), per_caption)


def words(captions: Sequence[str], tokenizer: str) -> list[str]:
    """Captions as words with spaces between them."""
    if tokenizer not in ("none", "ptb"):
        raise unknown("tokenizer", str(tokenizer), ("none", "ptb"))
    return tokenize(captions) if tokenizer == "ptb" else list(captions)


def words_of_lists(lists: Sequence[Sequence[str]], tokenizer: str) -> list[list[str]]:
    """The same for several captions a picture, which are tokenized one after the other."""
    flat = iter(words(list(chain.from_iterable(lists)), tokenizer))
    return [[next(flat) for _ in texts] for texts in lists]


def joined(scores: Scores, per_caption: bool) -> dict[str, Any]:
    """What `compute` returns."""
    total, each = scores
    return {**total, **({f"{key}_per_caption": values for key, values in each.items()} if per_caption else {})}


def mean(each: Mapping[str, Iterable[Any]]) -> Scores:
    """Scores whose corpus score is the mean over the captions, to the last bit the same in any order."""
    lists = {key: [float(value) for value in values] for key, values in each.items()}
    return {key: fsum(values) / len(values) for key, values in lists.items()}, lists
