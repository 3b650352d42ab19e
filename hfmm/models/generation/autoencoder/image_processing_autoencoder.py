"""Autoencoder image processor."""

from hfmm.nn.edit_processing import EditProcessor


class AutoencoderPictureProcessor(EditProcessor):
    """Pictures to `pixel_values` in [0, 1], which should come back."""
