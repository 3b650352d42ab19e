"""Colorizer image processor: pictures to lightness, with their colors for training, and back in color."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate
from transformers import BatchFeature
from transformers.image_utils import PILImageResampling

from hfmm.nn.edit_processing import EditProcessor, pictures_of, values_of

from .color_colorizer import lab_to_rgb, rgb_to_lab

REACH = 110  # units of a and b that labels and answers are in


class ColorizerImageProcessor(EditProcessor):
    """Pictures to `pixel_values` (B, 1, H, W), their lightness from -1 to 1, and `labels` (B, 2, H, W), their colors.

    Colors are found at the model's size and put to the lightness of the picture at its own.
    """

    resample = PILImageResampling.BILINEAR
    do_center_crop = False
    baseline = "gray"

    def preprocess(self, images: Any, *args: Any, with_labels: bool = False, **kwargs: Any) -> BatchFeature:
        """Prepare pictures.

        Args:
            images: One or several, of any colors: only their lightness goes in.
            args: Of every image processor.
            with_labels: Add their colors, a and b in units of 110.
            kwargs: Of every image processor, and `seeds`.
        """
        wanted = kwargs.pop("return_tensors", None)
        values = super().preprocess(images, *args, **kwargs)["pixel_values"]  # each 3 H W in [0, 1]
        lab = [rgb_to_lab(torch.from_numpy(np.asarray(value))).numpy() for value in values]
        data = {"pixel_values": [value[:1] / 50 - 1 for value in lab]}
        if with_labels:
            data["labels"] = [value[1:] / REACH for value in lab]
        return BatchFeature(data, tensor_type=wanted)

    def worsened(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """The pictures as the model sees them, without their colors."""
        found = []
        for image in self.truths(images):
            lab = rgb_to_lab(values_of(image))
            lab[1:] = 0
            found += pictures_of(lab_to_rgb(lab)[None])
        return found

    def truths(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """The pictures at the model's size."""
        size = (self.size["width"], self.size["height"])
        return [image.convert("RGB").resize(size, Image.Resampling(self.resample)) for image in images]

    def post_process_image_to_image(
        self, outputs: Mapping[str, Any], images: Sequence[Image.Image]
    ) -> list[Image.Image]:
        """Pictures in the colors that were found.

        Args:
            outputs: With `reconstruction` (B, 2, H, W).
            images: What the model was given; their own colors are left out.
        """
        found = []
        for image, colors in zip(images, outputs["reconstruction"].float().cpu(), strict=True):
            lightness = rgb_to_lab(values_of(image))[:1]  # 1 H' W'
            spread = interpolate(REACH * colors[None], size=lightness.shape[-2:], mode="bilinear", align_corners=False)
            found += pictures_of(lab_to_rgb(torch.cat([lightness, spread[0]])[None]))
        return found
