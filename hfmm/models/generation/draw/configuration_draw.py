"""DRAW configuration."""

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class DrawConfig(PreTrainedConfig):
    """Configuration of [`DrawModel`].

    Defaults are the paper's for binarized MNIST (Gregor et al. 2015, table 3).

    Args:
        num_channels: Of the pictures.
        image_size: Height and width of the pictures in pixels, A and B.
        num_glimpses: Steps, T.
        encoder_hidden_size: Width of the encoder's LSTM.
        decoder_hidden_size: Width of the decoder's LSTM.
        latent_size: Latents of a step.
        read_size: Filters along each edge of the window that is read; None reads whole pictures.
        write_size: Filters along each edge of the window that is written; None, as for reading, writes whole pictures.
        learn_initial_state: Learn the first canvas and hidden states; they are zero otherwise.
        initial_canvas: Logit of every pixel of the first canvas before it is learned.
        initial_log_variance: log sigma^2 of both windows' filters before they are learned.
        initial_read_log_stride: log delta of the window that is read, in units of the whole picture's, before learning.
        initial_write_log_stride: The same of the window that is written.
    """

    model_type = "hfmm_draw"

    num_channels: int = 1
    image_size: int = 28
    num_glimpses: int = 64
    encoder_hidden_size: int = 256
    decoder_hidden_size: int = 256
    latent_size: int = 100
    read_size: int | None = 2
    write_size: int | None = 5
    learn_initial_state: bool = True
    initial_canvas: float | int = -2.0
    initial_log_variance: float | int = 1.0
    initial_read_log_stride: float | int = -1.0
    initial_write_log_stride: float | int = -0.5

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        if (self.read_size is None) != (self.write_size is None):
            raise ValueError(
                f"read_size is {self.read_size} but write_size is {self.write_size}: attention is for both or neither"
            )
        sizes = [self.num_channels, self.image_size, self.num_glimpses, self.latent_size]
        sizes += [self.encoder_hidden_size, self.decoder_hidden_size]
        if min(*sizes, *(size for size in (self.read_size, self.write_size) if size is not None)) < 1:
            raise ValueError("every size of the model, and num_glimpses, must be positive")
