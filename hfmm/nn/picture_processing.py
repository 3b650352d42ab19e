"""Pictures for generators: pixel values in [0, 1], in gray where asked, and binary where a model's pixels are.

Binary pictures are drawn: each pixel is 1 with the probability that is its level (Salakhutdinov and Murray 2008), so a
likelihood of them must say how they were drawn.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from transformers import BatchFeature, CLIPImageProcessorPil
from transformers.image_utils import PILImageResampling
from transformers.processing_utils import ImagesKwargs


class PictureKwargs(ImagesKwargs, total=False):
    """What such an image processor keeps beside the settings of all.

    Attributes:
        do_grayscale: One channel, luminance.
        do_binarize: Draw each pixel as 0 or 1.
    """

    do_grayscale: bool
    do_binarize: bool


class PictureProcessor(CLIPImageProcessorPil):
    """Pictures to `pixel_values` (B, 1 or 3, height, width) in [0, 1]."""

    valid_kwargs = PictureKwargs
    resample = PILImageResampling.BOX  # which gives back the pixels of a picture that was enlarged by a whole number
    do_normalize = False
    do_grayscale = False
    do_binarize = False

    def convert_to_rgb(self, image: Any, input_data_format: Any = None) -> np.ndarray:
        """RGB, (height, width, 3), or the luminance of it, (height, width)."""
        rgb = super().convert_to_rgb(image, input_data_format=input_data_format)
        return np.asarray(Image.fromarray(rgb).convert("L")) if self.do_grayscale else rgb

    def preprocess(self, images: Any, *args: Any, seeds: Sequence[int] | None = None, **kwargs: Any) -> BatchFeature:
        """Prepare pictures.

        Args:
            images: One or several.
            args: Of every image processor.
            seeds: Of each picture's binary pixels; 0 for all by default, so that a picture is always drawn alike.
            kwargs: Of every image processor.
        """
        wanted, binary = kwargs.pop("return_tensors", None), kwargs.pop("do_binarize", self.do_binarize)
        values = super().preprocess(images, *args, **kwargs)["pixel_values"]
        if binary:
            values = [
                (np.random.default_rng(seed).random(value.shape) < value).astype(np.float32)
                for value, seed in zip(values, seeds or [0] * len(values), strict=True)
            ]
        return BatchFeature({"pixel_values": values}, tensor_type=wanted)
