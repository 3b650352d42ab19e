"""SETR configuration."""

from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

VIT_LARGE = {
    "image_size": 512,
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}


@strict
class SetrConfig(PreTrainedConfig):
    """Configuration of [`SetrForSemanticSegmentation`].

    Defaults are the paper's with T-Large (Zheng et al. 2021, sections 3.3 and 4.1).

    Args:
        encoder_config: A Vision Transformer whose patches have a side that is a power of two.
        decoder: "naive", two 1 x 1 convolutions; "pup", progressive upsampling; "mla", multi-level aggregation.
        decoder_hidden_size: Channels of the decoder.
        mla_layers: Of the encoder, counted from 1, whose maps multi-level aggregation joins, the first one first.
        auxiliary_layers: Of the encoder, counted from 1, whose maps a naive decoder each has to segment in training.
        auxiliary_weight: Of their losses.
    """

    model_type = "hfmm_setr"
    sub_configs_defaults = {"encoder_config": SubConfigSpec(AutoConfig, "vit", init_kwargs=VIT_LARGE)}

    encoder_config: dict | PreTrainedConfig | None = None
    decoder: Literal["naive", "pup", "mla"] = "pup"
    decoder_hidden_size: int = 256
    mla_layers: list[int] | tuple[int, ...] = (6, 12, 18, 24)
    auxiliary_layers: list[int] | tuple[int, ...] = (10, 15, 20)
    auxiliary_weight: float | int = 0.4

    def __post_init__(self, **kwargs: Any) -> None:
        self.mla_layers, self.auxiliary_layers = list(self.mla_layers), list(self.auxiliary_layers)
        super().__post_init__(**kwargs)

    def validate_architecture(self) -> None:
        """Raise ValueError where a layer does not exist or a size does not fit."""
        encoder: Any = self.encoder_config
        used = [*self.auxiliary_layers, *(self.mla_layers if self.decoder == "mla" else ())]
        for layer in used:
            if not 1 <= layer <= encoder.num_hidden_layers:
                raise ValueError(f"there is no layer {layer}: the encoder has {encoder.num_hidden_layers}")
        if encoder.patch_size & (encoder.patch_size - 1):
            raise ValueError(f"patch_size is {encoder.patch_size}: progressive upsampling needs a power of two")
        if self.decoder_hidden_size % 2:
            raise ValueError(f"decoder_hidden_size is {self.decoder_hidden_size}: multi-level aggregation halves it")
