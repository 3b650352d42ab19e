"""Why this class: the likeliest classes with their probabilities, as bars beside the picture, and masks below them."""

from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from hfmm.explanation.base import Explanation
from hfmm.explanation.captioning import SIDE, overlay, seen_by
from hfmm.explanation.drawing import FONT_SIZE, INK, MARGIN, PAPER, font, panels

LIKELIEST = 5
BAR = (99, 134, 206)
BAR_WIDTH, BAR_HEIGHT = 220, 26  # pixels of a probability of 1


def explain_class(model: Any, processor: Any, image: Image.Image) -> Explanation:
    """Classify a picture and show how sure the model is (Krizhevsky et al. 2012, figure 4).

    Args:
        model: A classifier.
        processor: Its image processor.
        image: Any picture.

    Returns:
        `data` has `labels` and `probabilities`, the likeliest first, and, of a model that returns `mask_attentions`,
        `masks`: of each attention module its mask, (h, w), a mean over channels.
    """
    inputs = processor([image], return_tensors="pt").to(model.device)
    with torch.inference_mode():
        output = model(**inputs)
    probabilities = output.logits.float().softmax(-1)[0]
    best = probabilities.topk(min(LIKELIEST, len(probabilities)))
    labels = [model.config.id2label[index] for index in best.indices.tolist()]
    shares = best.values.tolist()
    picture = seen_by(processor, image)
    sheet = bars(picture, labels, shares)
    data: dict[str, Any] = {"labels": labels, "probabilities": [round(share, 6) for share in shares]}
    masks = [mask[0].float().mean(0).cpu().numpy() for mask in output.get("mask_attentions") or ()]  # each h w
    if masks:
        data["masks"] = [mask.round(6).tolist() for mask in masks]
        sheet = below(sheet, masked(picture, masks))
    return Explanation(labels[0], sheet, data)


def masked(picture: Image.Image, masks: list[np.ndarray]) -> Image.Image:
    """A panel a mask (h, w): the picture, darkest where the mask is lowest and as it is where the mask is highest."""
    lit = [overlay(picture, mask - mask.min()) for mask in masks]
    texts = [f"mask {number}, {len(mask)} x {mask.shape[1]}" for number, mask in enumerate(masks, 1)]
    return panels(lit, texts, columns=min(len(masks), 3), side=SIDE)


def below(first: Image.Image, second: Image.Image) -> Image.Image:
    """Two sheets, the second under the first."""
    both = Image.new("RGB", (max(first.width, second.width), first.height + second.height), PAPER)
    both.paste(first, (0, 0))
    both.paste(second, (0, first.height))
    return both


def bars(picture: Image.Image, labels: list[str], shares: list[float]) -> Image.Image:
    """A picture of SIDE pixels with a bar a class beside it, as long as its share."""
    step = BAR_HEIGHT + MARGIN
    height = max(SIDE, len(labels) * step) + 2 * MARGIN
    sheet = Image.new("RGB", (SIDE + BAR_WIDTH + 4 * MARGIN, height), PAPER)
    sheet.paste(picture, (MARGIN, MARGIN))
    draw = ImageDraw.Draw(sheet)
    left = SIDE + 3 * MARGIN
    for number, (label, share) in enumerate(zip(labels, shares, strict=True)):
        top = MARGIN + number * step
        draw.rectangle((left, top, left + max(1, round(share * BAR_WIDTH)), top + BAR_HEIGHT), fill=BAR)
        draw.text((left + MARGIN, top + (BAR_HEIGHT - FONT_SIZE) // 2), f"{label}  {share:.3f}", INK, font())
    return sheet
