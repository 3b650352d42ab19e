"""Likelihood: how many nats, or bits, a model needs for what it has not seen; less is better."""

from math import exp, fsum, log
from typing import Any

import datasets

from hfmm.errors import DataError, UsageError

from .base import InMemoryMetric

INPUTS = """
Args:
    predictions: the log-likelihood of each example, in nats
    dimensions, tokens, characters: how many of these an example has, one number for all or a list
Returns:
    nats, and bits_per_dim, perplexity, bits_per_character where their sizes are given
"""


class Likelihood(InMemoryMetric):
    """Negative log-likelihood: predictions are the log-likelihoods of the examples, in nats. No references.

    `nats` is the mean over examples. Given to `compute`, the sizes of the examples, one number for all or a list, add:
    `dimensions` (values of a picture) `bits_per_dim`; `tokens` `perplexity`; `characters` `bits_per_character`. Of a
    bound of the likelihood it is a bound, and of a density it depends on the scale of the values.
    """

    keys = ("nats", "bits_per_dim", "perplexity", "bits_per_character")
    options = ("dimensions", "tokens", "characters")
    needs_references = False
    takes_texts = False
    citation_text = "Theis, van den Oord and Bethge, A note on the evaluation of generative models, ICLR 2016"
    inputs_text = INPUTS

    def _features(self) -> list[datasets.Features]:
        return [datasets.Features({"predictions": datasets.Value("float64")})]

    def _check_predictions(self, predictions: list[Any], first: int) -> None:
        for number, prediction in enumerate(predictions, first):
            if not isinstance(prediction, int | float):
                raise DataError(f"prediction {number} is a {type(prediction).__name__}: give a log-likelihood in nats")

    def _compute(
        self, predictions: list[Any], references: list[Any], per_caption: bool = False, **sizes: Any
    ) -> dict[str, float]:
        total = -fsum(predictions)
        scores = {"nats": total / len(predictions)}
        for name, size in sizes.items():
            if name in self.options:
                mean = total / _sum(name, size, len(predictions))
                key = dict(zip(self.options, self.keys[1:], strict=True))[name]
                scores[key] = exp(mean) if name == "tokens" else mean / log(2)
        return scores


def _sum(name: str, size: Any, count: int) -> float:
    """The sizes of all examples together."""
    sizes = [size] * count if isinstance(size, int) else list(size)
    if len(sizes) != count or min(sizes) <= 0:
        raise UsageError(f"{name}: give one positive number for all predictions, or a list of {count}")
    return fsum(sizes)
