"""What the encoder was asked, and its answer: the exam as a picture."""

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from hfmm.explanation.base import Explanation
from hfmm.explanation.drawing import panels, pictures_of
from hfmm.explanation.overlay import SIDE

BLANK = 0.9  # gray of a place without a tile
GAP = 2  # pixels between tiles
MIDDLE, CELLS = 4, 9  # of a 3 x 3 grid


def explain_pretext(model: Any, processor: Any, image: Image.Image) -> Explanation:
    """Set a picture's exam and show what the model answers.

    Args:
        model: Of a pretext task.
        processor: Its image processor.
        image: Any picture.

    Returns:
        A jigsaw puzzle as it was shown and as the model lays it; two patches where the model puts them and where they
        were; two patches and whether they are of one picture; or the hole, what was painted and what was there. `data`
        has `label` and `probabilities`, but for inpainting.
    """
    inputs = processor([image], return_tensors="pt").to(model.device)
    with torch.inference_mode():
        output = model(**inputs)
    if output.logits is None:
        return _painted(model, inputs, output.reconstruction)
    probabilities, label = output.logits[0].float().softmax(-1), int(inputs["labels"])
    answer = int(probabilities.argmax())
    tiles = _visible(inputs["pixel_values"][0])  # P C h w
    shown = {"jigsaw": _puzzle, "relative_position": _placed, "same_image": _pair}[model.config.task]
    sheet = shown(model, tiles, answer, label)
    verdict = "right" if answer == label else f"but it is {label}"
    title = f"{model.config.task.replace('_', ' ')}: option {answer} with {float(probabilities[answer]):.2f}, {verdict}"
    return Explanation(title, sheet, {"label": label, "probabilities": probabilities.tolist()})


def _visible(tiles: Tensor) -> Tensor:
    """Normalized tiles with the least value black and the greatest white. (P, C, h, w)."""
    low, high = tiles.amin((1, 2, 3), keepdim=True), tiles.amax((1, 2, 3), keepdim=True)
    return (tiles - low) / (high - low).clamp(min=1e-6)


def _grid(tiles: dict[int, Tensor], columns: int, rows: int) -> Image.Image:
    """Tiles, each (C, h, w), at their cells in reading order."""
    first = next(iter(tiles.values()))
    step = first.shape[-1] + GAP
    sheet = torch.full((3, rows * step - GAP, columns * step - GAP), BLANK)
    for cell, tile in tiles.items():
        top, left = cell // columns * step, cell % columns * step
        sheet[:, top : top + step - GAP, left : left + step - GAP] = tile.cpu()
    return pictures_of(sheet[None])[0]


def _puzzle(model: Any, tiles: Tensor, answer: int, label: int) -> Image.Image:
    orders, side = model.config.permutations, model.config.grid_size
    laid = [_grid(dict(zip(order, tiles, strict=True)), side, side) for order in (orders[answer], orders[label])]
    shown = _grid(dict(enumerate(tiles)), side, side)
    return panels([shown, *laid], ["as it was shown", "as the model lays it", "as it was"], columns=3, side=SIDE)


def _placed(model: Any, tiles: Tensor, answer: int, label: int) -> Image.Image:
    around = [cell for cell in range(CELLS) if cell != MIDDLE]
    laid = [_grid({MIDDLE: tiles[0], around[place]: tiles[1]}, 3, 3) for place in (answer, label)]
    asked = _grid(dict(enumerate(tiles)), 2, 1)
    return panels([asked, *laid], ["where is the second?", "the model's answer", "as it was"], columns=3, side=SIDE)


def _pair(model: Any, tiles: Tensor, answer: int, label: int) -> Image.Image:
    said = "one picture" if answer else "two pictures"
    return panels(pictures_of(tiles), ["of one picture?", f"{said}, says the model"], columns=2, side=SIDE)


def _painted(model: Any, inputs: Any, painted: Tensor) -> Explanation:
    whole, hole = inputs["pixel_values"][:, 0], painted.shape[-1]
    filled = whole.clone()
    top, left = ((side - hole) // 2 for side in whole.shape[-2:])
    filled[..., top : top + hole, left : left + hole] = painted
    strip = pictures_of((torch.cat([model.head.hide(whole), filled, whole]) + 1) / 2)
    error = float((painted - inputs["labels"]).abs().mean() / 2)
    sheet = panels(strip, ["what it sees", "what it paints", "what was there"], columns=3, side=SIDE)
    return Explanation(f"painted with a mean error of {error:.3f}", sheet, {"mean_absolute_error": error})
