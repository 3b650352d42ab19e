"""GAN pipeline."""

from hfmm.nn.picture_pipeline import PicturePipeline


class GanPipeline(PicturePipeline):
    """Pictures of a [`GanModel`]: noise through the generator."""
