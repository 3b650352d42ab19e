"""Novelty: the share of predictions that are not, word for word, among the training captions."""

from collections.abc import Sequence
from typing import Any

from hfmm.errors import UsageError

from .base import InMemoryMetric, Scores, joined, mean, words


def novelty(predictions: Sequence[str], training: Sequence[str]) -> Scores:
    """The share of (tokenized) predictions that are not among the training captions, and of each whether it is new."""
    known = {" ".join(caption.split()) for caption in training}
    return mean({"novelty": [" ".join(caption.split()) not in known for caption in predictions]})


def training_words(training: Sequence[str] | None, tokenizer: str) -> list[str]:
    """The training captions as words; the tokenizer must be the predictions'."""
    if not training or isinstance(training, str):
        raise UsageError("novelty compares with the training captions: give them to compute as training=[...]")
    return words(training, tokenizer)


class Novelty(InMemoryMetric):
    """The share of predictions that are not in `training`, a list of captions given to `compute`. No references."""

    keys = ("novelty",)
    options = ("training",)
    needs_references = False
    citation_text = "Vinyals et al., Show and tell: a neural image caption generator, CVPR 2015, section 4.3.4"

    def _compute(
        self,
        predictions: list[str],
        references: list[Any],
        tokenizer: str = "none",
        per_caption: bool = False,
        training: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        known = training_words(training, tokenizer)
        return joined(novelty(words(predictions, tokenizer), known), per_caption)
