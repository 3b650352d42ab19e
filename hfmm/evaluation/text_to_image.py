"""Scores models that draw what a text says: by what a classifier sees in the drawings, and by their autoencoder."""

from collections.abc import Sequence
from math import log10
from typing import Any

import torch
from PIL import Image

from hfmm import metrics
from hfmm.data.examples import Examples
from hfmm.errors import UsageError, unknown
from hfmm.evaluation.base import Asked, Outcome
from hfmm.evaluation.reading import BATCH_SIZE, answers, batches
from hfmm.evaluation.samples import look
from hfmm.explanation.drawing import pictures_of

RECONSTRUCTION, NAMED, FRECHET = "reconstruction", "named", "frechet_distance"
METRICS = (RECONSTRUCTION, NAMED, FRECHET)
SHOWN = 12  # drawings


def score_text_to_image(model: Any, processor: Any, examples: Examples, asked: Asked) -> Outcome:
    """Draw the first caption of every example, and score.

    `reconstruction` gives `psnr`, in decibels, of held-out pictures through the model's autoencoder. With a classifier,
    `named` is the share of drawings whose likeliest class has a name all of whose words are in the caption, and
    `named_real` that of the examples' own pictures, which it cannot well exceed; `frechet_distance` is that of the
    drawings from the pictures.

    Raises:
        UsageError: An unknown metric, or one that lacks a classifier.
    """
    names = asked.metrics or ((RECONSTRUCTION,) if asked.network is None else METRICS)
    for name in names:
        if name not in METRICS:
            raise unknown("metric of a model that draws texts", name, METRICS)
    scores: dict[str, float] = {}
    shown: list[Image.Image] = []
    if RECONSTRUCTION in names:
        errors, shown = _reconstructed(model, processor, examples, asked)
        scores["psnr"] = -10 * log10(sum(errors) / len(errors))
    if NAMED in names or FRECHET in names:
        of_drawings, shown = _drawn(model, processor, examples, asked, names)
        scores |= of_drawings
    elif not asked.metrics:
        shown = draw_texts(model, _captions(examples)[:SHOWN], **asked.generation)
    return Outcome(scores, shown, [examples.peek(row) for row in range(len(examples))])


def _captions(examples: Examples) -> list[str]:
    """The first caption of every example."""
    return [examples.peek(row)["captions"][0] for row in range(len(examples))]


def _reconstructed(
    model: Any, processor: Any, examples: Examples, asked: Asked
) -> tuple[list[float], list[Image.Image]]:
    """The mean squared error of each picture through the autoencoder, values in [0, 1], and what comes out."""

    def through(pictures: list[Image.Image]) -> list[tuple[float, Image.Image]]:
        pixel_values = processor(images=pictures, return_tensors="pt")["pixel_values"].to(model.device)
        found = model.reconstruct(pixel_values)
        errors = (found - (pixel_values / 2 + 0.5)).square().mean((1, 2, 3))
        return list(zip(errors.tolist(), pictures_of(found), strict=True))

    both, _ = answers(model, processor, examples, through, asked.processes)
    return [error for error, _ in both], [picture for _, picture in both]


def draw_texts(model: Any, texts: list[str], seed: int = 0, **options: Any) -> list[Image.Image]:
    """A drawing of each text, a pure function of texts and seed."""
    was_training = model.training
    model.eval()
    drawn: list[Image.Image] = []
    for start in range(0, len(texts), BATCH_SIZE):
        some = texts[start : start + BATCH_SIZE]
        generator = torch.Generator().manual_seed(seed + start)
        drawn += pictures_of(model.generate_images(len(some), generator=generator, prompts=some, **options))
    model.train(was_training)
    return drawn


def _drawn(
    model: Any, processor: Any, examples: Examples, asked: Asked, names: Sequence[str]
) -> tuple[dict[str, float], list[Image.Image]]:
    """Scores of drawings by a classifier, all of them on every process."""
    if asked.network is None:
        raise UsageError("drawings are looked at by a classifier: name a trained one with --features RUN")
    if "num_images" in asked.generation:
        raise UsageError("there is one drawing a caption: give --limit in place of --num-images")
    captions = _captions(examples)
    drawn = draw_texts(model, captions, **asked.generation)
    real: list[Image.Image] = []  # in the size of the drawings
    for batch in batches(examples, processor, BATCH_SIZE):
        values = processor(images=[example["image"] for example in batch], return_tensors="pt")["pixel_values"]
        real += pictures_of(values / 2 + 0.5)
    seen, seen_real = look(asked.network, drawn), look(asked.network, real)
    classes = list(asked.network.model.config.id2label.values())
    scores: dict[str, float] = {}
    if NAMED in names:
        for key, probabilities in (("named", seen.probabilities), ("named_real", seen_real.probabilities)):
            told = [classes[place] for place in probabilities.argmax(1)]
            hits = [set(name.split()) <= set(caption.split()) for name, caption in zip(told, captions, strict=True)]
            scores[key] = sum(hits) / len(hits)
    if FRECHET in names:
        given = {"predictions": seen.features, "references": seen_real.features, "network": asked.network.row.name}
        scores |= metrics.load(FRECHET).compute(**given)
    return scores, drawn
