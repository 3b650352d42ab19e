"""Scores generators of pictures: how likely they find pictures that they have not seen."""

from collections.abc import Sequence
from typing import Any

import torch
from accelerate.utils import gather_object
from PIL import Image

from hfmm import metrics
from hfmm.data.examples import Examples
from hfmm.errors import unknown
from hfmm.evaluation.reading import batches
from hfmm.explanation.drawing import pictures_of

SHOWN = 12  # pictures that are drawn to be looked at
SEED = 0  # of these


def log_likelihoods(
    model: Any,
    processor: Any,
    examples: Examples,
    batch_size: int = 100,
    num_processes: int = 1,
    process_index: int = 0,
) -> tuple[list[float], int]:
    """The log-likelihood (or a bound) of every example once, each process its share; the whole list on every process.

    Binary pixels and the noise of a bound are drawn by the number of the row: the same at every call.

    Args:
        model: With `log_likelihood(pixel_values, generator=...)`, on its device.
        processor: Its image processor.
        examples: With an `image` column.
        batch_size: Pictures at a time.
        num_processes: How many processes share the work.
        process_index: Which of them this is.

    Returns:
        Nats in the order of `examples`, and the number of dimensions (values of a picture).
    """
    rows = range(process_index, len(examples), num_processes)
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
    if num_processes == 1:
        return found, dimensions
    gathered = sorted(gather_object(list(zip(rows, found, [dimensions] * len(found), strict=True))))
    return [value for _, value, _ in gathered], gathered[0][2]


def score(
    model: Any, processor: Any, examples: Examples, names: Sequence[str], processes: tuple[int, int]
) -> dict[str, float]:
    """Score a generator by `likelihood`, the task's own metric.

    Raises:
        UsageError: Another metric is asked for.
    """
    for name in names:
        if name != "likelihood":
            raise unknown("metric of a generator", name, ("likelihood",))
    values, dimensions = log_likelihoods(
        model, processor, examples, num_processes=processes[0], process_index=processes[1]
    )
    scores: dict[str, float] = metrics.load("likelihood").compute(predictions=values, dimensions=dimensions)
    return scores


def draw(model: Any, count: int = SHOWN, seed: int = SEED) -> list[Image.Image]:
    """Pictures of a generator, a pure function of the seed."""
    was_training = model.training
    model.eval()
    images = model.generate_images(count, generator=torch.Generator().manual_seed(seed))
    model.train(was_training)
    return pictures_of(images)
