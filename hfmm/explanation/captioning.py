"""Why this caption: where the model looked at each word, or, without attention, its best captions and their scores."""

from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from hfmm.errors import UsageError
from hfmm.explanation.base import Explanation
from hfmm.explanation.drawing import panels
from hfmm.explanation.overlay import SIDE, overlay, seen_by

FRAME = (255, 140, 0)


def explain_caption(model: Any, processor: Any, image: Image.Image, **generation: Any) -> Explanation:
    """Caption a picture and show why.

    Args:
        model: A captioner.
        processor: Its processor.
        image: Any picture.
        generation: Arguments of `generate`.

    Returns:
        For attention captioners a panel a word, `data["words"]`, `data["attention"]` (words, h, w) and, for hard
        attention, `data["read"]`, the (row, column) that it read; for others the best captions, `data["captions"]` and
        `data["scores"]` (log-probabilities).
    """
    inputs = processor(images=image).to(model.device)
    with torch.inference_mode():
        ids = model.generate(**inputs, **generation)
        labels = _labels(ids[0], model.generation_config)
        output = model(pixel_values=inputs["pixel_values"], labels=labels[None])
    if output.cross_attentions is None:
        return _best_captions(model, processor, image, inputs, **generation)
    caption = processor.post_process_image_text_to_text(ids)[0]
    words = processor.tokenizer.convert_ids_to_tokens(labels.tolist())
    maps = _square(output.cross_attentions[0][0])  # T h w
    picture = seen_by(processor, image)
    lit = [overlay(picture, attention) for attention in maps]
    data = {"caption": caption, "words": words, "attention": maps.round(6).tolist()}
    samples = output.get("attention_samples")  # hard attention read one place a word
    if samples is not None:
        places = [divmod(int(place), maps.shape[2]) for place in samples[0].argmax(1)]
        lit = [framed(panel, place, maps.shape[2]) for panel, place in zip(lit, places, strict=True)]
        data["read"] = [list(place) for place in places]
    sheet = panels([picture, *lit], [caption, *words], columns=6, side=SIDE)
    return Explanation(caption, sheet, data)


def framed(picture: Image.Image, place: tuple[int, int], cells: int) -> Image.Image:
    """A picture with a frame around the (row, column) that hard attention read, of `cells` a side."""
    size = picture.width / cells
    top, left = place[0] * size, place[1] * size
    ImageDraw.Draw(picture).rectangle((left, top, left + size, top + size), outline=FRAME, width=2)
    return picture


def _labels(ids: torch.Tensor, generation_config: Any) -> torch.Tensor:
    """The words of a generated row: after the start, up to and including the end."""
    words = ids[1:].tolist()
    if generation_config.eos_token_id in words:
        words = words[: words.index(generation_config.eos_token_id) + 1]
    return torch.tensor(words, device=ids.device)  # T


def _square(attention: torch.Tensor) -> np.ndarray:
    """(T, L) to (T, h, w).

    Raises:
        UsageError: The annotations do not form a square.
    """
    side = round(attention.shape[1] ** 0.5)
    if side * side != attention.shape[1]:
        raise UsageError(f"{attention.shape[1]} annotations do not form a square: this backbone cannot be overlaid")
    return attention.float().cpu().numpy().reshape(-1, side, side)


def _best_captions(model: Any, processor: Any, image: Image.Image, inputs: Any, **generation: Any) -> Explanation:
    count = max(model.generation_config.num_beams or 1, generation.pop("num_beams", 1), 3)
    with torch.inference_mode():
        output = model.generate(
            **inputs,
            **generation,
            num_beams=count,
            num_return_sequences=3,
            return_dict_in_generate=True,
            output_scores=True,
        )
    captions = processor.post_process_image_text_to_text(output.sequences)
    scores = output.sequences_scores.tolist()
    text = "   ".join(f"{score:.2f}: {caption}" for caption, score in zip(captions, scores, strict=True))
    picture = panels([seen_by(processor, image)], [text], columns=1, side=2 * SIDE)
    return Explanation(captions[0], picture, {"caption": captions[0], "captions": captions, "scores": scores})
