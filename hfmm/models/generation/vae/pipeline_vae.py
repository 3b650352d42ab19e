"""Variational autoencoder pipeline."""

from hfmm.nn.picture_pipeline import PicturePipeline


class VaePipeline(PicturePipeline):
    """Pictures of a [`VaeModel`]: latents of the prior, decoded."""
