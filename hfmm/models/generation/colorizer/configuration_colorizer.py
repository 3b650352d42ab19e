"""Colorizer configuration."""

from math import prod
from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class ColorizerConfig(PreTrainedConfig):
    """Configuration of [`ColorizerForImageToImage`].

    Defaults are the paper's (Zhang et al. 2016, figure 2).

    Args:
        hidden_sizes: Channels of each block of convolutions.
        num_layers: Convolutions of each block.
        strides: Of the last convolution of each block.
        dilations: Of the convolutions of each block.
        decoder_size: Channels after the block that doubles height and width.
        target: "bins" of colors, a distribution in each place, or their "mean", which is the regression baseline.
        grid_size: Side of a bin in units of a and b.
        num_neighbors: Bins among which a color is shared.
        neighbor_width: Deviation of the Gaussian by which it is shared, and by which the frequencies are smoothed.
        rebalancing: lambda, the share of the uniform distribution in the frequencies that rare colors are weighted by;
            1 for no weights.
        temperature: T of the annealed mean; 1 for the mean, near 0 for the mode.
    """

    model_type = "hfmm_colorizer"

    hidden_sizes: list[int] | tuple[int, ...] = (64, 128, 256, 512, 512, 512, 512)
    num_layers: list[int] | tuple[int, ...] = (2, 2, 3, 3, 3, 3, 3)
    strides: list[int] | tuple[int, ...] = (2, 2, 2, 1, 1, 1, 1)
    dilations: list[int] | tuple[int, ...] = (1, 1, 1, 1, 2, 2, 1)
    decoder_size: int = 256
    target: Literal["bins", "mean"] = "bins"
    grid_size: int = 10
    num_neighbors: int = 5
    neighbor_width: float | int = 5
    rebalancing: float | int = 0.5
    temperature: float | int = 0.38

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        lengths = [len(each) for each in (self.hidden_sizes, self.num_layers, self.strides, self.dilations)]
        if len(set(lengths)) > 1 or not lengths[0]:
            raise ValueError(f"hidden_sizes, num_layers, strides and dilations have {lengths} entries: one a block")
        if prod(self.strides) % 2:
            raise ValueError(f"strides {list(self.strides)} multiply to an odd number: the decoder undoes one of two")
        if not 0 <= self.rebalancing <= 1:
            raise ValueError(f"rebalancing is {self.rebalancing}, which is no share")
        if self.temperature <= 0:
            raise ValueError(f"temperature is {self.temperature}: it must be positive")
