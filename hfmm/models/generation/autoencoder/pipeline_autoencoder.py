"""Autoencoder pipeline."""

from hfmm.nn.picture_pipeline import PicturePipeline


class AutoencoderPipeline(PicturePipeline):
    """Pictures of an [`AutoencoderModel`]: codes at random, decoded; they look like no data."""
