"""LLaVA (version 1) configuration."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, LlavaConfig
from transformers.configuration_utils import SubConfigSpec


@strict
class LlavaV1Config(LlavaConfig):
    """Configuration of [`LlavaV1ForConditionalGeneration`]: a picture tower, a projector and a language model.

    Defaults are the paper's: CLIP ViT-L/14 at 224 pixels, of which each of 256 patches takes the place of a token.

    Args:
        projector_type: `linear`, one matrix W with a bias (version 1), or `mlp2x_gelu`, upstream's two layers (1.5).
        vision_config: Of the picture tower, any whose hidden states are patches after a class token.
        text_config: Of the language model, any causal one.
        image_token_index: Id of the placeholder that a patch takes the place of.
        image_seq_length: Patches of a picture.
        vision_feature_layer: Whose hidden states are the patches: -2 is the last but one, before the last layer.
    """

    model_type = "hfmm_llava"
    sub_configs_defaults = {
        "vision_config": SubConfigSpec(
            config_class=AutoConfig,
            model_type="clip_vision_model",
            init_kwargs={
                "hidden_size": 1024,
                "intermediate_size": 4096,
                "num_hidden_layers": 24,
                "num_attention_heads": 16,
                "patch_size": 14,
                "image_size": 224,
            },
        ),
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="llama"),
    }

    image_seq_length: int = 256
    projector_type: Literal["linear", "mlp2x_gelu"] = "linear"
