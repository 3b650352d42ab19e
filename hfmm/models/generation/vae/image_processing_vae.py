"""Variational autoencoder image processor."""

from hfmm.nn.picture_processing import PictureProcessor


class VaePictureProcessor(PictureProcessor):
    """Pictures to `pixel_values` in [0, 1]; binary ones for the Bernoulli decoder."""
