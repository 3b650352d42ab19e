"""How noise and pictures become each other: a picture that is buried in noise, and pictures that come out of it."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from PIL import Image
from torch import Tensor

from hfmm.explanation.base import Explanation
from hfmm.explanation.drawing import panels, pictures_of

SIDE = 72  # pixels of a panel
COLUMNS = 10  # levels of noise that are shown
DRAWN = 3  # new pictures
STEPS = 50  # from noise to a new picture


@runtime_checkable
class Denoises(Protocol):
    """A model that buries pictures in noise, guesses the picture in noise, and so draws new ones."""

    def forward_strip(
        self, pixel_values: Tensor, levels: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """One picture (1, C, H, W) at levels (L,), and what is seen in each: two of (L, C, H, W), in [0, 1]."""
        ...

    def reverse_strip(self, num_images: int, generator: torch.Generator | None, **sampling: Any) -> Iterator[Tensor]:
        """New pictures as they come about, (B, C, H, W) in [0, 1] each time."""
        ...


def explain_denoising(
    model: Any, processor: Any, image: Image.Image, texts: Sequence[str] = (), guidance_scale: float = 3.0
) -> Explanation:
    """Show a picture with more and more noise, what the model sees in each, and new pictures coming out of noise.

    Args:
        model: As [`Denoises`].
        processor: Its image processor.
        image: Any picture.
        texts: What to draw, of a model that draws texts; empty ones by default.
        guidance_scale: Of these.

    Returns:
        Rows, noise rising: the picture, and below it the model's guess of it; then, noise falling, a row a new picture.
        `frames` has the new pictures step by step; `data` has `levels`, `signal_to_noise` (falling), and `error`, the
        mean squared error of each guess.
    """
    kept = model.scheduler.alphas_cumprod.cpu()
    levels = torch.linspace(0, len(kept) - 1, COLUMNS).round().long()
    with torch.inference_mode():
        pixel_values = processor(images=[image], return_tensors="pt")["pixel_values"].to(model.device)
        noisy, guesses = model.forward_strip(pixel_values, levels, torch.Generator().manual_seed(0))
        options = {"prompts": list(texts), "guidance_scale": guidance_scale} if texts else {}
        count, seeded = len(texts) or DRAWN, torch.Generator().manual_seed(0)
        drawn = list(model.reverse_strip(count, seeded, num_inference_steps=STEPS, **options))  # STEPS + 1 of B C H W
    error = (guesses - (pixel_values / 2 + 0.5)).square().mean((1, 2, 3))
    shown = torch.linspace(0, len(drawn) - 1, COLUMNS).round().long().tolist()
    rows = [noisy, guesses, *(torch.stack([drawn[step][row] for step in shown]) for row in range(count))]
    said = [f"t = {level}" for level in levels.tolist()] + ["what it sees", *[""] * (COLUMNS - 1)]
    for text in texts or [""] * count:
        said += [text or f"step {shown[0]}", *(f"step {step}" for step in shown[1:])]
    sheet = panels([picture for row in rows for picture in pictures_of(row)], said, columns=COLUMNS, side=SIDE)
    frames = [panels(pictures_of(images), texts or [""] * count, count, SIDE) for images in drawn]
    ratio = (kept / (1 - kept))[levels]
    data = {"levels": levels.tolist(), "signal_to_noise": ratio.tolist(), "error": error.tolist()}
    half = int((kept < 0.5).nonzero()[0])
    title = f"from t = {half} on there is more noise than picture; new pictures in {STEPS} steps"
    return Explanation(title, sheet, data, tuple(frames))
