"""Configuration of the small residual backbone of the tiny presets."""

from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig
from transformers.backbone_utils import BackboneConfigMixin

NUM_GROUPS = 8  # of group normalization


@strict
class SmallCnnConfig(BackboneConfigMixin, PreTrainedConfig):
    """Configuration of [`SmallCnnBackbone`].

    Group normalization is the default because a batch of two then equals two single pictures while training, too.

    Args:
        num_channels: Of the pictures.
        hidden_sizes: Channels after each convolution of stride 2: the stem, then stage 1, stage 2 and so on.
        num_residual_blocks: Residual blocks at the end of the last stage.
        position_size: Side of a learned map of positions that is added to the last stage, or None for no map; pictures
            must then be `position_size * 2 ** len(hidden_sizes)` on a side.
        normalization: "group" or "batch".
        out_features: Stages to return, of "stem", "stage1", ...; the last one by default.
        out_indices: The same by index.
    """

    model_type = "hfmm_small_cnn"

    num_channels: int = 3
    hidden_sizes: list[int] | tuple[int, ...] = (24, 48, 96)
    num_residual_blocks: int = 1
    position_size: int | None = None
    normalization: Literal["batch", "group"] = "group"

    def __post_init__(self, **kwargs: Any) -> None:
        self.hidden_sizes = list(self.hidden_sizes)
        self.stage_names = ["stem", *(f"stage{index}" for index in range(1, len(self.hidden_sizes)))]
        self.set_output_features_output_indices(
            out_features=kwargs.pop("out_features", None), out_indices=kwargs.pop("out_indices", None)
        )
        super().__post_init__(**kwargs)

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        if not self.hidden_sizes:
            raise ValueError("hidden_sizes is empty: name the channels of at least one stage")
        if self.normalization == "group" and any(size % NUM_GROUPS for size in self.hidden_sizes):
            raise ValueError(f"hidden_sizes {self.hidden_sizes} must be multiples of {NUM_GROUPS} to be normalized")
