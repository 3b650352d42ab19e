"""Conditional Gated PixelCNN configuration."""

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class PixelcnnConfig(PreTrainedConfig):
    """Configuration of [`PixelcnnModel`].

    Defaults are for binary MNIST; van den Oord et al. 2016 print no sizes for it.

    Args:
        num_channels: Of the pictures; within a pixel, each sees those before it: red, green given red, blue given both.
        image_size: Height and width of the pictures in pixels.
        num_levels: Values that a pixel's channel can take, 2 for binary pictures and 256 for 8 bits.
        hidden_size: Feature maps of each stack, p.
        num_layers: Gated layers.
        kernel_size: Width n of the kernels, odd; they reach (n - 1) / 2 rows up.
        first_kernel_size: Of the first layer, which does not see the pixel itself.
        head_size: Feature maps between the two last layers.
        label_condition: Condition on one of `num_labels` classes.
        condition_size: Width of a vector to condition on, such as an embedding; 0 for none.
        spatial_condition_channels: Of a map to condition each pixel on; 0 for none.
        single_stack: One stack of masked n x n kernels, whose blind spot the two stacks were made against.
    """

    model_type = "hfmm_pixelcnn"

    num_channels: int = 1
    image_size: int = 28
    num_levels: int = 2
    hidden_size: int = 32
    num_layers: int = 12
    kernel_size: int = 3
    first_kernel_size: int = 7
    head_size: int = 32
    label_condition: bool = False
    condition_size: int = 0
    spatial_condition_channels: int = 0
    single_stack: bool = False

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        sizes = self.num_channels, self.image_size, self.num_layers, self.kernel_size
        if min(sizes) < 1 or min(self.condition_size, self.spatial_condition_channels) < 0:
            raise ValueError(
                "num_channels, image_size, num_layers and kernel_size must be positive, and conditions not negative"
            )
        if self.kernel_size % 2 == 0 or self.first_kernel_size % 2 == 0 or self.first_kernel_size < 3:
            raise ValueError(
                f"kernel_size is {self.kernel_size} and first_kernel_size {self.first_kernel_size}: both must be odd, "
                "and the first 3 or more"
            )
        if min(self.hidden_size, self.head_size) < self.num_channels:
            raise ValueError(
                f"hidden_size is {self.hidden_size} and head_size {self.head_size}: each needs a map for each of "
                f"{self.num_channels} channels"
            )
        if self.num_levels < 2:
            raise ValueError(f"num_levels is {self.num_levels}: a pixel needs two")
