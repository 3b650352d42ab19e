"""Why this class: the likeliest classes with their probabilities, as bars beside the picture."""

from typing import Any

import torch
from PIL import Image, ImageDraw

from hfmm.explanation.base import Explanation
from hfmm.explanation.captioning import SIDE, seen_by
from hfmm.explanation.drawing import FONT_SIZE, INK, MARGIN, PAPER, font

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
        `data` has `labels` and `probabilities`, the likeliest first.
    """
    inputs = processor([image], return_tensors="pt").to(model.device)
    with torch.inference_mode():
        probabilities = model(**inputs).logits.float().softmax(-1)[0]
    best = probabilities.topk(min(LIKELIEST, len(probabilities)))
    labels = [model.config.id2label[index] for index in best.indices.tolist()]
    shares = best.values.tolist()
    sheet = bars(seen_by(processor, image), labels, shares)
    return Explanation(labels[0], sheet, {"labels": labels, "probabilities": [round(share, 6) for share in shares]})


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
