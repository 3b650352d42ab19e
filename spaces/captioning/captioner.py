"""Captioners: loading them, and what they say of a picture."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pictures import overlay, seen_by
from PIL import Image
from serving import name_of, place
from transformers import AutoModelForImageTextToText, AutoProcessor


@dataclass(frozen=True)
class Captioner:
    """A model that says what is on a picture, in evaluation mode.

    Attributes:
        name: What people choose it by.
        model: From AutoModelForImageTextToText.
        processor: Its processor.
    """

    name: str
    model: Any
    processor: Any


@dataclass(frozen=True)
class Answer:
    """What a captioner says of a picture.

    Attributes:
        captions: Best first.
        scores: Their log-probabilities, or as the model's length penalty makes them.
        panels: (picture, word) in order; the picture alone where there is no attention.
    """

    captions: list[str]
    scores: list[float]
    panels: list[tuple[Image.Image, str]]


def load(where: str, own_code: bool) -> Captioner:
    """Load a captioner, from safetensors only; see `serving.place`."""
    name, options = place(where, own_code)
    model = AutoModelForImageTextToText.from_pretrained(name, use_safetensors=True, **options).eval()
    return entry(model, AutoProcessor.from_pretrained(name, **options), name)


def entry(model: Any, processor: Any, where: str) -> Captioner:
    """A captioner named after its architecture and place."""
    return Captioner(name_of(model, where), model, processor)


@torch.inference_mode()
def describe(captioner: Captioner, picture: Image.Image, count: int) -> Answer:
    """Caption a picture by beam search.

    Args:
        captioner: The model.
        picture: RGB.
        count: Captions wanted.
    """
    model, processor = captioner.model, captioner.processor
    inputs = processor(images=picture, return_tensors="pt").to(model.device)
    output = model.generate(
        **inputs,
        num_beams=max(count, 2, model.generation_config.num_beams or 1),  # a search of one reports no scores
        num_return_sequences=count,
        return_dict_in_generate=True,
        output_scores=True,
    )
    captions = processor.tokenizer.batch_decode(output.sequences, skip_special_tokens=True)
    scores = [round(score, 2) for score in output.sequences_scores.tolist()]
    words = output.sequences[0, 1:].tolist()
    if model.generation_config.eos_token_id in words:
        words = words[: words.index(model.generation_config.eos_token_id)]
    seen = seen_by(processor, picture)
    if not words:
        return Answer(captions, scores, [(seen, "the picture; this caption has no words")])
    maps = attention_of(model, inputs["pixel_values"], words)
    if maps is None:
        return Answer(captions, scores, [(seen, "the picture; this architecture has no attention map")])
    lit = [overlay(seen, attention) for attention in maps]
    return Answer(captions, scores, list(zip(lit, processor.tokenizer.convert_ids_to_tokens(words), strict=True)))


def attention_of(model: Any, pixels: torch.Tensor, words: list[int]) -> np.ndarray | None:
    """Where the model looked at each word.

    Args:
        model: A captioner.
        pixels: (1, 3, H, W).
        words: T token ids.

    Returns:
        (T, h, w), or None for a model without attention over a square of regions.
    """
    attentions = model(pixel_values=pixels, labels=torch.tensor([words], device=pixels.device)).get("cross_attentions")
    if not attentions or attentions[0].ndim != 3:
        return None
    attention = attentions[0][0].float().cpu().numpy()  # T L
    side = round(attention.shape[1] ** 0.5)
    return attention.reshape(-1, side, side) if side * side == attention.shape[1] else None  # T h w
