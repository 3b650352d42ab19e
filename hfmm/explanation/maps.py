"""Maps of picture collections, drawn: the pictures themselves in a grid, points by class, and rows of neighbors."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hfmm.explanation.drawing import FONT_SIZE, INK, MARGIN, PAPER, below, font, panels
from hfmm.explanation.media import EDGE, IGNORED, Color, color_of, enlarged

MAP_SIDE = 640  # pixels
QUERY_SIDE = 80
LEAST_CELL = 16  # of a grid
DOT = 4  # from the middle of a point to its rim
NAMED = 24  # classes whose colors an eye can tell apart, and that have a key, at most


def grid(pictures: Sequence[Image.Image], places: Sequence[Sequence[int]], side: int = MAP_SIDE) -> Image.Image:
    """Pictures at their places (row, column), each scaled to fit, on a square of about `side` pixels."""
    cells = max(max(place) for place in places) + 1
    cell = max(side // cells, LEAST_CELL)
    sheet = Image.new("RGB", (cells * cell, cells * cell), PAPER)
    for picture, (row, column) in zip(pictures, places, strict=True):
        small = enlarged(picture, cell - 2, cell - 2)
        sheet.paste(small, (column * cell + (cell - small.width) // 2, row * cell + (cell - small.height) // 2))
    return sheet


def point_map(
    points: NDArray[np.float64], labels: Sequence[int | None], names: Sequence[str], side: int = MAP_SIDE
) -> Image.Image:
    """Points as dots of the color of their class, gray without one, and a key under them.

    Args:
        points: (N, 2).
        labels: Class of each.
        names: Of the classes.
        side: Pixels.
    """
    low, high = points.min(0), points.max(0)
    inner = side - 4 * DOT
    middles = 2 * DOT + (points - low) / np.maximum(high - low, 1e-12) * inner  # N 2
    sheet = Image.new("RGB", (side, side), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((0, 0, side - 1, side - 1), outline=EDGE)
    for (x, y), label in zip(middles.tolist(), labels, strict=True):
        color = IGNORED if label is None else color_of(label)
        draw.ellipse((x - DOT, y - DOT, x + DOT, y + DOT), fill=color)
    present = sorted({label for label in labels if label is not None})
    if not 0 < len(present) <= NAMED:
        return sheet
    return below([sheet, color_key([(color_of(label), names[label]) for label in present], side)])


def color_key(entries: Sequence[tuple[Color, str]], width: int) -> Image.Image:
    """Colored dots with names, in columns as wide as the longest."""
    step = FONT_SIZE + 6
    longest = max(int(font().getlength(name)) for _, name in entries) + 5 * DOT + MARGIN
    columns = max(1, width // longest)
    sheet = Image.new("RGB", (width, step * -(-len(entries) // columns)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (color, name) in enumerate(entries):
        left, top = number % columns * longest, number // columns * step
        middle = top + step // 2
        draw.ellipse((left, middle - DOT, left + 2 * DOT, middle + DOT), fill=color)
        draw.text((left + 4 * DOT, top + 2), name, INK, font())
    return sheet


def neighbor_rows(
    pictures: Sequence[Image.Image],
    rows: Sequence[int],
    nearest: Sequence[Sequence[int]],
    said: Sequence[Sequence[str]],
    side: int = QUERY_SIDE,
) -> Image.Image:
    """A row for each of some pictures: itself, and then those nearest to it (AlexNet, figure 4).

    Args:
        pictures: N.
        rows: Which of them are asked for.
        nearest: For each of the N, rows of its K nearest.
        said: What is under each of those.
        side: Pixels of each.
    """
    shown = [pictures[place] for row in rows for place in (row, *nearest[row])]
    texts = [text for row in rows for text in ("query", *said[row])]
    sheet = panels(shown, texts, columns=1 + len(nearest[0]), side=side)
    rule = side + MARGIN + MARGIN // 2
    ImageDraw.Draw(sheet).line((rule, 0, rule, sheet.height), fill=EDGE, width=2)
    return sheet
