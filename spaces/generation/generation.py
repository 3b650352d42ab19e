"""Generators: loading them, and pictures that they draw, put between two others, or change."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from PIL import Image
from serving import name_of, place, titled
from torch import Tensor
from transformers import AutoImageProcessor

from hfmm.errors import UsageError
from hfmm.explanation.drawing import pictures_of
from hfmm.explanation.latents import Code, Encodes, along, between, decode, encode, mean_difference
from hfmm.explanation.media import enlarged

SIDE = 160  # pixels of a shown picture
BETWEEN = 7  # pictures from one to another
STRENGTHS = torch.linspace(-1, 1, 5)  # times what a visitor asks for
DENOISING = 50  # steps from noise to a picture


class Denoiser:
    """A pipeline of diffusers that draws pictures out of noise, asked as the other models are."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline
        pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
        pipeline.set_progress_bar_config(disable=True)

    def generate_images(self, num_images: int, generator: torch.Generator) -> Tensor:
        """(B, C, H, W), in [0, 1]."""
        drawn = self.pipeline(num_images, generator=generator, num_inference_steps=DENOISING, output_type="np")
        return torch.from_numpy(drawn.images).permute(0, 3, 1, 2)  # B C H W


@dataclass(frozen=True)
class Maker:
    """A model that draws pictures, in evaluation mode.

    Attributes:
        name: What people choose it by.
        model: With `generate_images(count, generator=...)`.
        processor: Its image processor; None where it takes no pictures.
    """

    name: str
    model: Any
    processor: Any = None

    @property
    def has_codes(self) -> bool:
        """Whether it makes codes of pictures, and pictures of codes."""
        return self.processor is not None and isinstance(self.model, Encodes)


def load(where: str, own_code: bool) -> Maker:
    """Load a pipeline, from safetensors only; see `serving.place`."""
    name, options = place(where, own_code)
    pipeline = DiffusionPipeline.from_pretrained(name, use_safetensors=True, **options)
    if "model" in pipeline.components:
        return entry(pipeline.model.eval(), AutoImageProcessor.from_pretrained(name, **options), name)
    return Maker(titled(type(pipeline).__name__.removesuffix("Pipeline").lower(), name), Denoiser(pipeline))


def entry(model: Any, processor: Any, where: str) -> Maker:
    """A model named after its architecture and place."""
    if hasattr(model, "pipeline"):  # diffusers' parts as one module
        return Maker(titled(type(model.pipeline).__name__.removesuffix("Pipeline").lower(), where), model)
    return Maker(name_of(model, where), model, processor)


def draw(maker: Maker, count: int, seed: int) -> list[Image.Image]:
    """New pictures, a function of the seed."""
    with torch.inference_mode():
        return shown(maker.model.generate_images(count, generator=torch.Generator().manual_seed(seed)))


def code_of(maker: Maker, pictures: Sequence[Image.Image]) -> Code:
    """The code of pictures.

    Raises:
        UsageError: The model makes none.
    """
    if not maker.has_codes:
        raise UsageError(f"{maker.name} makes no codes of pictures: choose a model that does")
    pixel_values = maker.processor(list(pictures), return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        return encode(maker.model, pixel_values.to(maker.model.device))


def interpolate(maker: Maker, first: Image.Image, second: Image.Image) -> list[Image.Image]:
    """Pictures of the codes from one picture's to another's, both ends as the model gives them back."""
    way = between(code_of(maker, [first]), code_of(maker, [second]), BETWEEN)
    with torch.inference_mode():
        return shown(decode(maker.model, way))


def edit(
    maker: Maker,
    picture: Image.Image,
    having: Sequence[Image.Image],
    lacking: Sequence[Image.Image],
    strength: float,
) -> list[tuple[Image.Image, float]]:
    """A picture with less and with more of what pictures have that others lack, and how much of it was added."""
    towards = mean_difference(code_of(maker, having), code_of(maker, lacking))
    strengths = strength * STRENGTHS
    with torch.inference_mode():
        changed = decode(maker.model, along(code_of(maker, [picture]), towards, strengths))
    return list(zip(shown(changed), strengths.tolist(), strict=True))


def shown(images: Tensor) -> list[Image.Image]:
    """Tensors as pictures large enough to be seen. (B, C, H, W) in [0, 1] -> B."""
    return [enlarged(picture, SIDE, SIDE) for picture in pictures_of(images)]
