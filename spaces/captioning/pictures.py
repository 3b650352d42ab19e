"""Attention, drawn over what the model saw."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE = 160  # pixels of a panel
DIMMED = 0.4  # brightness of what was not looked at
FONT_SIZE = 14
INK, PAPER = (28, 30, 33), (255, 255, 255)


def seen_by(processor: Any, picture: Image.Image) -> Image.Image:
    """What the image processor cuts out of a picture, before normalization, SIDE pixels wide."""
    prepared = processor.image_processor(picture, do_rescale=False, do_normalize=False, return_tensors="np")
    pixels = np.moveaxis(np.asarray(prepared["pixel_values"][0]), 0, -1)  # H W 3
    return Image.fromarray(pixels.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def overlay(picture: Image.Image, attention: np.ndarray) -> Image.Image:
    """A picture lit where attention (h, w) lies (Xu et al. 2015, figure 5)."""
    small = Image.fromarray((attention / max(float(attention.max()), 1e-12) * 255).astype(np.uint8))
    cell = picture.width / attention.shape[1]
    light = small.resize(picture.size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(cell / 3))
    brightness = DIMMED + (1 - DIMMED) * np.asarray(light, dtype=np.float32)[:, :, None] / 255  # H W 1
    return Image.fromarray((np.asarray(picture, dtype=np.float32) * brightness).astype(np.uint8))


def sheet_of(panels: Sequence[tuple[Image.Image, str]], columns: int = 4) -> Image.Image:
    """All panels of an answer on one sheet, each over its word; a single one as it is."""
    if len(panels) == 1:
        return panels[0][0]
    step, gap = FONT_SIZE + 8, 6
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    sheet = Image.new("RGB", (columns * (SIDE + gap) + gap, rows * (SIDE + step + gap) + gap), PAPER)
    draw, face = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE)
    for index, (picture, word) in enumerate(panels):
        left, top = gap + index % columns * (SIDE + gap), gap + index // columns * (SIDE + step + gap)
        sheet.paste(picture, (left, top))
        draw.text((left, top + SIDE + 2), word, INK, face)
    return sheet
