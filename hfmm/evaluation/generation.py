"""Scores generators of pictures: how likely they find pictures that they have not seen, or by their samples."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from PIL import Image
from torch import Tensor

from hfmm import metrics
from hfmm.data.examples import Examples
from hfmm.errors import UsageError, unknown
from hfmm.evaluation import samples
from hfmm.evaluation.base import Asked, Outcome
from hfmm.evaluation.reading import batches, gathered
from hfmm.explanation.drawing import pictures_of
from hfmm.robustness.out_of_distribution import out_of_distribution

SHOWN = 12  # pictures that are drawn to be looked at
SEED = 0  # of these
LIKELIHOOD, STRANGE = "likelihood", "out_of_distribution"
BY_LIKELIHOOD = (LIKELIHOOD, STRANGE)


@runtime_checkable
class Likely(Protocol):
    """A model that says how likely a picture is."""

    def log_likelihood(self, pixel_values: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(B, C, H, W) -> (B,), nats, or a bound of them."""
        ...


def log_likelihoods(
    model: Any,
    processor: Any,
    examples: Examples,
    batch_size: int = 100,
    processes: tuple[int, int] = (1, 0),
) -> tuple[list[float], int]:
    """The log-likelihood (or a bound) of every example once, each process its share; the whole list on every process.

    Binary pixels and the noise of a bound are drawn by the number of the row: the same at every call.

    Args:
        model: With `log_likelihood(pixel_values, generator=...)`, on its device.
        processor: Its image processor.
        examples: With an `image` column.
        batch_size: Pictures at a time.
        processes: (how many share the work, which one this is).

    Returns:
        Nats in the order of `examples`, and the number of dimensions (values of a picture).
    """
    rows = range(processes[1], len(examples), processes[0])
    found: list[float] = []
    dimensions = 0
    was_training = model.training
    model.eval()
    for batch in batches(examples.select(rows), processor, batch_size):
        seeds = rows[len(found) : len(found) + len(batch)]
        pictures = [example["image"] for example in batch]
        pixel_values = processor(pictures, seeds=seeds, return_tensors="pt")["pixel_values"]
        dimensions = pixel_values[0].numel()
        with torch.inference_mode():
            noise = torch.Generator().manual_seed(seeds[0])
            found += model.log_likelihood(pixel_values.to(model.device), generator=noise).tolist()
    model.train(was_training)
    both = gathered([(value, dimensions) for value in found], len(examples), processes)
    return [value for value, _ in both], both[0][1]


def score_generator(model: Any, processor: Any, examples: Examples, asked: Asked) -> Outcome:
    """Score a generator by `likelihood`; one without a likelihood, or where others are asked for, by its samples.

    Raises:
        UsageError: An unknown metric, one that the model has not, or one that lacks a classifier or training pictures.
    """
    names = asked.metrics or _own(model, asked)
    for name in names:
        if name not in (*BY_LIKELIHOOD, *samples.METRICS):
            raise unknown("metric of a generator", name, (*BY_LIKELIHOOD, *samples.METRICS))
    scores = _by_likelihood(model, processor, examples, asked, names) if set(names) & set(BY_LIKELIHOOD) else {}
    shown: list[Image.Image] = []
    if set(names) & set(samples.METRICS):
        of_samples, shown = samples.score_samples(model, processor, examples, asked, names)
        scores |= of_samples
    return Outcome(scores, shown[:SHOWN] or draw(model), [examples.peek(row) for row in range(len(examples))])


def _by_likelihood(
    model: Any, processor: Any, examples: Examples, asked: Asked, names: Sequence[str]
) -> dict[str, float]:
    if not isinstance(model, Likely):
        raise UsageError(f"{type(model).__name__} has no likelihood: it is scored by its samples")
    values, dimensions = log_likelihoods(model, processor, examples, processes=asked.processes)
    scores: dict[str, float] = {}
    if LIKELIHOOD in names:
        scores |= metrics.load(LIKELIHOOD).compute(predictions=values, dimensions=dimensions)
    if STRANGE in names:
        if asked.own is None:
            raise UsageError("strange pictures are told from its own kind: give --data that it was not trained on")
        own, _ = log_likelihoods(model, processor, asked.own, processes=asked.processes)
        scores |= out_of_distribution(own, values)
    return scores


def _own(model: Any, asked: Asked) -> tuple[str, ...]:
    """The metrics of a generator that nobody chose: those that it has, and those that its recipe names."""
    if isinstance(model, Likely):
        own: tuple[str, ...] = (LIKELIHOOD,)
    else:
        own = ("generation", "memorization") if asked.training_pictures is not None else ("generation",)
    return tuple(dict.fromkeys((*own, *asked.planned)))


def draw(model: Any, count: int = SHOWN, seed: int = SEED) -> list[Image.Image]:
    """Pictures of a generator, a pure function of the seed."""
    was_training = model.training
    model.eval()
    images = model.generate_images(count, generator=torch.Generator().manual_seed(seed))
    model.train(was_training)
    return pictures_of(images)
