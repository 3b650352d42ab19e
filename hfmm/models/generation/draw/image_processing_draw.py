"""DRAW image processor."""

from hfmm.nn.picture_processing import PictureProcessor


class DrawPictureProcessor(PictureProcessor):
    """Pictures to `pixel_values` in [0, 1]; binary ones for gray pictures."""
