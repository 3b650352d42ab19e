"""Glow pipeline."""

from hfmm.nn.picture_pipeline import PicturePipeline


class GlowPipeline(PicturePipeline):
    """Pictures of a [`GlowModel`]: noise, sent through the flow backwards."""
