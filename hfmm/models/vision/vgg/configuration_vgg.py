"""VGG configuration."""

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig
from transformers.backbone_utils import BackboneConfigMixin

# Convolutions of each stage; the paper's configurations A, B, D and E (Table 1).
STAGE_DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


@strict
class VggConfig(BackboneConfigMixin, PreTrainedConfig):
    """Configuration of [`VggBackbone`] and [`VggForImageClassification`].

    Defaults are configuration D of the paper (Simonyan and Zisserman 2014, Table 1).

    Args:
        num_layers: Layers with weights, the three fully connected ones included: 11, 13, 16 or 19.
        num_channels: Of the pictures.
        image_size: Side of the pictures that the classifier takes, a multiple of 32; the backbone takes any size.
        hidden_sizes: Channels of the five stages.
        classifier_hidden_size: Width of fc6 and fc7.
        dropout: After fc6 and fc7.
        out_features: Stages the backbone returns, "stage1" to "stage5", each before its max-pool; by default "stage5".
        out_indices: The same by index, from 0.
    """

    model_type = "hfmm_vgg"

    num_layers: int = 16
    num_channels: int = 3
    image_size: int = 224
    hidden_sizes: list[int] | tuple[int, ...] = (64, 128, 256, 512, 512)
    classifier_hidden_size: int = 4096
    dropout: float | int = 0.5

    def __post_init__(self, **kwargs: Any) -> None:
        self.hidden_sizes = list(self.hidden_sizes)
        self.stage_names = [f"stage{index}" for index in range(1, 6)]
        self.set_output_features_output_indices(
            out_features=kwargs.pop("out_features", None), out_indices=kwargs.pop("out_indices", None)
        )
        super().__post_init__(**kwargs)

    @property
    def depths(self) -> tuple[int, ...]:
        """Convolutions of each stage."""
        return STAGE_DEPTHS[self.num_layers]

    def validate_architecture(self) -> None:
        """Raise ValueError where a field is not the paper's or two disagree."""
        if self.num_layers not in STAGE_DEPTHS:
            raise ValueError(f"num_layers is {self.num_layers}: a VGG has 11, 13, 16 or 19 layers")
        if len(self.hidden_sizes) != len(self.stage_names):
            raise ValueError(f"hidden_sizes has {len(self.hidden_sizes)} entries but a VGG has 5 stages")
        if self.image_size % 32:
            raise ValueError(f"image_size is {self.image_size} but five max-pools need a multiple of 32")
