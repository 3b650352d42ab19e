"""Ten views of a picture, and the mean of what a classifier says of them (Krizhevsky et al. 2012, section 4.1)."""

from typing import Any

import torch
from torch import Tensor


def ten_views(pixel_values: Tensor, size: int) -> Tensor:
    """Cut the four corners and the center out of pictures, and mirror each left to right.

    Args:
        pixel_values: (B, C, H, W), such as 256 x 256 for views of 224.
        size: Of a view.

    Returns:
        (B, 10, C, size, size); the last five are the first five mirrored.

    Raises:
        ValueError: The pictures are smaller than a view.
    """
    height, width = pixel_values.shape[-2:]
    if size > min(height, width):
        raise ValueError(f"pictures are {height} x {width}: too small for views of {size} x {size}")
    down, right = height - size, width - size
    corners = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
    crops = [pixel_values[..., top : top + size, left : left + size] for top, left in corners]
    views = torch.stack(crops, dim=1)  # B 5 C size size
    return torch.cat([views, views.flip(-1)], dim=1)  # B 10 C size size


@torch.inference_mode()
def classify_ten_views(model: Any, pixel_values: Tensor) -> Tensor:
    """Probabilities of classes, the mean of those of ten views.

    Args:
        model: A classifier in evaluation mode, with `image_size` in its configuration.
        pixel_values: (B, C, H, W), larger than what the classifier takes.

    Returns:
        (B, K).
    """
    views = ten_views(pixel_values, model.config.image_size)
    logits: Tensor = model(views.flatten(0, 1)).logits  # B*10 K
    return logits.float().softmax(-1).unflatten(0, views.shape[:2]).mean(1)  # B K
