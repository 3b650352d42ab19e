"""Scores samples of generators by what a classifier of our own sees in them, and by the training pictures near them.

The classifier is named in the scores, and its accuracy on the pictures that samples are compared with stands beside
them: samples are judged no better than it sees.

Axes: N samples or pictures, D features, K classes, P pixels.
"""

import re
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from hfmm import metrics
from hfmm.data.examples import Examples
from hfmm.errors import UsageError
from hfmm.evaluation.base import Asked
from hfmm.evaluation.reading import BATCH_SIZE, batches, gathered
from hfmm.explanation.codes import codes_and_logits
from hfmm.explanation.drawing import pictures_of
from hfmm.explanation.samples import Array, as_drawn, pixels
from hfmm.loading import Loaded
from hfmm.metrics.memorization import memorization, nearest

BY_NETWORK = ("frechet_distance", "inception_score", "recognized_samples", "generation")
METRICS = (*BY_NETWORK, "memorization")
SAMPLES = 1000  # that are drawn, unless `num_images` says another number
MOST = 60_000  # training pictures that samples are compared with, the first ones
CLASSIFIES = "image-classification"


class Seen(NamedTuple):
    """What a classifier makes of pictures.

    Attributes:
        features: (N, D), what its last layer reads.
        probabilities: (N, K).
    """

    features: Array
    probabilities: Array


def look(network: Loaded, pictures: Sequence[Image.Image]) -> Seen:
    """Show pictures to a classifier.

    Raises:
        UsageError: It is none.
    """
    if CLASSIFIES not in network.row.tasks:
        raise UsageError(f"{network.where} classifies no pictures: samples are looked at by a classifier")
    codes, logits = codes_and_logits(network.model, network.processor, pictures, BATCH_SIZE)
    assert logits is not None
    return Seen(codes.numpy(), logits.softmax(-1).numpy())


def draw_samples(model: Any, asked: Asked) -> tuple[list[Image.Image], list[int]]:
    """Samples of a generator in batches, each process its share of these; a pure function of the number of a batch.

    Args:
        model: With `generate_images(count, generator=..., **options)`.
        asked: `generation` holds these options, and `num_images`, how many in all.

    Returns:
        This process's samples, and how many are in each of its batches.

    Raises:
        UsageError: An option that the model does not have.
    """
    options = dict(asked.generation)
    total = options.pop("num_images", SAMPLES)
    count, index = asked.processes
    sizes = [min(BATCH_SIZE, total - start) for start in range(0, total, BATCH_SIZE)]
    was_training = model.training
    model.eval()
    samples: list[Image.Image] = []
    for number in range(index, len(sizes), count):
        generator = torch.Generator().manual_seed(number)
        try:
            images = model.generate_images(sizes[number], generator=generator, **options)
        except TypeError as error:
            if unasked := re.search("unexpected keyword argument '(.+)'", str(error)):
                raise UsageError(f"{type(model).__name__} draws without '{unasked[1]}': leave it out") from error
            raise
        samples += pictures_of(images)
    model.train(was_training)
    return samples, sizes[index::count]


def score_samples(
    model: Any, processor: Any, examples: Examples, asked: Asked, names: Sequence[str]
) -> tuple[dict[str, float], list[Image.Image]]:
    """Draw samples and score them.

    Args:
        model: A generator, on its device.
        processor: Its image processor.
        examples: Pictures that it was not trained on, which the samples are compared with.
        asked: Options of drawing, the classifier, and the training pictures.
        names: Some of METRICS.

    Returns:
        Scores, and this process's samples.

    Raises:
        UsageError: A metric needs a classifier or training pictures that are not given.
    """
    samples, sizes = draw_samples(model, asked)
    scores: dict[str, float] = {}
    if set(names) & set(BY_NETWORK):
        scores |= _by_network(processor, examples, asked, names, samples, sizes)
    if "memorization" in names:
        every = _together(pixels(samples), sizes, asked)
        scores |= _memorized(every, processor, examples, asked.training_pictures)
    return scores, samples


def _by_network(
    processor: Any, examples: Examples, asked: Asked, names: Sequence[str], samples: list[Image.Image], sizes: list[int]
) -> dict[str, float]:
    network = asked.network
    if network is None:
        raise UsageError(
            "samples are looked at by a classifier: name a trained one with --features (evaluation.features)"
        )
    seen = Seen(*(_together(part, sizes, asked) for part in look(network, samples)))
    real, labels = _real(processor, examples, asked, network)
    whole = "generation" in names
    name = network.row.name
    scores: dict[str, float] = {}
    if whole or "frechet_distance" in names:
        given = {"predictions": seen.features, "references": real.features, "network": name}
        scores |= metrics.load("frechet_distance").compute(**given)
    for metric in ("inception_score", "recognized_samples"):
        if whole or metric in names:
            scores |= metrics.load(metric).compute(predictions=seen.probabilities)
    if examples.label_names == tuple((network.model.config.id2label or {}).values()):  # it learned these classes
        known = [row for row, label in enumerate(labels) if label is not None]
        right = real.probabilities[known].argmax(1) == np.array([labels[row] for row in known])
        scores[f"{name}_top_1"] = float(right.mean())
    return scores


def _together(rows: Array, sizes: list[int], asked: Asked) -> Array:
    """The rows of all processes' batches, in the order of the batches; `sizes` are those of this process."""
    total = asked.generation.get("num_images", SAMPLES)
    parts = np.split(rows, np.cumsum(sizes)[:-1])
    return np.concatenate(gathered(parts, ceil(total / BATCH_SIZE), asked.processes))


def _real(processor: Any, examples: Examples, asked: Asked, network: Loaded) -> tuple[Seen, list[int | None]]:
    """What the classifier makes of every real picture, each process its share, and the labels, if any."""
    found: list[tuple[Array, Array, int | None]] = []
    for batch in batches(examples.shard(*asked.processes), processor, BATCH_SIZE):
        seen = look(network, as_drawn(processor, [example["image"] for example in batch]))
        found += zip(*seen, [example.get("label") for example in batch], strict=True)
    found = gathered(found, len(examples), asked.processes)
    features, probabilities, labels = zip(*found, strict=True)
    return Seen(np.stack(features), np.stack(probabilities)), list(labels)


def _memorized(samples: Array, processor: Any, examples: Examples, training: Examples | None) -> dict[str, float]:
    """The memorization of samples, in pixels, against as many held-out pictures."""
    if training is None:
        raise UsageError("memorization compares samples with the training pictures, which cannot be read here")
    held_out = np.concatenate(list(_rows(processor, examples, len(samples))))
    _, far = nearest(np.concatenate([samples, held_out]), _rows(processor, training, MOST))
    return memorization(far[: len(samples)], far[len(samples) :])


def _rows(processor: Any, examples: Examples, most: int) -> Iterator[Array]:
    """The pixels of the first so many examples as a generator would draw them, some at a time."""
    first = examples.select(range(min(most, len(examples))))
    for batch in batches(first, processor, BATCH_SIZE * 10):
        yield pixels(as_drawn(processor, [example["image"] for example in batch]))
