"""Show, Attend and Tell configuration."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec


@strict
class ShowAttendTellConfig(PreTrainedConfig):
    """Configuration of [`ShowAttendTellForConditionalGeneration`]: annotations of a picture network, read word by word.

    Defaults are the paper's (Xu et al. 2015) over COCO, with the linear deep output of its Eq. 7.

    Args:
        backbone_config: Any backbone of hfmm or transformers; its last feature map gives the annotation vectors. VGG-19
            before the last max-pool by default (14 x 14 x 512 for pictures of 224 pixels).
        vocab_size: K, number of words, the special ones included.
        embedding_size: m, width of a word embedding and of the deep output.
        hidden_size: n, width of the LSTM.
        annotation_size: D, channels of the backbone's last feature map.
        attention_size: Width of the layer in which annotations and hidden state meet.
        attention_type: "soft" reads the expected annotation, "hard" one sampled annotation (section 4).
        attention_layers: 2 puts a tanh layer over the projected annotations, 1 leaves it out.
        init_layers: 2 puts a ReLU layer under the initial states, 1 leaves it out.
        use_selector: Scale what is read by the scalar beta (section 4.2.1).
        deep_output_activation: "tanh" as in the released code, or None as in Eq. 7.
        doubly_stochastic_lambda: Weight of the doubly stochastic term (Eq. 14); soft attention only.
        doubly_stochastic_tau: What the attention of a location should add up to over the words.
        reinforce_lambda: lambda_r, weight of the REINFORCE term; hard attention only.
        entropy_lambda: lambda_e, weight of the entropy of the attention; hard attention only.
        semi_sampling_p: Probability that a training batch reads the expectation, not a sample; hard attention only.
        baseline_decay: How much of the moving-average baseline stays after a batch; hard attention only.
        hard_decoding: What hard attention reads when it does not sample: the likeliest annotation ("argmax") or the
            expected one ("expected").
        dropout: On the hidden state before the output, on the deep output and in the initial states.
        initializer_range: Standard deviation of weights that are not square; square ones start orthogonal.
        bos_token_id: Word before the first; its embedding is the zero vector.
        eos_token_id: Word after the last.
        pad_token_id: Word that fills captions; not 0, with which beam search would fill by `eos_token_id`.
    """

    model_type = "hfmm_show_attend_tell"
    sub_configs_defaults = {
        "backbone_config": SubConfigSpec(
            AutoConfig, model_type="hfmm_vgg", init_kwargs={"num_layers": 19, "out_features": ["stage5"]}
        )
    }

    backbone_config: dict | PreTrainedConfig | None = None
    vocab_size: int = 10000
    embedding_size: int = 512
    hidden_size: int = 1800
    annotation_size: int = 512
    attention_size: int = 512
    attention_type: Literal["soft", "hard"] = "soft"
    attention_layers: Literal[1, 2] = 2
    init_layers: Literal[1, 2] = 2
    use_selector: bool = True
    deep_output_activation: Literal["tanh"] | None = None
    doubly_stochastic_lambda: float | int = 1.0
    doubly_stochastic_tau: float | int = 1.0
    reinforce_lambda: float | int = 0.1
    entropy_lambda: float | int = 0.002
    semi_sampling_p: float | int = 0.5
    baseline_decay: float | int = 0.9
    hard_decoding: Literal["argmax", "expected"] = "argmax"
    dropout: float | int = 0.5
    initializer_range: float | int = 0.01
    bos_token_id: int | None = 1
    eos_token_id: int | None = 2
    pad_token_id: int | None = 3
    is_encoder_decoder: bool = True

    def validate_architecture(self) -> None:
        """Raise ValueError where a field is out of range or two disagree."""
        for name in ("vocab_size", "embedding_size", "hidden_size", "annotation_size", "attention_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)} but must be at least 1")
        for name in ("semi_sampling_p", "baseline_decay", "dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)} but is a share: it must lie in [0, 1]")
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            word = getattr(self, name)
            if word is None or not 0 <= word < self.vocab_size:
                raise ValueError(f"{name} is {word} but vocab_size is {self.vocab_size}: no such word")
        if len({self.bos_token_id, self.eos_token_id, self.pad_token_id}) < 3:
            raise ValueError(
                f"bos_token_id {self.bos_token_id}, eos_token_id {self.eos_token_id} and pad_token_id "
                f"{self.pad_token_id} must be three different words"
            )
