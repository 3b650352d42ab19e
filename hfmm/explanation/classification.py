"""Why this class: the likeliest classes as bars beside the picture, and where the model looked."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from hfmm.explanation.base import Explanation
from hfmm.explanation.drawing import FONT_SIZE, INK, MARGIN, PAPER, below, font, panels
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
        the class token's rollout over the patches (Dosovitskiy et al. 2021, figure 6); of a model that returns
        `mask_attentions`, `masks`: of each attention module its mask, (h, w), a mean over channels.
    """
    inputs = processor([image], return_tensors="pt").to(model.device)
    with torch.inference_mode():
        output = model(**inputs)
    probabilities = output.logits.float().softmax(-1)[0]
    best = probabilities.topk(min(LIKELIEST, len(probabilities)))
    labels = [model.config.id2label[index] for index in best.indices.tolist()]
    shares = best.values.tolist()
    data: dict[str, Any] = {"labels": labels, "probabilities": [round(share, 6) for share in shares]}
    shown = [seen_by(processor, image)]
    attention = input_attention(model, inputs["pixel_values"])
    if attention is not None:
        weights = attention[0].cpu().numpy()
        data["attention"] = weights.round(6).tolist()
        shown.append(overlay(shown[0], weights))
    sheet = bars(shown, labels, shares, truth)
    masks = [mask[0].float().mean(0).cpu().numpy() for mask in output.get("mask_attentions") or ()]  # each h w
    if masks:
        data["masks"] = [mask.round(6).tolist() for mask in masks]
        sheet = below([sheet, masked(shown[0], masks)])
    return Explanation(labels[0], sheet, data)


def masked(picture: Image.Image, masks: Sequence[np.ndarray]) -> Image.Image:
    """A panel a mask (h, w): the picture, darkest where the mask is lowest and as it is where the mask is highest."""
    lit = [overlay(picture, mask - mask.min()) for mask in masks]
    texts = [f"mask {number}, {len(mask)} x {mask.shape[1]}" for number, mask in enumerate(masks, 1)]
    return panels(lit, texts, columns=min(len(masks), 3), side=SIDE)


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
