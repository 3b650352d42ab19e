"""Conditional Gated PixelCNN image processor."""

from hfmm.nn.picture_processing import PictureProcessor


class PixelcnnPictureProcessor(PictureProcessor):
    """Pictures to `pixel_values` in [0, 1]; binary ones for models of two levels."""
