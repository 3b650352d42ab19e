"""AlexNet configuration."""

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

POOL_KERNEL, POOL_STRIDE = 3, 2  # windows of the max-pools overlap (section 3.4)


def output_size(size: int, kernel_size: int, stride: int, padding: int = 0) -> int:
    """Side of a map after a convolution or a pool: (N + 2 P - F) / S + 1, rounded down."""
    return (size + 2 * padding - kernel_size) // stride + 1


@strict
class AlexnetConfig(PreTrainedConfig):
    """Configuration of [`AlexnetModel`] and [`AlexnetForImageClassification`].

    Defaults are the paper's net on two GPUs (Krizhevsky et al. 2012, section 3.5), but for `num_labels`, 1,000 there.

    Args:
        num_channels: Of the pictures.
        image_size: Side of the pictures; 227, since the 224 of the paper do not give its 55 x 55 maps without padding.
        stem_kernel_size: Of conv1.
        stem_stride: Of conv1.
        stem_padding: Of conv1; with 2, pictures of 224 pixels give 55 x 55 maps.
        hidden_sizes: Channels of the five convolutions.
        num_groups: GPUs that conv2, conv4 and conv5 are split over, each seeing the maps of its own only: 2, or 1 for
            the layout that fits on one.
        local_response_normalization: Normalize across maps after conv1 and conv2.
        classifier_hidden_size: Width of fc6 and fc7.
        dropout: After fc6 and fc7.
        initializer_range: Standard deviation of the normal distribution that weights start from.
    """

    model_type = "hfmm_alexnet"

    num_channels: int = 3
    image_size: int = 227
    stem_kernel_size: int = 11
    stem_stride: int = 4
    stem_padding: int = 0
    hidden_sizes: list[int] | tuple[int, ...] = (96, 256, 384, 384, 256)
    num_groups: int = 2
    local_response_normalization: bool = True
    classifier_hidden_size: int = 4096
    dropout: float | int = 0.5
    initializer_range: float = 0.01

    @property
    def map_sizes(self) -> tuple[int, int, int, int]:
        """Sides of the maps of conv1, of conv2, of conv3 to conv5, and of the last max-pool."""
        stem = output_size(self.image_size, self.stem_kernel_size, self.stem_stride, self.stem_padding)
        second = output_size(stem, POOL_KERNEL, POOL_STRIDE)
        third = output_size(second, POOL_KERNEL, POOL_STRIDE)
        return stem, second, third, output_size(third, POOL_KERNEL, POOL_STRIDE)

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        if len(self.hidden_sizes) != 5:
            raise ValueError(f"hidden_sizes has {len(self.hidden_sizes)} entries but an AlexNet has 5 convolutions")
        if self.num_groups < 1 or any(size % self.num_groups for size in self.hidden_sizes):
            raise ValueError(f"hidden_sizes {list(self.hidden_sizes)} cannot be split in {self.num_groups} num_groups")
        if self.map_sizes[-1] < 1:
            raise ValueError(f"image_size is {self.image_size}: nothing is left of it after conv1 and three max-pools")
