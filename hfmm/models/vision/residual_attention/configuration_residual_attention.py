"""Residual attention configuration."""

from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig
from transformers.backbone_utils import BackboneConfigMixin

REDUCTION = 4  # a bottleneck's output over its inner channels


@strict
class ResidualAttentionConfig(BackboneConfigMixin, PreTrainedConfig):
    """Configuration of [`ResidualAttentionBackbone`] and [`ResidualAttentionForImageClassification`].

    Defaults are Attention-56 for ImageNet (Wang et al. 2017, table 2).

    Args:
        num_channels: Of the pictures.
        large_stem: Begin with a 7 x 7 convolution and a max-pool, both of stride 2; a 3 x 3 convolution otherwise.
        stem_size: Channels after the first convolution.
        hidden_sizes: Channels of the stages, each a multiple of 4; the last stage has no attention.
        strides: Of the first unit of each stage.
        num_modules: Attention modules of each stage but the last.
        num_poolings: Max-pools in the masks of each stage but the last.
        last_depth: Units of the last stage.
        mask_activation: "mixed" is a sigmoid (f1), "channel" divides each place by its length over channels (f2),
            "spatial" is a sigmoid of each channel's map brought to mean 0 and deviation 1 (f3).
        residual_attention: (1 + M) T, Eq. 3; the naive M T, Eq. 1, otherwise.
        align_corners: Of the bilinear interpolation in the masks; the released networks have corners aligned.
        out_features: Stages the backbone returns, of "stem", "stage1", ...; the last one by default.
        out_indices: The same by index.
    """

    model_type = "hfmm_residual_attention"

    num_channels: int = 3
    large_stem: bool = True
    stem_size: int = 64
    hidden_sizes: list[int] | tuple[int, ...] = (256, 512, 1024, 2048)
    strides: list[int] | tuple[int, ...] = (1, 2, 2, 2)
    num_modules: list[int] | tuple[int, ...] = (1, 1, 1)
    num_poolings: list[int] | tuple[int, ...] = (3, 2, 1)
    last_depth: int = 3
    mask_activation: Literal["mixed", "channel", "spatial"] = "mixed"
    residual_attention: bool = True
    align_corners: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        self.hidden_sizes, self.strides = list(self.hidden_sizes), list(self.strides)
        self.num_modules, self.num_poolings = list(self.num_modules), list(self.num_poolings)
        self.stage_names = ["stem", *(f"stage{index}" for index in range(1, len(self.hidden_sizes) + 1))]
        self.set_output_features_output_indices(
            out_features=kwargs.pop("out_features", None), out_indices=kwargs.pop("out_indices", None)
        )
        super().__post_init__(**kwargs)

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        stages = len(self.hidden_sizes)
        for name, wanted in (("strides", stages), ("num_modules", stages - 1), ("num_poolings", stages - 1)):
            if len(getattr(self, name)) != wanted:
                raise ValueError(f"{name} has {len(getattr(self, name))} entries but {stages} stages need {wanted}")
        if any(size % REDUCTION for size in self.hidden_sizes):
            raise ValueError(f"hidden_sizes {self.hidden_sizes} must be multiples of {REDUCTION}")
        if self.last_depth < 1:
            raise ValueError(f"last_depth is {self.last_depth}: the last stage needs a unit")
