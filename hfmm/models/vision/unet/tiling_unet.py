"""Overlap-tile inference (Ronneberger et al. 2015, figure 2): pictures of any size, one tile after the other.

Valid convolutions make a tile's segmentation depend on nothing but the tile and its margin, so that tiles join without
a seam.
"""

import torch
from torch import Tensor

from .modeling_unet import UnetForSemanticSegmentation


def mirrored(pixel_values: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
    """Pictures mirrored at their borders, again and again where they are small. (B, C, H, W) -> (B, C, H', W')."""
    height, width = pixel_values.shape[-2:]
    rows = reflected(torch.arange(-top, height + bottom, device=pixel_values.device), height)
    columns = reflected(torch.arange(-left, width + right, device=pixel_values.device), width)
    return pixel_values[..., rows[:, None], columns]


def reflected(places: Tensor, side: int) -> Tensor:
    """Places outside 0 ... side - 1 as those inside that mirrors at both ends show."""
    period = max(2 * (side - 1), 1)
    places = places % period
    return torch.minimum(places, period - places)


@torch.inference_mode()
def overlap_tile(model: UnetForSemanticSegmentation, pixel_values: Tensor, tile: int) -> Tensor:
    """Segment pictures of any size in squares.

    Args:
        model: With "valid" padding.
        pixel_values: (B, num_channels, H, W), not mirrored.
        tile: Side of the segmentation of one square; with the margin at both sides it must fit the pools, as 388 does.

    Returns:
        Logits (B, K, H, W).

    Raises:
        ValueError: The tile does not fit, or the model pads.
    """
    margin, (height, width) = model.config.margin, pixel_values.shape[-2:]
    if not margin:
        raise ValueError("tiles join without a seam only with 'valid' padding")
    step = tile - tile % 2**model.config.depth  # so that pools fall on the same pixels whatever the tile
    down, across = -height % step, -width % step  # beyond the picture, to whole steps
    more = margin + tile - step
    padded, side = mirrored(pixel_values, margin, down + more, margin, across + more), tile + 2 * margin
    rows = [
        torch.cat(
            [
                model(padded[..., top : top + side, left : left + side]).logits[..., :step, :step]
                for left in range(0, width, step)
            ],
            -1,
        )
        for top in range(0, height, step)
    ]
    return torch.cat(rows, -2)[..., :height, :width]
