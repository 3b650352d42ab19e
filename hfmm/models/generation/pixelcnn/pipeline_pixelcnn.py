"""Conditional Gated PixelCNN pipeline."""

from hfmm.nn.picture_pipeline import PicturePipeline


class PixelcnnPipeline(PicturePipeline):
    """Pictures of a [`PixelcnnModel`], drawn pixel by pixel."""
