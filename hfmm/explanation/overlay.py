"""Where a model looked, as light over what it saw."""

from typing import Any

import numpy as np
from PIL import Image, ImageFilter

PLANES = 3  # axes of a tile
SIDE = 160  # pixels of a panel
DIMMED = 0.4  # brightness of what was not looked at


def overlay(picture: Image.Image, attention: np.ndarray) -> Image.Image:
    """A picture lit where attention lies: the map is enlarged and smoothed (Xu et al. 2015, figure 5).

    Args:
        picture: RGB, the square that the model saw.
        attention: (h, w), weights of the annotations.
    """
    strongest = max(float(attention.max()), 1e-12)
    small = Image.fromarray((attention / strongest * 255).astype(np.uint8))
    cell = picture.width / attention.shape[1]
    light = small.resize(picture.size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(cell / 3))
    brightness = DIMMED + (1 - DIMMED) * np.asarray(light, dtype=np.float32)[:, :, None] / 255
    return Image.fromarray((np.asarray(picture, dtype=np.float32) * brightness).astype(np.uint8))


def seen_by(processor: Any, image: Image.Image) -> Image.Image:
    """What the image processor cuts out of a picture, before normalization, in a square of SIDE pixels.

    Of a picture in tiles the last, which is all of it; of one in loose patches the picture.
    """
    reader = getattr(processor, "image_processor", processor)  # a captioner's processor holds one beside the tokenizer
    prepared = reader(image, do_rescale=False, do_normalize=False, return_tensors="np")
    first = np.asarray(prepared["pixel_values"][0])
    if first.ndim < PLANES:
        return image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    last = first.reshape(-1, *first.shape[-PLANES:])[-1]  # C H W
    pixels = np.moveaxis(last, 0, -1).astype(np.uint8)  # H W C
    seen = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).convert("RGB")
    return seen.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
