"""Glow image processor."""

from hfmm.nn.picture_processing import PictureProcessor


class GlowPictureProcessor(PictureProcessor):
    """Pictures to `pixel_values` in [0, 1]; the model adds the noise that makes their levels a density."""
