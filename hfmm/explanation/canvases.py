"""How a picture comes about: the canvas after each step, and where a model that draws in steps looks and draws."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from hfmm.explanation.base import Explanation
from hfmm.explanation.drawing import panels, pictures_of

SIDE = 72  # pixels of a panel
COLUMNS = 12  # steps that are shown, at most
DRAWN = 4  # pictures that are drawn of the prior
Color = tuple[int, int, int]
LOOKS, DRAWS = (0, 160, 70), (220, 30, 30)


@runtime_checkable
class DrawsInSteps(Protocol):
    """A model whose output holds the canvas after each step, and windows where it has attention."""

    def draw(self, latents: Tensor, state: Any) -> Any:
        """Take a step from one state to the next. (B, L)."""
        ...

    def generate(self, num_images: int = 1, generator: torch.Generator | None = None) -> Any:
        """An output with `canvases` (T, B, C, H, W) of the prior."""
        ...


def framed(picture: Image.Image, window: Sequence[float], number: int, color: Color) -> Image.Image:
    """Enlarge a picture and draw a window of Gaussian filters: through the outermost centers, its border sigma wide.

    Args:
        picture: Square.
        window: g_X, g_Y, delta, sigma^2 in pixels counted from 1, and gamma, which is not drawn.
        number: Filters along an edge.
        color: Of the border.
    """
    scale = SIDE / picture.width
    enlarged = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.NEAREST)
    center_x, center_y, distance, variance, _ = window
    border = max(1, round(variance**0.5 * scale))
    half = (number - 1) / 2 * distance * scale + border / 2
    left, top = ((center - 0.5) * scale - half for center in (center_x, center_y))
    ImageDraw.Draw(enlarged).rectangle((left, top, left + 2 * half, top + 2 * half), outline=color, width=border)
    return enlarged


def row_of(images: Tensor, windows: Tensor | None, number: int | None, color: Color) -> list[Image.Image]:
    """The pictures of all steps, framed where there are windows. (T, C, H, W) in [0, 1] and (T, 5) -> T pictures."""
    pictures = pictures_of(images)
    if windows is None or number is None:
        return [picture.resize((SIDE, SIDE), Image.Resampling.NEAREST) for picture in pictures]
    return [framed(picture, window, number, color) for picture, window in zip(pictures, windows.tolist(), strict=True)]


def rows_of(output: Any, number: int | None) -> list[list[Image.Image]]:
    """The canvases of each picture of an output in their order, the window that is drawn in framed."""
    canvases = output.canvases.sigmoid()  # T B C H W
    windows = [None] * canvases.shape[1] if output.write_windows is None else output.write_windows.unbind(1)
    return [row_of(images, window, number, DRAWS) for images, window in zip(canvases.unbind(1), windows, strict=True)]


def explain_canvases(model: Any, processor: Any, image: Image.Image) -> Explanation:
    """Show how a picture is read and drawn again, and how new ones are drawn (Gregor et al. 2015, figure 1).

    Args:
        model: As [`DrawsInSteps`].
        processor: Its image processor.
        image: Any picture.

    Returns:
        A row a picture, time going right: the picture with the window that is read in green (with attention), then its
        canvases with the window that is drawn in red, then new pictures alike. `frames` has the steps one by one;
        `data` has `nats` (of each step, its KL), `reconstruction` (nats that remain), `read_windows`, `write_windows`.
    """
    with torch.inference_mode():
        pixel_values = processor([image], return_tensors="pt")["pixel_values"].to(model.device)
        output = model(pixel_values)
        drawn = model.generate(DRAWN, generator=torch.Generator().manual_seed(0))
    steps, config = len(output.canvases), model.config
    rows = rows_of(output, config.write_size) + rows_of(drawn, config.write_size)
    data = {"nats": output.kl_per_step[0].tolist(), "reconstruction": float(output.losses["reconstruction"])}
    if output.read_windows is not None:
        looked = pixel_values.expand(steps, -1, -1, -1), output.read_windows[:, 0]
        rows.insert(0, row_of(*looked, config.read_size, LOOKS))
        data |= {name: output[name][:, 0].tolist() for name in ("read_windows", "write_windows")}
    shown = sorted({round(place) for place in torch.linspace(0, steps - 1, min(COLUMNS, steps)).tolist()})
    texts = [f"step {step + 1}" for step in shown] + [""] * len(shown) * (len(rows) - 1)
    sheet = panels([row[step] for row in rows for step in shown], texts, columns=len(shown), side=SIDE)
    frames = [panels([row[step] for row in rows], [""] * len(rows), len(rows), SIDE) for step in range(steps)]
    title = f"{sum(data['nats']):.1f} nats read in {steps} steps, {data['reconstruction']:.1f} nats left in the pixels"
    return Explanation(title, sheet, data, tuple(frames))
