"""Models that make pictures: loading them, and pictures that they draw, put between two others, change or mend."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from PIL import Image
from serving import name_of, place, titled
from torch import Tensor
from transformers import AutoImageProcessor, AutoModelForImageToImage
from transformers.utils import cached_file

from hfmm.errors import UsageError
from hfmm.explanation.drawing import pictures_of
from hfmm.explanation.editing import edit as edit_picture
from hfmm.explanation.latents import Code, Encodes, along, between, decode, encode, mean_difference
from hfmm.explanation.media import enlarged

SIDE = 160  # pixels of a shown picture
BETWEEN = 7  # pictures from one to another
STRENGTHS = torch.linspace(-1, 1, 5)  # times what a visitor asks for
DENOISING = 50  # steps from noise to a picture
GUIDANCE = 3.0  # towards the text
LARGE = 320  # pixels of a picture that was mended
KIND = re.compile(r"(?<=[a-z])(?=[A-Z])")  # where a name has a space


class Denoiser:
    """A pipeline of diffusers that draws pictures out of noise, or of words, asked as the other models are."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline
        pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
        pipeline.set_progress_bar_config(disable=True)

    def generate_images(self, num_images: int, generator: torch.Generator, **options: Any) -> Tensor:
        """(B, C, H, W), in [0, 1]; of `prompts`, B texts, where the pipeline reads any."""
        asked = {"batch_size": num_images} if "prompts" not in options else {"prompt": options.pop("prompts")}
        steps = {"num_inference_steps": DENOISING, "output_type": "np"}
        drawn = self.pipeline(**asked, **steps, **options, generator=generator)
        return torch.from_numpy(drawn.images).permute(0, 3, 1, 2)  # B C H W


@dataclass(frozen=True)
class Maker:
    """A model that makes pictures, in evaluation mode.

    Attributes:
        name: What people choose it by.
        model: With `generate_images(count, generator=...)`, or one that makes a picture of a picture.
        processor: Its image processor; None where it takes no pictures.
        reads: Whether it draws what a text says.
    """

    name: str
    model: Any
    processor: Any = None
    reads: bool = False

    @property
    def draws(self) -> bool:
        """Whether it draws pictures out of noise alone."""
        return isinstance(self.model, Draws) and not self.reads

    @property
    def has_codes(self) -> bool:
        """Whether it makes codes of pictures, and pictures of codes."""
        return self.processor is not None and isinstance(self.model, Encodes)

    @property
    def edits(self) -> bool:
        """Whether it makes a picture of a picture."""
        return isinstance(self.processor, Mends)


@runtime_checkable
class Draws(Protocol):
    """A model that draws pictures."""

    def generate_images(self, num_images: int, generator: torch.Generator) -> Tensor:
        """(B, C, H, W), in [0, 1]."""
        ...


@runtime_checkable
class Mends(Protocol):
    """The processor of a model that makes a picture of a picture."""

    baseline: str

    def worsened(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """What the model is given where these pictures are the truth."""
        ...

    def plain(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """The answers of the baseline."""
        ...


@runtime_checkable
class OverPipeline(Protocol):
    """A model that holds a pipeline of diffusers."""

    pipeline: Any


def load(where: str, own_code: bool) -> Maker:
    """Load a pipeline, or a model that makes a picture of a picture, from safetensors only; see `serving.place`."""
    name, options = place(where, own_code)
    index = cached_file(
        name, "model_index.json", revision=options["revision"], _raise_exceptions_for_missing_entries=False
    )
    if index is None:
        model = AutoModelForImageToImage.from_pretrained(name, use_safetensors=True, **options)
        return entry(model.eval(), AutoImageProcessor.from_pretrained(name, **options), name)
    pipeline = DiffusionPipeline.from_pretrained(name, use_safetensors=True, **options)
    if "model" in pipeline.components:
        return entry(pipeline.model.eval(), AutoImageProcessor.from_pretrained(name, **options), name)
    return of_pipeline(pipeline, Denoiser(pipeline), name)


def entry(model: Any, processor: Any, where: str) -> Maker:
    """A model named after its architecture and place."""
    if isinstance(model, OverPipeline):
        return of_pipeline(model.pipeline, model, where)
    return Maker(name_of(model, where), model, processor)


def of_pipeline(pipeline: Any, model: Any, where: str) -> Maker:
    """A model over a pipeline of diffusers, named after its kind and place."""
    kind = KIND.sub(" ", type(pipeline).__name__.removesuffix("Pipeline")).lower()
    return Maker(titled(kind, where), model, reads="tokenizer" in pipeline.components)


def draw(maker: Maker, count: int, seed: int, text: str | None = None) -> list[Image.Image]:
    """New pictures, a function of the seed, and of a text where the model reads any."""
    said = {} if text is None else {"prompts": [text] * count, "guidance_scale": GUIDANCE}
    with torch.inference_mode():
        return shown(maker.model.generate_images(count, generator=torch.Generator().manual_seed(seed), **said))


def mend(maker: Maker, picture: Image.Image) -> list[tuple[Image.Image, str]]:
    """What a model makes of a picture, beside the picture; of a worsened one where it undoes that.

    Raises:
        UsageError: The picture is too small.
    """
    try:
        given = maker.processor.worsened([picture])
        plain = maker.processor.plain(given) if maker.processor.baseline else []
    except ValueError as error:
        raise UsageError(str(error)) from error
    panels = [(given[0], "given"), *((each, maker.processor.baseline) for each in plain)]
    panels += [(edit_picture(maker.model, maker.processor, given)[0], "the model"), (picture, "the picture")]
    return [(enlarged(each, LARGE, LARGE), said) for each, said in panels]


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
