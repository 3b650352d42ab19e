"""LeNet-5 configuration."""

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class Lenet5Config(PreTrainedConfig):
    """Configuration of [`Lenet5ForImageClassification`].

    Defaults are the layers that the deck prints (a summary of 1,677,170 parameters with 100 classes).

    Args:
        num_channels: Of the pictures.
        image_size: Side of the pictures, a multiple of 4.
        hidden_sizes: Channels of the two convolutions.
        classifier_hidden_size: Width of the first dense layer.
        dropout: Before each dense layer; the deck has none.
    """

    model_type = "hfmm_lenet5"

    num_channels: int = 3
    image_size: int = 32
    hidden_sizes: list[int] | tuple[int, ...] = (20, 50)
    classifier_hidden_size: int = 500
    dropout: float | int = 0.0

    def validate_architecture(self) -> None:
        """Raise ValueError where a field is not possible."""
        if len(self.hidden_sizes) != 2:
            raise ValueError(f"hidden_sizes has {len(self.hidden_sizes)} entries but a LeNet-5 has 2 convolutions")
        if self.image_size < 4 or self.image_size % 4:
            raise ValueError(f"image_size is {self.image_size} but two max-pools need a multiple of 4")
