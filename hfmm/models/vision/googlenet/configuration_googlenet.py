"""GoogLeNet configuration."""

from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig
from transformers.backbone_utils import BackboneConfigMixin

# Table 1 of the paper: channels of 1 x 1, 3 x 3 reduce, 3 x 3, 5 x 5 reduce, 5 x 5 and pool proj of each inception.
PAPER_INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
AUXILIARY_AFTER = ("4a", "4d")  # inceptions that an auxiliary head looks at
AUXILIARY_POOL, AUXILIARY_STRIDE = 5, 3


@strict
class GooglenetConfig(BackboneConfigMixin, PreTrainedConfig):
    """Configuration of [`GooglenetBackbone`], [`GooglenetModel`] and [`GooglenetForImageClassification`].

    Defaults are the paper's (Szegedy et al. 2015, table 1), but for `num_labels`, 1,000 there.

    Args:
        num_channels: Of the pictures.
        image_size: Side of the pictures that the auxiliary heads take, a multiple of 32; the rest takes any size.
        stem_sizes: Channels of the three convolutions before the inceptions.
        inceptions: Name, whose first character is the stage (3, 4 or 5), to the six numbers of its row in table 1;
            by default that table.
        normalization: "local_response" after the first max-pool and the third convolution (figure 3), or "batch" after
            every convolution.
        wide_kernel_size: Of the branch that has 5 x 5 kernels in the paper and 3 x 3 in torchvision's net.
        last_pool_size: Side of the windows of the max-pool after the fourth stage; 2 in torchvision's net.
        dropout: Before the classifier.
        auxiliary_heads: Have two further classifiers after 4a and 4d, which act in training only.
        auxiliary_channels: Of their 1 x 1 convolutions.
        auxiliary_hidden_size: Width of their hidden layers.
        auxiliary_dropout: After their hidden layers.
        auxiliary_weight: Of their losses.
        out_features: Stages the backbone returns, "stage1" to "stage5", each before its max-pool; by default "stage5".
        out_indices: The same by index, from 0.
    """

    model_type = "hfmm_googlenet"

    num_channels: int = 3
    image_size: int = 224
    stem_sizes: list[int] | tuple[int, ...] = (64, 64, 192)
    inceptions: dict[str, Any] | None = None
    normalization: Literal["local_response", "batch"] = "local_response"
    wide_kernel_size: int = 5
    last_pool_size: int = 3
    dropout: float | int = 0.4
    auxiliary_heads: bool = True
    auxiliary_channels: int = 128
    auxiliary_hidden_size: int = 1024
    auxiliary_dropout: float | int = 0.7
    auxiliary_weight: float | int = 0.3

    def __post_init__(self, **kwargs: Any) -> None:
        given = PAPER_INCEPTIONS if self.inceptions is None else self.inceptions
        self.inceptions = {name: list(sizes) for name, sizes in sorted(given.items())}
        self.stage_names = [f"stage{index}" for index in range(1, 6)]
        self.set_output_features_output_indices(
            out_features=kwargs.pop("out_features", None), out_indices=kwargs.pop("out_indices", None)
        )
        super().__post_init__(**kwargs)

    @property
    def auxiliary_map_size(self) -> int:
        """Side of the maps that the hidden layers of the auxiliary heads see."""
        return (self.image_size // 16 - AUXILIARY_POOL) // AUXILIARY_STRIDE + 1

    def last_of_stage(self, stage: int) -> str:
        """Name of the last inception of stage 3, 4 or 5."""
        assert self.inceptions is not None
        return max(name for name in self.inceptions if name.startswith(str(stage)))

    def validate_architecture(self) -> None:
        """Raise ValueError where a field is not possible or two disagree."""
        inceptions = self.inceptions or {}
        if {name[:1] for name in inceptions} != {"3", "4", "5"}:
            raise ValueError(f"inceptions are {', '.join(inceptions)}: stages 3, 4 and 5 need one each, such as '3a'")
        for name, sizes in inceptions.items():
            if len(sizes) != 6:
                raise ValueError(f"inceptions['{name}'] has {len(sizes)} numbers but a row of table 1 has 6")
        if len(self.stem_sizes) != 3:
            raise ValueError(f"stem_sizes has {len(self.stem_sizes)} entries but the stem has 3 convolutions")
        if self.image_size % 32:
            raise ValueError(f"image_size is {self.image_size} but five halvings need a multiple of 32")
        if self.auxiliary_heads and self.auxiliary_map_size < 1:
            raise ValueError(f"image_size is {self.image_size}: too small for auxiliary_heads, which need 96")
        if self.auxiliary_heads and not inceptions.keys() >= set(AUXILIARY_AFTER):
            raise ValueError(f"auxiliary_heads look at inceptions {' and '.join(AUXILIARY_AFTER)}: name them")
