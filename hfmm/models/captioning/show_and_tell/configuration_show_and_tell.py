"""Show and Tell configuration."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

RESNET50_TO_STAGE3 = {"depths": [3, 4, 6], "hidden_sizes": [256, 512, 1024]}  # 1,024 channels, as GoogLeNet's last


@strict
class ShowAndTellConfig(PreTrainedConfig):
    """Configuration of [`ShowAndTellForConditionalGeneration`].

    Defaults are the paper's (Vinyals et al. 2015), but for the backbone: ResNet-50 without its last stage stands in for
    GoogLeNet, whose pooled features have the same 1,024 channels.

    Args:
        backbone_config: Any backbone; its last output map is the picture.
        vocab_size: Number of words, special ones included.
        hidden_size: Width of m_t and c_t.
        embedding_size: Width of x_t, of words and of the picture.
        image_feature_size: Width of CNN(I): the map's channels, or channels x height x width when flattened.
        feature_pooling: "mean" over the map, or "flatten", for small maps in which places must stay apart.
        lstm_bias: Biases in the gates; the paper has none, the released TensorFlow code has them.
        forget_bias: First value of the forget gate's bias, with `lstm_bias`; the released code adds a constant 1.
        lstm_output_tanh: m_t = o_t * tanh(c_t), as in the released code; m_t = o_t * c_t in the paper.
        feed_image_every_step: Show the picture at every step, and not at t = -1 alone; the paper finds it worse.
        dropout: On what enters and leaves the LSTM.
        initializer_range: Weights but the backbone's start uniform in [-initializer_range, initializer_range].
    """

    model_type = "hfmm_show_and_tell"
    sub_configs_defaults = {"backbone_config": SubConfigSpec(AutoConfig, "resnet", init_kwargs=RESNET50_TO_STAGE3)}

    backbone_config: dict | PreTrainedConfig | None = None
    vocab_size: int = 10000
    hidden_size: int = 512
    embedding_size: int = 512
    image_feature_size: int = 1024
    feature_pooling: Literal["mean", "flatten"] = "mean"
    lstm_bias: bool = False
    forget_bias: float | int = 1.0
    lstm_output_tanh: bool = False
    feed_image_every_step: bool = False
    dropout: float | int = 0.3
    initializer_range: float | int = 0.08
    is_encoder_decoder: bool = True
    bos_token_id: int | None = 1
    eos_token_id: int | None = 2
    pad_token_id: int | None = 3
    decoder_start_token_id: int | None = 1

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        for name in ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"):
            token_id = getattr(self, name)
            if token_id is not None and token_id >= self.vocab_size:
                raise ValueError(f"{name} is {token_id} but vocab_size is {self.vocab_size}: no such word")
