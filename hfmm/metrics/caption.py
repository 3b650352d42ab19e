"""All caption scores that apply, in one pass: the captions are tokenized and their n-grams counted once."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from hfmm.errors import UsageError

from .base import InMemoryMetric, joined, mean, words, words_of_lists
from .bleu import bleu
from .cider import cider_d
from .exact_scene import exact, read_objects
from .meteor import installed as meteor_installed
from .ngrams import Corpus
from .novelty import novelty, training_words
from .rouge_l import rouge_l


class Caption(InMemoryMetric):
    """BLEU-1 to 4, ROUGE-L, CIDEr and CIDEr-D; METEOR where nltk is installed (`meteor_exact_stem` without its tables),
    unless `meteor` is False; novelty if `training` captions are given to `compute`, and exact objects and exact scene
    if the pictures' `objects` are (JSON texts, one a picture, in the order of all predictions).
    """

    keys = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider", "cider_d")
    options = ("brevity_penalty", "training", "objects", "meteor")

    def _compute(
        self,
        predictions: list[str],
        references: list[list[str]],
        tokenizer: str = "none",
        per_caption: bool = False,
        brevity_penalty: bool = True,
        training: Sequence[str] | None = None,
        objects: Sequence[str] | None = None,
        meteor: bool = True,
    ) -> dict[str, Any]:
        texts, lists = words(predictions, tokenizer), words_of_lists(references, tokenizer)
        corpus = Corpus(texts, lists)
        rouge = rouge_l(corpus if corpus.is_regular else Corpus(texts, lists, " "))
        cider = cider_d(corpus)
        parts = [bleu(corpus, brevity_penalty), mean({"rouge_l": rouge, "cider": cider, "cider_d": cider})]
        if meteor and find_spec("nltk") is not None:
            parts.append(meteor_installed(texts, lists))
        if training is not None:
            parts.append(novelty(texts, training_words(training, tokenizer)))
        if objects is not None:
            parts.append(exact(predictions, _objects(objects, len(predictions))))
        total = {key: score for part, _ in parts for key, score in part.items()}
        each = {key: scores for _, part in parts for key, scores in part.items()}
        return joined((total, each), per_caption)


def _objects(objects: Sequence[str], count: int) -> list[list[dict[str, Any]]]:
    if len(objects) != count:
        raise UsageError(f"{count} predictions but objects of {len(objects)} pictures: give one JSON text a prediction")
    return [read_objects(text, number) for number, text in enumerate(objects)]
