"""Why this picture: what a code keeps of it, and what lies around the code."""

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image

from hfmm.explanation.base import Explanation
from hfmm.explanation.canvases import DrawsInSteps, explain_canvases
from hfmm.explanation.completion import Completes, explain_completion
from hfmm.explanation.denoising import Denoises, explain_denoising
from hfmm.explanation.drawing import panels, pictures_of
from hfmm.explanation.flow import explain_flow
from hfmm.explanation.latents import Invertible, between
from hfmm.explanation.samples import DrawsAgainstJudge, explain_judged
from hfmm.nn.gaussians import kl_to_standard_normal, sample_normal

SIDE = 96  # pixels of a panel
STEPS = 7  # codes on each side of the manifold
DRAWN = 4  # pictures of codes that are drawn of the posterior


def manifold(count: int) -> torch.Tensor:
    """Values of a normal latent that part it into pieces of equal probability: (i - 1/2) / n through the inverse CDF.

    Args:
        count: n.

    Returns:
        (n,), rising (Kingma and Welling 2014, figure 4).
    """
    return torch.special.ndtri((torch.arange(count) + 0.5) / count)


def explain_latents(model: Any, processor: Any, image: Image.Image) -> Explanation:
    """Show what the latents of a picture keep, and the manifold around them.

    Args:
        model: With `encode` and `decode`, a Gaussian for each latent.
        processor: Its image processor.
        image: Any picture.

    Returns:
        First the picture as the model sees it, its reconstruction, and pictures of codes drawn of the posterior, whose
        average the reconstruction is close to; then the way from its code to that of its mirror image; then the two
        latents that say most of the picture over the values of [`manifold`], the others as they are. `data` has `nats`
        (of each latent, its KL), `mean` and `latents`, the two.
    """
    with torch.inference_mode():
        pixel_values = processor([image], return_tensors="pt")["pixel_values"].to(model.device)
        mean, log_variance = model.encode(pixel_values)  # 1 L
        nats = kl_to_standard_normal(mean[0, :, None], log_variance[0, :, None])  # L
        repeated = mean.expand(DRAWN, -1), log_variance.expand(DRAWN, -1)
        drawn = model.decode(sample_normal(*repeated, torch.Generator().manual_seed(0)))
        first, *rest = nats.argsort(descending=True).tolist()
        second = rest[0] if rest else first
        codes = mean.repeat(STEPS**2, 1)  # S*S L
        values = manifold(STEPS).to(codes)
        codes[:, first], codes[:, second] = values.repeat_interleave(STEPS), values.repeat(STEPS)
        around = model.decode(codes)
        mirrored = model.encode(pixel_values.flip(-1))[0]
        way = model.decode(between([mean], [mirrored], STEPS)[0])
        rows = torch.cat([pixel_values, model.decode(mean), drawn])
    said = ["as it sees it", "reconstruction", *["drawn again"] * DRAWN, ""]
    said += ["its code", *[""] * (STEPS - 2), "mirrored"]
    shown = [*pictures_of(rows), Image.new("L", (1, 1), 255), *pictures_of(way), *pictures_of(around)]
    sheet = panels(shown, [*said, *[""] * STEPS**2], columns=STEPS, side=SIDE)
    title = f"{float(nats.sum()):.1f} nats in {len(nats)} latents, most of them in latents {first} and {second}"
    return Explanation(title, sheet, {"nats": nats.tolist(), "mean": mean[0].tolist(), "latents": [first, second]})


def explain_generator(model: Any, processor: Any, image: Image.Image) -> Explanation:
    """Explain a generator by what it offers; one that offers nothing else, by its latents (see [`explain_latents`])."""
    for kind, explainer in BY_WHAT_IT_OFFERS.items():
        if isinstance(model, kind):
            return explainer(model, processor, image)
    return explain_latents(model, processor, image)


BY_WHAT_IT_OFFERS: dict[type, Callable[[Any, Any, Image.Image], Explanation]] = {
    DrawsInSteps: explain_canvases,
    Completes: explain_completion,
    Invertible: explain_flow,
    Denoises: explain_denoising,
    DrawsAgainstJudge: explain_judged,
}
