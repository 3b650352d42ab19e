"""Configuration of the structured joint embedding."""

from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

POOL_SIZE = 3  # places of each max-pool


@strict
class CharCnnRnnConfig(PreTrainedConfig):
    """Configuration of [`CharCnnRnnModel`].

    Defaults are those of the released text encoder for birds (Reed et al. 2016, `HybridCNN`), beside GoogLeNet.

    Args:
        vision_config: Any backbone.
        image_pooling: "mean" over the places of the backbone's last map, or "flatten", which keeps them apart.
        image_map_size: Values that the map has after pooling.
        image_layers: Widths of the fully connected layers after it; none by default.
        project_image: Map the picture's features linearly to the joint space; the paper takes them as they are.
        reads: "characters" or "words", whose one-hot columns are convolved before a recurrent net runs over what is
            found; a "bag_of_words" only counts them.
        vocab_size: Characters (the alphabet's 70 slots, padding and unknown) or words.
        max_length: Characters or words that are read.
        conv_channels: Of each convolution.
        conv_kernel_size: Of all convolutions.
        pool_strides: Of the max-pool after each of the first convolutions, all of 3 places.
        cell: "rnn" with rectifiers, or "gru".
        time_pooling: "mean" of the states, or the "last" one.
        projection_size: Width of the joint space.
        surrogate: Hinges of the wrong classes are added up ("sum", the released code) or only the largest counts
            ("max", the paper).
        symmetric: Also rank pictures for each sentence (DS-SJE); without, sentences for each picture alone (DA-SJE).
        initializer_range: All weights but the backbone's start uniform in [-initializer_range, initializer_range].
    """

    model_type = "hfmm_char_cnn_rnn"
    sub_configs_defaults = {"vision_config": SubConfigSpec(AutoConfig, "hfmm_googlenet")}

    vision_config: dict | PreTrainedConfig | None = None
    image_pooling: Literal["mean", "flatten"] = "mean"
    image_map_size: int = 1024
    image_layers: list[int] | None = None
    project_image: bool = False
    reads: Literal["characters", "words", "bag_of_words"] = "characters"
    vocab_size: int = 72
    max_length: int = 201
    conv_channels: list[int] | tuple[int, ...] = (384, 512, 256)
    conv_kernel_size: int = 4
    pool_strides: list[int] | tuple[int, ...] = (3, 3, 2)
    cell: Literal["rnn", "gru"] = "rnn"
    time_pooling: Literal["mean", "last"] = "mean"
    projection_size: int = 1024
    surrogate: Literal["sum", "max"] = "sum"
    symmetric: bool = True
    initializer_range: float | int = 0.08
    pad_token_id: int | None = 0

    def __post_init__(self, **kwargs: Any) -> None:
        self.image_layers = [] if self.image_layers is None else self.image_layers
        self.conv_channels, self.pool_strides = list(self.conv_channels), list(self.pool_strides)
        super().__post_init__(**kwargs)

    @property
    def lengths(self) -> list[int]:
        """Places after each convolution and each max-pool, the sentence itself first."""
        found = [self.max_length]
        for index in range(len(self.conv_channels)):
            found.append(found[-1] - self.conv_kernel_size + 1)
            if index < len(self.pool_strides):
                found.append((found[-1] - POOL_SIZE) // self.pool_strides[index] + 1)
        return found

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        feature_size = self.image_layers[-1] if self.image_layers else self.image_map_size
        if not self.project_image and feature_size != self.projection_size:
            raise ValueError(
                f"pictures have {feature_size} features but projection_size is {self.projection_size}: set "
                "project_image"
            )
        if self.reads != "bag_of_words" and self.lengths[-1] < 1:
            raise ValueError(
                f"max_length is {self.max_length}, of which the convolutions leave {self.lengths}: no step for the "
                "recurrent net"
            )
        if self.pad_token_id is None or self.pad_token_id >= self.vocab_size:
            raise ValueError(f"pad_token_id is {self.pad_token_id} but vocab_size is {self.vocab_size}: no such word")
