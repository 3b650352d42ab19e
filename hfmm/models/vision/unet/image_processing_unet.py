"""U-Net image processor: what valid convolutions take from the borders is given to them, mirrored."""

from typing import Any

import numpy as np
from PIL import Image
from transformers import BatchFeature, SegformerImageProcessorPil
from transformers.models.segformer.image_processing_pil_segformer import SegformerImageProcessorKwargs


class UnetImageProcessorKwargs(SegformerImageProcessorKwargs, total=False):
    """What it keeps beside the settings of all.

    Attributes:
        margin: Pixels that are mirrored at each side (figure 2); what the model's convolutions take away.
        do_grayscale: One channel, luminance.
    """

    margin: int
    do_grayscale: bool


class UnetImageProcessor(SegformerImageProcessorPil):
    """Pictures to `pixel_values`, mirrored at their borders, and masks to `labels`, which are not."""

    valid_kwargs = UnetImageProcessorKwargs
    do_convert_rgb = True
    margin = 0
    do_grayscale = False

    def convert_to_rgb(self, image: Any, input_data_format: Any = None) -> np.ndarray:
        """RGB, (height, width, 3), or the luminance of it, (height, width)."""
        rgb = super().convert_to_rgb(image, input_data_format=input_data_format)
        return np.asarray(Image.fromarray(rgb).convert("L")) if self.do_grayscale else rgb

    def preprocess(self, images: Any, segmentation_maps: Any = None, **kwargs: Any) -> BatchFeature:
        """Prepare pictures, and for training their masks.

        Args:
            images: One or several.
            segmentation_maps: Of each picture the class of every pixel (H, W), 255 where it is not known.
            kwargs: Of every image processor.

        Returns:
            `pixel_values` (B, C, height + 2 * margin, width + 2 * margin), and with masks `labels` (B, height, width).
        """
        wanted, margin = kwargs.pop("return_tensors", None), kwargs.pop("margin", self.margin)
        batch = super().preprocess(images, segmentation_maps, **kwargs)
        widths = ((0, 0), (margin, margin), (margin, margin))
        batch["pixel_values"] = [np.pad(values, widths, mode="reflect") for values in batch["pixel_values"]]
        return BatchFeature(dict(batch), tensor_type=wanted)
