"""Configuration of image-sentence ranking with layer normalization."""

from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

VGG19 = {"num_layers": 19}


@strict
class LayerNormRankingConfig(PreTrainedConfig):
    """Configuration of [`LayerNormRankingModel`].

    Defaults are those of the paper's ranking experiment (Ba et al. 2016, section 6.1), the order embeddings of Vendrov
    et al. 2016 with a layer-normalized GRU.

    Args:
        vision_config: Any backbone.
        image_pooling: "mean" over the places of the backbone's last map, or "flatten", which keeps them apart.
        image_pool_size: Side of the windows of a max-pool before that; 1 for none.
        image_map_size: Values that the map has after pooling.
        image_layers: Widths of the fully connected layers after it, fc6 and fc7 by default.
        vocab_size: Number of words, special ones included.
        word_size: Width of a word embedding.
        hidden_size: Width of the recurrent state and of the joint space.
        recurrence: "gru", "lstm" or "rnn".
        layer_norm: "separate" normalizes what the word gives and what the state gives, each by itself, as in the
            released code; "sum" normalizes their sum, as the paper's Eq. 4; "none".
        similarity: "order" ranks by the order violation, "cosine" by the cosine.
        margin: alpha of the loss, 0.05 for order and 0.2 for cosine in the released code.
    """

    model_type = "hfmm_layer_norm_ranking"
    sub_configs_defaults = {"vision_config": SubConfigSpec(AutoConfig, "hfmm_vgg", init_kwargs=VGG19)}

    vision_config: dict | PreTrainedConfig | None = None
    image_pooling: Literal["mean", "flatten"] = "flatten"
    image_pool_size: int = 2
    image_map_size: int = 512 * 7 * 7
    image_layers: list[int] | None = None
    vocab_size: int = 10000
    word_size: int = 300
    hidden_size: int = 1024
    recurrence: Literal["gru", "lstm", "rnn"] = "gru"
    layer_norm: Literal["separate", "sum", "none"] = "separate"
    similarity: Literal["order", "cosine"] = "order"
    margin: float | int = 0.05
    bos_token_id: int | None = 1
    eos_token_id: int | None = 2
    pad_token_id: int | None = 3

    def __post_init__(self, **kwargs: Any) -> None:
        self.image_layers = [4096, 4096] if self.image_layers is None else self.image_layers
        super().__post_init__(**kwargs)

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            token_id = getattr(self, name)
            if token_id is not None and token_id >= self.vocab_size:
                raise ValueError(f"{name} is {token_id} but vocab_size is {self.vocab_size}: no such word")
