"""DDPM image processor."""

from hfmm.nn.picture_processing import PictureProcessor


class DdpmPictureProcessor(PictureProcessor):
    """Pictures for DDPM, in [-1, 1]."""

    do_normalize = True
