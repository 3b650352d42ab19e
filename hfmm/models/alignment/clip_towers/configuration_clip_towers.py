"""Configuration of CLIP over any two towers."""

from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import CLIPTextConfig, CLIPVisionConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec


@strict
class ClipTowersConfig(PreTrainedConfig):
    """Configuration of [`ClipTowersModel`].

    Defaults are RN50 of Radford et al. 2021 (table 19).

    Args:
        vision_tower: "resnet", CLIP's modified ResNet, or "vit", upstream's Vision Transformer of CLIP.
        text_tower: "transformer", upstream's of CLIP, or "cbow", the mean of the words' embeddings.
        vision_config: Of the Vision Transformer; of the ResNet, its `image_size` and `num_channels`.
        text_config: Of the Transformer; of the mean, its `vocab_size` and `hidden_size`.
        stem_size: Channels that the ResNet's stem ends with; stage s has 4 * 2^s times as many.
        depths: Bottlenecks of each stage of the ResNet; every stage but the first halves the map.
        pool_head_size: Channels of a head of the attention pooling.
        projection_dim: Width of the joint space.
        logit_scale_init_value: t at the start, the logarithm of 1 / 0.07.
    """

    model_type = "hfmm_clip_towers"
    sub_configs_defaults = {
        "vision_config": SubConfigSpec(CLIPVisionConfig),
        "text_config": SubConfigSpec(CLIPTextConfig),
    }

    vision_tower: Literal["resnet", "vit"] = "resnet"
    text_tower: Literal["transformer", "cbow"] = "transformer"
    vision_config: dict | PreTrainedConfig | None = None
    text_config: dict | PreTrainedConfig | None = None
    stem_size: int = 64
    depths: list[int] | tuple[int, ...] = (3, 4, 6, 3)
    pool_head_size: int = 64
    projection_dim: int = 1024
    logit_scale_init_value: float | int = 2.6593

    def __post_init__(self, **kwargs: Any) -> None:
        self.depths = list(self.depths)
        super().__post_init__(**kwargs)

    @property
    def stage_sizes(self) -> list[int]:
        """Channels that each stage of the ResNet ends with."""
        return [4 * self.stem_size * 2**number for number in range(len(self.depths))]

    @property
    def map_size(self) -> int:
        """Side of the ResNet's last map."""
        vision: Any = self.vision_config
        return vision.image_size // (4 * 2 ** (len(self.depths) - 1))

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        if self.vision_tower != "resnet":
            return
        if not self.depths or min(self.depths) < 1 or self.stem_size % 2:
            raise ValueError(
                f"depths {self.depths} and stem_size {self.stem_size}: give each stage a block, stems in 2s"
            )
        if self.stage_sizes[-1] % self.pool_head_size:
            raise ValueError(
                f"pool_head_size is {self.pool_head_size}, not a divisor of the last stage's {self.stage_sizes[-1]}"
            )
        vision: Any = self.vision_config
        if not isinstance(vision.image_size, int) or vision.image_size != self.map_size * 2 ** (len(self.depths) + 1):
            raise ValueError(
                f"vision_config.image_size is {vision.image_size}, which {len(self.depths)} stages cannot halve "
                f"{len(self.depths) + 1} times"
            )
