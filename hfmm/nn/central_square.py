"""Upstream's image processor for the central square of a picture, as CLIP, captioners and LLaVA take it."""

from collections.abc import Sequence

from transformers import CLIPImageProcessorPil


def central_square(image_size: int, image_mean: Sequence[float], image_std: Sequence[float]) -> CLIPImageProcessorPil:
    """Scale the shorter side of a picture, cut off the ends of the longer, and normalize.

    Args:
        image_size: Side of the square in pixels.
        image_mean: Of the channels.
        image_std: Of these.
    """
    return CLIPImageProcessorPil(
        size={"shortest_edge": image_size},
        crop_size={"height": image_size, "width": image_size},
        image_mean=list(image_mean),
        image_std=list(image_std),
    )
