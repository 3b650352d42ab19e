"""Highway network configuration."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class HighwayNetworkConfig(PreTrainedConfig):
    """Configuration of [`HighwayNetworkForImageClassification`].

    Defaults are a dense network of 50 layers, 50 units each (Srivastava et al. 2015, section 3).

    Args:
        form: "dense" layers over all pixels, or "convolution" layers of 3 x 3.
        num_channels: Of the pictures.
        image_size: Side of the pictures that dense layers take; convolutions take any size.
        hidden_sizes: Units, or channels, of each stage.
        depths: Layers of each stage; the first is plain, because it changes the size, and the others are highways.
            Between stages of convolutions a max-pool halves the maps.
        transform_bias: Of the transform gates at the start; below 0, so that layers begin by carrying.
        gated: Highway layers; plain layers everywhere otherwise, for comparison.
    """

    model_type = "hfmm_highway_network"

    form: Literal["dense", "convolution"] = "dense"
    num_channels: int = 3
    image_size: int = 28
    hidden_sizes: list[int] | tuple[int, ...] = (50,)
    depths: list[int] | tuple[int, ...] = (50,)
    transform_bias: float | int = -3.0
    gated: bool = True

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        if len(self.hidden_sizes) != len(self.depths) or not self.depths:
            raise ValueError(
                f"hidden_sizes {list(self.hidden_sizes)} and depths {list(self.depths)} must name the "
                "same stages, one or more"
            )
        if min(self.depths) < 1:
            raise ValueError(f"depths {list(self.depths)}: a stage has a layer or more")
