"""Super-resolution image processor: pictures to luminance, with smaller ones for training, and back in color."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate
from transformers import BatchFeature

from hfmm.nn.edit_processing import EditProcessor, pictures_of, values_of
from hfmm.nn.picture_processing import PictureKwargs

OFFSET = torch.tensor([16.0, 128.0, 128.0], device="cpu")[:, None, None] / 255
YCBCR = torch.tensor(
    [[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]],
    dtype=torch.float64,
    device="cpu",
)  # BT.601, of red, green and blue from 0 to 1


class SuperResolutionKwargs(PictureKwargs, total=False):
    """What it keeps beside the settings of all.

    Attributes:
        scale: As in the configuration.
    """

    scale: int


def to_ycbcr(rgb: Tensor) -> Tensor:
    """BT.601: luminance from 16 / 255 to 235 / 255, and the chroma. (..., 3, H, W) in [0, 1] -> (..., 3, H, W)."""
    return torch.einsum("cd,...dhw->...chw", (YCBCR / 255).to(rgb), rgb) + OFFSET.to(rgb)


def to_rgb(ycbcr: Tensor) -> Tensor:
    """The inverse of [`to_ycbcr`]. (..., 3, H, W) -> (..., 3, H, W)."""
    inverse = torch.linalg.inv(YCBCR / 255)
    return torch.einsum("cd,...dhw->...chw", inverse.to(ycbcr), ycbcr - OFFSET.to(ycbcr))


class SuperResolutionImageProcessor(EditProcessor):
    """Pictures to `pixel_values` (B, 1, h, w), their luminance, to be enlarged; they are not resized.

    For training a crop of each, `crop_size` large, is the truth, and the bicubic reduction of it is to be enlarged.
    Answers are scored in the papers' way: luminance alone, without a border as wide as the scale.
    """

    valid_kwargs = SuperResolutionKwargs
    do_resize = False
    do_center_crop = False
    scale = 3
    baseline = "bicubic"

    @property
    def scored(self) -> dict[str, Any]:
        """Options of the metric `reconstruction`."""
        return {"channel": "luminance", "border": self.scale}

    def preprocess(
        self, images: Any, *args: Any, with_labels: bool = False, seeds: Sequence[int] | None = None, **kwargs: Any
    ) -> BatchFeature:
        """Prepare pictures.

        Args:
            images: One or several, of one size where tensors are wanted.
            args: Of every image processor.
            with_labels: Cut a crop of each (of Pillow's pictures), reduce it, and add what it was.
            seeds: Of the places of the crops; 0 for all by default.
            kwargs: Of every image processor.

        Returns:
            `pixel_values` (B, 1, h, w), and `labels` (B, 1, H, W) where they are asked for.

        Raises:
            ValueError: A picture is smaller than a crop.
        """
        wanted = kwargs.pop("return_tensors", None)
        if not with_labels:
            return BatchFeature({"pixel_values": self._luminance(images, *args, **kwargs)}, tensor_type=wanted)
        crops = [self._crop(image, seed) for image, seed in zip(images, seeds or [0] * len(images), strict=True)]
        given, truth = (self._luminance(pictures, *args, **kwargs) for pictures in (self.worsened(crops), crops))
        return BatchFeature({"pixel_values": given, "labels": truth}, tensor_type=wanted)

    def _luminance(self, images: Any, *args: Any, **kwargs: Any) -> list[np.ndarray]:
        values = super().preprocess(images, *args, **kwargs)["pixel_values"]  # each 3 H W in [0, 1]
        return [to_ycbcr(torch.from_numpy(np.asarray(value)))[:1].numpy() for value in values]

    def _crop(self, image: Image.Image, seed: int) -> Image.Image:
        height, width = self.crop_size["height"], self.crop_size["width"]
        if image.width < width or image.height < height:
            raise ValueError(
                f"a picture of {image.width} x {image.height} pixels is smaller than crops of {width} x {height}"
            )
        random = np.random.default_rng(seed)
        left, top = int(random.integers(image.width - width + 1)), int(random.integers(image.height - height + 1))
        return image.crop((left, top, left + width, top + height))

    def worsened(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """Bicubic reductions.

        Raises:
            ValueError: A picture is too small to be reduced.
        """
        truths = self.truths(images)
        sizes = [(truth.width // self.scale, truth.height // self.scale) for truth in truths]
        return [truth.resize(size, Image.Resampling.BICUBIC) for truth, size in zip(truths, sizes, strict=True)]

    def truths(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """The pictures without the last rows and columns that the scale does not divide."""
        return [self._whole(image) for image in images]

    def _whole(self, image: Image.Image) -> Image.Image:
        if min(image.size) < self.scale:
            raise ValueError(
                f"a picture of {image.width} x {image.height} pixels is too small to be reduced {self.scale} times"
            )
        width, height = (side - side % self.scale for side in image.size)
        return image.convert("RGB").crop((0, 0, width, height))

    def plain(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """Bicubic enlargements."""
        sizes = [(self.scale * image.width, self.scale * image.height) for image in images]
        return [image.resize(size, Image.Resampling.BICUBIC) for image, size in zip(images, sizes, strict=True)]

    def post_process_image_to_image(
        self, outputs: Mapping[str, Any], images: Sequence[Image.Image]
    ) -> list[Image.Image]:
        """Enlarged pictures: the model's luminance, and the chroma of a bicubic enlargement.

        Args:
            outputs: With `reconstruction` (B, 1, H, W).
            images: What the model was given.
        """
        chroma = torch.stack([to_ycbcr(values_of(image))[1:] for image in images])  # B 2 h w
        luminance = outputs["reconstruction"].float().cpu()
        large = interpolate(chroma, size=luminance.shape[-2:], mode="bicubic", antialias=True)
        return pictures_of(to_rgb(torch.cat([luminance, large], 1)))
