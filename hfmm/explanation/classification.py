"""Why this class: the likeliest classes with their probabilities, as bars beside the picture and what was looked at."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image, ImageDraw

from hfmm.explanation.base import Explanation
from hfmm.explanation.drawing import FONT_SIZE, INK, MARGIN, PAPER, font
from hfmm.explanation.overlay import SIDE, overlay, seen_by
from hfmm.explanation.rollout import input_attention

LIKELIEST = 5
BAR, RIGHT, WRONG = (99, 134, 206), (104, 178, 104), (222, 118, 110)
BAR_WIDTH, BAR_HEIGHT = 220, 26  # pixels of a probability of 1


def explain_class(model: Any, processor: Any, image: Image.Image, truth: str | None = None) -> Explanation:
    """Classify a picture and show how sure the model is (Krizhevsky et al. 2012, figure 4) and where it looked.

    Args:
        model: A classifier.
        processor: Its image processor.
        image: Any picture.
        truth: Name of the right class, whose bar is then green, the others red.

    Returns:
        `data` has `labels` and `probabilities`, the likeliest first, and of a Vision Transformer `attention` (h, w),
        the class token's rollout over the patches (Dosovitskiy et al. 2021, figure 6).
    """
    inputs = processor([image], return_tensors="pt").to(model.device)
    with torch.inference_mode():
        probabilities = model(**inputs).logits.float().softmax(-1)[0]
    best = probabilities.topk(min(LIKELIEST, len(probabilities)))
    labels = [model.config.id2label[index] for index in best.indices.tolist()]
    shares = best.values.tolist()
    data = {"labels": labels, "probabilities": [round(share, 6) for share in shares]}
    shown = [seen_by(processor, image)]
    attention = input_attention(model, inputs["pixel_values"])
    if attention is not None:
        weights = attention[0].cpu().numpy()
        data["attention"] = weights.round(6).tolist()
        shown.append(overlay(shown[0], weights))
    return Explanation(labels[0], bars(shown, labels, shares, truth), data)


def bars(
    pictures: Sequence[Image.Image], labels: Sequence[str], shares: Sequence[float], truth: str | None = None
) -> Image.Image:
    """Pictures of SIDE pixels with a bar a class beside them, as long as its share.

    Args:
        pictures: Beside each other.
        labels: Names of classes.
        shares: Between 0 and 1.
        truth: Name of the right class, if it is known.
    """
    step = BAR_HEIGHT + MARGIN
    left = len(pictures) * (SIDE + MARGIN) + 2 * MARGIN
    height = max(SIDE, len(labels) * step - MARGIN) + 2 * MARGIN
    sheet = Image.new("RGB", (left + BAR_WIDTH + 2 * MARGIN, height), PAPER)
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (MARGIN + number * (SIDE + MARGIN), MARGIN))
    draw = ImageDraw.Draw(sheet)
    for number, (label, share) in enumerate(zip(labels, shares, strict=True)):
        top = MARGIN + number * step
        color = BAR if truth is None else RIGHT if label == truth else WRONG
        draw.rectangle((left, top, left + max(1, round(share * BAR_WIDTH)), top + BAR_HEIGHT), fill=color)
        draw.text((left + MARGIN, top + (BAR_HEIGHT - FONT_SIZE) // 2), f"{label}  {share:.3f}", INK, font())
    return sheet
