"""What models that make a picture of a picture share: what they are given, what should come out, and back to pictures.

As it stands it is that of a model whose answer is the picture it was given. A model that undoes something overrides
`worsened`, what is done to a picture, `truths`, what the answer should be then, and `preprocess` for the `labels`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature

from hfmm.nn.picture_processing import PictureProcessor


class EditProcessor(PictureProcessor):
    """Pictures to `pixel_values`, and for training to `labels`; answers back to pictures.

    Attributes:
        baseline: What to call the answer that needs no model; empty where there is none.
        scored: Options of the metric `reconstruction`.
    """

    baseline = ""

    @property
    def scored(self) -> dict[str, Any]:
        """Options of the metric `reconstruction`: all channels, up to the border."""
        return {}

    def preprocess(self, images: Any, *args: Any, with_labels: bool = False, **kwargs: Any) -> BatchFeature:
        """Prepare pictures.

        Args:
            images: One or several.
            args: Of every image processor.
            with_labels: Take them for the truth: worsen them, and add the `labels`; here there are none to add.
            kwargs: Of every image processor, and `seeds`.
        """
        return super().preprocess(images, *args, **kwargs)

    def worsened(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """What a model is given where these pictures are the truth."""
        return list(images)

    def truths(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """What the answer to worsened pictures should be: the pictures as the model sees them."""
        return pictures_of(self(list(images), return_tensors="pt")["pixel_values"])

    def plain(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """The answers of the `baseline` to worsened pictures."""
        return list(images)

    def post_process_image_to_image(
        self, outputs: Mapping[str, Any], images: Sequence[Image.Image]
    ) -> list[Image.Image]:
        """The pictures that a model made.

        Args:
            outputs: With `reconstruction` (B, C, H, W).
            images: What it was given.
        """
        return pictures_of(outputs["reconstruction"])


def pictures_of(values: Tensor) -> list[Image.Image]:
    """Tensors as pictures of 8 bits. (B, 1 or 3, H, W), cut off outside [0, 1] -> B of Pillow's, gray or RGB."""
    levels = (values.float().clamp(0, 1) * 255).round().byte().cpu()
    return [Image.fromarray(level.permute(1, 2, 0).squeeze(-1).numpy()) for level in levels]  # each H W C


def values_of(image: Image.Image) -> Tensor:
    """A picture in RGB from 0 to 1. -> (3, H, W)."""
    return torch.from_numpy(np.asarray(image.convert("RGB"), np.float32) / 255).permute(2, 0, 1)
