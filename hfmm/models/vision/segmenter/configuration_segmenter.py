"""Segmenter configuration."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

VIT_LARGE = {
    "image_size": 640,
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}


@strict
class SegmenterConfig(PreTrainedConfig):
    """Configuration of [`SegmenterForSemanticSegmentation`].

    Defaults are the paper's Seg-L-Mask/16 (Strudel et al. 2021, table 7).

    Args:
        encoder_config: A Vision Transformer; its patches are what is classified.
        decoder: "mask", a transformer over patches and classes (section 3.2), or "linear", a layer on each patch.
        num_decoder_layers: The paper's M, of the mask transformer; its layers are as wide as the encoder's.
    """

    model_type = "hfmm_segmenter"
    sub_configs_defaults = {"encoder_config": SubConfigSpec(AutoConfig, "vit", init_kwargs=VIT_LARGE)}

    encoder_config: dict | PreTrainedConfig | None = None
    decoder: Literal["mask", "linear"] = "mask"
    num_decoder_layers: int = 2
