"""GAN configuration."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class GanConfig(PreTrainedConfig):
    """Configuration of [`GanModel`].

    Defaults are those of the DCGAN authors' code for pictures of 64 pixels (Radford et al. 2016, section 4).

    Args:
        num_channels: Of the pictures.
        image_size: Height and width of the pictures: `start_size`, doubled some times.
        layer_type: "convolution"s of stride 2 (DCGAN), or "linear" layers over all pixels (Goodfellow et al. 2014).
        start_size: Side of the smallest maps, the generator's first and the discriminator's last; not of linear layers.
        latent_size: Width of z.
        latent_distribution: "normal", N(0, 1), or "uniform" from -sqrt 3 to sqrt 3, of the same variance.
        generator_size: Channels of the generator's last hidden maps, doubled with every halving of their size; of
            linear layers, the width of both hidden ones.
        discriminator_size: Channels of the discriminator's first maps, doubled likewise; of linear layers, the width of
            both maxout ones.
        maxout_pieces: Linear pieces of which a maxout unit takes the greatest; of linear layers.
        input_dropout: Share of the pixels that the discriminator does not see in training; of linear layers.
        hidden_dropout: The same of its hidden units.
        initializer_range: Standard deviation of the weights of convolutions, and of batch normalization around 1.
    """

    model_type = "hfmm_gan"

    num_channels: int = 3
    image_size: int = 64
    layer_type: Literal["convolution", "linear"] = "convolution"
    start_size: int = 4
    latent_size: int = 100
    latent_distribution: Literal["normal", "uniform"] = "normal"
    generator_size: int = 64
    discriminator_size: int = 64
    maxout_pieces: int = 5
    input_dropout: float | int = 0.2
    hidden_dropout: float | int = 0.5
    initializer_range: float = 0.02

    @property
    def num_doublings(self) -> int:
        """How many times the maps double from the smallest to the picture."""
        return (self.image_size // self.start_size).bit_length() - 1

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        sizes = (self.num_channels, self.image_size, self.start_size, self.latent_size, self.generator_size)
        if min(*sizes, self.discriminator_size, self.maxout_pieces) < 1:
            raise ValueError("sizes, channels and pieces must be positive")
        doubled = self.start_size << max(1, self.num_doublings)
        if self.layer_type == "convolution" and doubled != self.image_size:
            raise ValueError(
                f"image_size is {self.image_size}, which is not start_size {self.start_size} doubled once or more"
            )
