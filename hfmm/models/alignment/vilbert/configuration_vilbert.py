"""Configuration of ViLBERT."""

from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, BertConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec


@strict
class VilbertConfig(PreTrainedConfig):
    """Configuration of the ViLBERT models.

    Defaults are those of the released `bert_base_6layer_6conect`, which is given regions.

    Args:
        regions: Where regions come from: "given" with every call; "grid", the cells of the last map of a backbone;
            "detected" by a detector with `extract_regions`, which is not trained.
        vision_config: The backbone or the detector; None where regions are given.
        num_regions: That the detector is asked for in a picture.
        region_size: Width of a region's features.
        num_region_classes: Of the detector, the background included; what masked regions are predicted as.
        vocab_size: Number of words, special ones included.
        hidden_size: Width of the text stream.
        num_hidden_layers: Of the text stream.
        num_attention_heads: Of the text stream.
        intermediate_size: Of the text stream's feed-forward layers.
        visual_hidden_size: Width of the visual stream.
        visual_num_layers: Of the visual stream.
        visual_num_heads: Of the visual stream.
        visual_intermediate_size: Of the visual stream's feed-forward layers.
        joint_size: Width of queries, keys and values of co-attention, and of the pooled states.
        joint_num_heads: Of co-attention.
        text_connections: Before which text layers co-attention stands, from 0.
        visual_connections: Before which visual layers the same co-attention stands.
        hidden_act: Of all feed-forward layers.
        hidden_dropout_prob: Everywhere but in attention.
        attention_probs_dropout_prob: In attention.
        max_position_embeddings: Words that a text may have.
        type_vocab_size: Kinds of words.
        layer_norm_eps: Of all layer norms.
        initializer_range: Standard deviation of the initial weights.
    """

    model_type = "hfmm_vilbert"
    sub_configs_defaults = {"vision_config": SubConfigSpec(AutoConfig, "hfmm_small_cnn", optional=True)}

    regions: Literal["given", "grid", "detected"] = "given"
    vision_config: dict | PreTrainedConfig | None = None
    num_regions: int = 36
    region_size: int = 2048
    num_region_classes: int = 1601
    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    visual_hidden_size: int = 1024
    visual_num_layers: int = 6
    visual_num_heads: int = 8
    visual_intermediate_size: int = 1024
    joint_size: int = 1024
    joint_num_heads: int = 8
    text_connections: list[int] | None = None
    visual_connections: list[int] | None = None
    hidden_act: str = "gelu"
    hidden_dropout_prob: float | int = 0.1
    attention_probs_dropout_prob: float | int = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    bos_token_id: int | None = 1
    eos_token_id: int | None = 2
    pad_token_id: int | None = 3
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        self.text_connections = list(range(6, 12)) if self.text_connections is None else self.text_connections
        self.visual_connections = list(range(6)) if self.visual_connections is None else self.visual_connections
        super().__post_init__(**kwargs)

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        if (self.regions == "given") != (self.vision_config is None):
            need = "no vision_config" if self.regions == "given" else "a vision_config"
            raise ValueError(f"regions is '{self.regions}', which needs {need}")
        for kind, connections, layers in (
            ("text", self.text_connections, self.num_hidden_layers),
            ("visual", self.visual_connections, self.visual_num_layers),
        ):
            places = connections or []
            if places != sorted(set(places)) or any(not 0 <= place < layers for place in places):
                raise ValueError(f"{kind}_connections is {places}: rising numbers of the {layers} layers are needed")
        if len(self.text_connections or []) != len(self.visual_connections or []):
            raise ValueError("text_connections and visual_connections differ in number: each joins the two streams")
        if self.joint_size % self.joint_num_heads:
            raise ValueError(f"joint_size is {self.joint_size}, which {self.joint_num_heads} heads cannot share")

    def of_text(self) -> BertConfig:
        """The text stream as BERT's layers take it."""
        return self._of_stream(
            self.hidden_size, self.num_hidden_layers, self.num_attention_heads, self.intermediate_size
        )

    def of_regions(self) -> BertConfig:
        """The visual stream as BERT's layers take it."""
        return self._of_stream(
            self.visual_hidden_size, self.visual_num_layers, self.visual_num_heads, self.visual_intermediate_size
        )

    def _of_stream(self, size: int, layers: int, heads: int, intermediate: int) -> BertConfig:
        return BertConfig(
            vocab_size=self.vocab_size,
            hidden_size=size,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=intermediate,
            hidden_act=self.hidden_act,
            hidden_dropout_prob=self.hidden_dropout_prob,
            attention_probs_dropout_prob=self.attention_probs_dropout_prob,
            max_position_embeddings=self.max_position_embeddings,
            type_vocab_size=self.type_vocab_size,
            layer_norm_eps=self.layer_norm_eps,
            pad_token_id=self.pad_token_id,
            attn_implementation="eager",  # type: ignore[call-arg]
        )
