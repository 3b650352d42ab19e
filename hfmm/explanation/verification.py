"""Why these two faces: what lies nearest, by which places a face is known, and what every threshold accepts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hfmm.explanation.base import Explanation
from hfmm.explanation.drawing import INK, PAPER, font, panels
from hfmm.explanation.media import EDGE, color_of
from hfmm.explanation.overlay import SIDE, overlay, seen_by

NEAREST = 5
PLACES, PATCH = 8, 8  # places a side that are hidden, and how many half patches the side holds
DECADES = 3  # of the false accepts that a curve is drawn over

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]  # false accepts and true accepts, from the strictest threshold


def embed(model: Any, processor: Any, pictures: Sequence[Image.Image]) -> NDArray[np.float64]:
    """Embeddings of pictures.

    Args:
        model: On its device, in evaluation mode.
        processor: Its image processor.
        pictures: Any.

    Returns:
        (M, D), unit length.
    """
    inputs = processor(list(pictures), return_tensors="pt").to(model.device)
    with torch.inference_mode():
        found: NDArray[np.float64] = model(**inputs).image_embeds.double().cpu().numpy()
    return found


def explain_face(
    model: Any, processor: Any, image: Image.Image, gallery: Sequence[tuple[Image.Image, str]] = ()
) -> Explanation:
    """Show which pictures of a gallery a face is nearest to; without a gallery, by which places it is known.

    Args:
        model: With `image_embeds`.
        processor: Its image processor.
        image: Any picture.
        gallery: Pictures, and who is on each.

    Returns:
        With a gallery the nearest pictures; `data` has `names` and `similarities` (cosines), nearest first. Without,
        the picture lit where hiding a place moves its embedding most; `data` has `moved`, (PLACES, PLACES), 1 - cosine.
    """
    if gallery:
        return nearest_faces(model, processor, image, gallery)
    moves = occlusion(model, processor, image)
    title = f"hiding a place moves the face by up to {moves.max():.2f} (1 - cosine)"
    seen = seen_by(processor, image)
    sheet = panels([seen, overlay(seen, moves)], ["as it sees it", "known by what is lit"], columns=2, side=SIDE)
    return Explanation(title, sheet, {"moved": moves.round(6).tolist()})


def nearest_faces(
    model: Any, processor: Any, image: Image.Image, gallery: Sequence[tuple[Image.Image, str]], count: int = NEAREST
) -> Explanation:
    """The pictures of a gallery that are most like a picture; see `explain_face`."""
    pictures = [image, *(picture for picture, _ in gallery)]
    embeds = embed(model, processor, pictures)
    similarities = embeds[1:] @ embeds[0]  # M
    order = np.argsort(-similarities, kind="stable")[:count].tolist()
    names = [gallery[row][1] for row in order]
    shares = [round(float(similarities[row]), 6) for row in order]
    texts = ["who is this?", *(f"{name}  {share:.2f}" for name, share in zip(names, shares, strict=True))]
    sheet = panels([image, *(gallery[row][0] for row in order)], texts, columns=1 + count, side=SIDE)
    return Explanation(f"{names[0]}, {shares[0]:.2f}", sheet, {"names": names, "similarities": shares})


def occlusion(model: Any, processor: Any, image: Image.Image) -> NDArray[np.float64]:
    """How far hiding each place moves the embedding: 1 - cosine (Zeiler and Fergus, arXiv 1311.2901, section 4.2).

    Returns:
        (PLACES, PLACES), at least 0.
    """
    picture = image.convert("RGB")
    width, height = picture.size
    gray = tuple(round(value) for value in np.asarray(picture).mean((0, 1)).tolist())
    hidden = [picture]
    for row in range(PLACES):
        for column in range(PLACES):
            x, y = (round((place + 0.5) / PLACES * side) for place, side in ((column, width), (row, height)))
            copy = picture.copy()
            copy.paste(gray, (x - width // PATCH, y - height // PATCH, x + width // PATCH, y + height // PATCH))
            hidden.append(copy)
    embeds = embed(model, processor, hidden)
    return np.clip(1 - embeds[1:] @ embeds[0], 0, None).reshape(PLACES, PLACES)


def roc_picture(curves: Mapping[str, Curve], side: int = 320) -> Image.Image:
    """Share of same pairs accepted over the share of others accepted, a line for each of several models.

    The false accepts are on a logarithmic axis, from one in a thousand on: what matters is at few of them.

    Args:
        curves: By the words of the legend.
        side: Pixels of the plot.
    """
    left, top = 52, 24
    sheet = Image.new("RGB", (side + left + 16, side + top + 44), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((left, top, left + side, top + side), outline=INK)
    for decade in range(DECADES + 1):
        x = left + side * decade / DECADES
        draw.line((x, top, x, top + side), fill=EDGE)
        draw.text((x - 14, top + side + 4), f"{10.0 ** (decade - DECADES):g}", INK, font(12))
    for step in range(6):
        y = top + side * (1 - step / 5)
        draw.line((left, y, left + side, y), fill=EDGE)
        draw.text((left - 30, y - 8), f"{step / 5:.1f}", INK, font(12))
    draw.text((left, top + side + 22), "different persons accepted", INK, font())
    draw.text((left, 2), "same person accepted", INK, font())
    for number, (name, (false_accepts, true_accepts)) in enumerate(curves.items()):
        rates = np.maximum(false_accepts, 10.0**-DECADES)
        across = left + side * (1 + np.log10(rates) / DECADES)
        points = list(zip(across.tolist(), (top + side * (1 - true_accepts)).tolist(), strict=True))
        draw.line(points, fill=color_of(number), width=2)
        draw.text((left + side // 3, top + side - 24 * (len(curves) - number)), name, color_of(number), font())
    return sheet
