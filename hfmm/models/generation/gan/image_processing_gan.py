"""GAN image processor."""

from hfmm.nn.picture_processing import PictureProcessor


class GanPictureProcessor(PictureProcessor):
    """Pictures to `pixel_values` in [-1, 1], what the generator's tanh gives."""

    do_normalize = True
    image_mean = 0.5  # type: ignore[assignment]  # of every channel, as many as there are
    image_std = 0.5  # type: ignore[assignment]
