"""Scores captioners: captions by stock `generate`, then the caption metrics, and strict scores on built-in pictures."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from hfmm import metrics
from hfmm.data.examples import Example, Examples
from hfmm.evaluation.base import Asked, Outcome
from hfmm.evaluation.reading import answers


def caption(
    model: Any,
    processor: Any,
    examples: Examples,
    batch_size: int | None = None,
    processes: tuple[int, int] = (1, 0),
    **generation: Any,
) -> tuple[list[str], list[Example]]:
    """Caption every example once, each process its share; the whole list on every process.

    Args:
        model: A captioner, on its device.
        processor: Its processor.
        examples: With an `image` column.
        batch_size: Pictures at a time.
        processes: (how many share the work, which one this is).
        generation: Arguments of `generate`, over the model's own generation config.

    Returns:
        Captions and examples (without pictures), in the order of `examples`.
    """

    def captions(pictures: list[Image.Image]) -> list[str]:
        ids = model.generate(**processor(images=pictures).to(model.device), **generation)
        found: list[str] = processor.post_process_image_text_to_text(ids)
        return found

    return answers(model, processor, examples, captions, processes, batch_size)


def score_captioner(model: Any, processor: Any, examples: Examples, asked: Asked) -> Outcome:
    """Caption examples and score the captions."""
    captions, read = caption(model, processor, examples, processes=asked.processes, **asked.generation)
    return Outcome(score(captions, read, asked.metrics, asked.training), captions, read)


def score(
    captions: Sequence[str],
    examples: Sequence[Mapping[str, Any]],
    names: Sequence[str] = (),
    training: Sequence[str] = (),
) -> dict[str, float]:
    """Score captions against the examples they describe.

    Args:
        captions: One for each example.
        examples: With `captions`, and `objects` for the strict scores of the built-in pictures.
        names: Metrics; the caption metrics, and the strict ones where they apply, by default.
        training: Training captions, for novelty.
    """
    objects = [json.dumps(example["objects"]) for example in examples if "objects" in example]
    references = [example["captions"] for example in examples]
    scores: dict[str, float] = {}
    for name in names or ("caption",):
        options: dict[str, Any] = {"tokenizer": "ptb"}
        texts: Sequence[Any] = references
        if name in ("exact_objects", "exact_scene"):
            options, texts = {}, objects
        if name in ("caption", "novelty") and training:
            options["training"] = list(training)
        if name == "caption" and objects:
            options["objects"] = objects
        scores |= metrics.load(name).compute(predictions=list(captions), references=texts, **options)
    return {name: float(value) for name, value in scores.items()}
