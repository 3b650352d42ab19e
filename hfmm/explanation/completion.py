"""What an autoregressive model makes of a picture: how much each pixel surprised it, and how it would go on."""

from typing import Any, Protocol, runtime_checkable

import torch
from PIL import Image
from torch import Tensor

from hfmm.explanation.base import Explanation
from hfmm.explanation.drawing import panels, pictures_of

SIDE = 96  # pixels of a panel
DRAWN = 9  # lower halves


@runtime_checkable
class Completes(Protocol):
    """A model that says of each value how likely it was given those before it, and draws the rows that are missing."""

    def nats_of(self, pixel_values: Tensor, logits: Tensor) -> Tensor:
        """(B, C, H, W) and what `forward` puts out -> (B, C, H, W)."""
        ...

    def complete(self, pixel_values: Tensor, rows: int, generator: torch.Generator | None = None) -> Tensor:
        """Keep the first rows and draw the others. (B, C, H, W) -> (B, C, H, W)."""
        ...


def explain_completion(model: Any, processor: Any, image: Image.Image) -> Explanation:
    """Show where a picture surprised a model, and lower halves that it draws under the upper one.

    Args:
        model: As [`Completes`].
        processor: Its image processor.
        image: Any picture.

    Returns:
        The picture as the model sees it, its surprise (white where it is largest), what is kept of it, and the lower
        halves. `data` has `nats`, of the picture, and `nats_of_pixels`, rows of it.
    """
    with torch.inference_mode():
        pixel_values = processor([image], return_tensors="pt")["pixel_values"].to(model.device)
        nats = model.nats_of(pixel_values, model(pixel_values).logits).sum(1, keepdim=True)  # 1 1 H W
        rows = pixel_values.shape[2] // 2
        kept = pixel_values.clone()
        kept[:, :, rows:] = 0.5
        drawn = model.complete(pixel_values.repeat(DRAWN, 1, 1, 1), rows, torch.Generator().manual_seed(0))
    shown = [tensor for part in (pixel_values, nats / nats.max(), kept, drawn) for tensor in pictures_of(part)]
    said = ["as it sees it", f"surprise, up to {float(nats.max()):.1f} nats", "kept", *["drawn on"] * DRAWN]
    title = f"{float(nats.sum()):.1f} nats, {float(nats[:, :, rows:].sum()):.1f} of them in the lower half"
    data = {"nats": float(nats.sum()), "nats_of_pixels": nats[0, 0].tolist()}
    return Explanation(title, panels(shown, said, columns=6, side=SIDE), data)
