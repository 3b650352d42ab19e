"""Variational autoencoder configuration."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class VaeConfig(PreTrainedConfig):
    """Configuration of [`VaeModel`].

    Defaults are the paper's for MNIST (Kingma and Welling 2014, section 5), with 20 latents.

    Args:
        num_channels: Of the pictures.
        image_size: Height and width of the pictures in pixels.
        layer_type: "linear" layers over all pixels (the paper's), or "convolution"s of stride 2.
        hidden_sizes: Width of each hidden layer of the encoder, from the picture on; the decoder's are these backwards.
        activation: Of the hidden layers.
        latent_size: Number of latents, J.
        likelihood: Of a pixel given the latents: "bernoulli", or "gaussian" with a mean in (0, 1) and a variance.
        kl_weight: Weight of the KL term; 1 is the bound.
        initializer_range: Standard deviation of the initial weights; None for Glorot's, which deeper nets need.
    """

    model_type = "hfmm_vae"

    num_channels: int = 1
    image_size: int = 28
    layer_type: Literal["linear", "convolution"] = "linear"
    hidden_sizes: list[int] | tuple[int, ...] = (500,)
    activation: Literal["tanh", "relu"] = "tanh"
    latent_size: int = 20
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    kl_weight: float | int = 1.0
    initializer_range: float | None = 0.01

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        if not self.hidden_sizes or min(*self.hidden_sizes, self.latent_size, self.num_channels, self.image_size) < 1:
            raise ValueError("hidden_sizes, latent_size, num_channels and image_size must be positive")
        halvings = len(self.hidden_sizes)
        if self.layer_type == "convolution" and self.image_size % 2**halvings:
            raise ValueError(
                f"image_size is {self.image_size}, which cannot be halved {halvings} times (once for each of "
                f"hidden_sizes {list(self.hidden_sizes)})"
            )
