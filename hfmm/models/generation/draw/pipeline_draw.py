"""DRAW pipeline."""

from hfmm.nn.picture_pipeline import PicturePipeline


class DrawPipeline(PicturePipeline):
    """Pictures of a [`DrawModel`]: latents of the prior, drawn step by step."""
