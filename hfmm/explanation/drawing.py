"""Panels of pictures with words under them, drawn with Pillow alone."""

from bisect import bisect
from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from torch import Tensor

INK, PAPER = (28, 30, 33), (255, 255, 255)
FONT_SIZE = 14
MARGIN = 6


def font(size: int = FONT_SIZE) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, so that nothing need be installed."""
    return ImageFont.load_default(size)


def wrap(text: str, width: int, size: int = FONT_SIZE) -> list[str]:
    """Break a text at spaces, and a word that is too long anywhere, into lines of at most `width` pixels."""
    face = font(size)
    lines: list[str] = []
    for word in text.split():
        if lines and face.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
            continue
        while len(word) > 1 and face.getlength(word) > width:
            end = max(1, bisect(range(len(word)), width, key=lambda end: ceil(face.getlength(word[:end]))) - 1)
            lines.append(word[:end])
            word = word[end:]
        lines.append(word)
    return lines


def pictures_of(images: "Tensor") -> list[Image.Image]:
    """Tensors as pictures. (B, 1 or 3, H, W) in [0, 1] -> B of Pillow's, gray or RGB."""
    values = (images.clamp(0, 1) * 255).round().byte().cpu().permute(0, 2, 3, 1)  # B H W C
    return [Image.fromarray(value.squeeze(-1).numpy()) for value in values]


def panels(pictures: Sequence[Image.Image], texts: Sequence[str], columns: int, side: int = 160) -> Image.Image:
    """A sheet of pictures, each with its text under it.

    Args:
        pictures: Any sizes; each is scaled to fit a square of `side` pixels.
        texts: One for each picture.
        columns: Panels a row.
        side: Pixels.

    Returns:
        An RGB picture.
    """
    wrapped = [wrap(text, side) for text in texts]
    step = FONT_SIZE + 4
    rows = [range(start, min(start + columns, len(pictures))) for start in range(0, len(pictures), columns)]
    heights = [side + 2 * MARGIN + step * max(len(wrapped[index]) for index in row) for row in rows]
    sheet = Image.new("RGB", (columns * (side + MARGIN) + MARGIN, sum(heights) + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    top = MARGIN
    for row, height in zip(rows, heights, strict=True):
        for column, index in enumerate(row):
            left = MARGIN + column * (side + MARGIN)
            picture = pictures[index].convert("RGB")
            scale = side / max(picture.size)
            width, tall = (max(1, round(edge * scale)) for edge in picture.size)
            resample = Image.Resampling.NEAREST if scale >= 4 else Image.Resampling.BICUBIC
            sheet.paste(picture.resize((width, tall), resample), (left + (side - width) // 2, top))
            for number, line in enumerate(wrapped[index]):
                draw.text((left, top + side + 3 + number * step), line, INK, font())
        top += height
    return sheet


def beside(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures beside each other, their tops aligned."""
    gap = 3 * MARGIN
    width = sum(picture.width for picture in pictures) + gap * (len(pictures) - 1)
    sheet = Image.new("RGB", (width, max(picture.height for picture in pictures)), PAPER)
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width + gap
    return sheet


def below(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures below each other, their left sides aligned."""
    gap = 2 * MARGIN
    height = sum(picture.height for picture in pictures) + gap * (len(pictures) - 1)
    sheet = Image.new("RGB", (max(picture.width for picture in pictures), height), PAPER)
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height + gap
    return sheet
