"""Autoencoder configuration."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class AutoencoderConfig(PreTrainedConfig):
    """Configuration of [`AutoencoderModel`].

    Defaults are the paper's for MNIST (Hinton and Salakhutdinov 2006): 784-1000-500-250-30, logistic, and back.

    Args:
        num_channels: Of the pictures.
        image_size: Height and width of the pictures in pixels.
        layer_type: "linear" layers over all pixels (the paper's), or "convolution"s of stride 2 (the deck's).
        hidden_sizes: Width of each hidden layer of the encoder, from the picture on; the decoder's are these backwards.
        activation: Of the hidden layers.
        latent_size: Length of a code, which the encoder's last layer gives as it is.
        latent_type: "continuous", or "binary": each value is drawn as 0 or 1 in training.
        error: "cross_entropy" of each pixel (the paper's), or "square".
        reads_classes: A linear classifier reads the reconstruction, and its cross-entropy takes the place of the error
            where labels are given.
    """

    model_type = "hfmm_autoencoder"

    num_channels: int = 1
    image_size: int = 28
    layer_type: Literal["linear", "convolution"] = "linear"
    hidden_sizes: list[int] | tuple[int, ...] = (1000, 500, 250)
    activation: Literal["sigmoid", "relu"] = "sigmoid"
    latent_size: int = 30
    latent_type: Literal["continuous", "binary"] = "continuous"
    error: Literal["cross_entropy", "square"] = "cross_entropy"
    reads_classes: bool = False

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        if min([*self.hidden_sizes, self.latent_size, self.num_channels, self.image_size]) < 1:
            raise ValueError("hidden_sizes, latent_size, num_channels and image_size must be positive")
        halvings = len(self.hidden_sizes)
        if self.layer_type == "convolution" and (not halvings or self.image_size % 2**halvings):
            raise ValueError(
                f"image_size is {self.image_size}, which convolutions cannot halve {halvings} times (once for each of "
                f"hidden_sizes {list(self.hidden_sizes)})"
            )
