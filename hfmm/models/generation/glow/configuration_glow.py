"""Glow configuration."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class GlowConfig(PreTrainedConfig):
    """Configuration of [`GlowModel`].

    Defaults are the paper's for CIFAR-10 (Kingma and Dhariwal 2018, table 4).

    Args:
        num_channels: Of the pictures.
        image_size: Height and width of the pictures in pixels.
        num_levels: L, squeezes; all but the last end in a split.
        depth: K, steps of flow a level.
        hidden_size: Feature maps of the couplings' nets.
        coupling: "affine", or "additive", which only shifts.
        coupling_scale: Of affine couplings: the "sigmoid" of the net's output plus 2, as released, or its "exp".
        permutation: Of channels before each coupling: an invertible 1x1 convolution, a fixed shuffle, or reversing.
        lu_decomposed: Learn the 1x1 convolution as P L (U + diag(s)).
        num_bits: Of a value; what a picture has beyond them is dropped.
        learn_top: Learn the prior of the last level; a standard normal otherwise.
        label_condition: Shift and scale the last prior by one of `num_labels` classes, and predict the class.
        classifier_weight: Of that prediction's loss.
        edge_padding_channel: Give each 3x3 convolution a channel that marks what is outside, as released.
    """

    model_type = "hfmm_glow"

    num_channels: int = 3
    image_size: int = 32
    num_levels: int = 3
    depth: int = 32
    hidden_size: int = 512
    coupling: Literal["affine", "additive"] = "affine"
    coupling_scale: Literal["sigmoid", "exp"] = "sigmoid"
    permutation: Literal["invconv", "shuffle", "reverse"] = "invconv"
    lu_decomposed: bool = False
    num_bits: int = 8
    learn_top: bool = True
    label_condition: bool = False
    classifier_weight: float | int = 0.01
    edge_padding_channel: bool = False

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        if min(self.num_channels, self.image_size, self.num_levels, self.depth, self.hidden_size) < 1:
            raise ValueError("num_channels, image_size, num_levels, depth and hidden_size must be positive")
        if self.image_size % 2**self.num_levels:
            raise ValueError(
                f"image_size is {self.image_size}, which cannot be halved {self.num_levels} times (num_levels)"
            )
        if not 1 <= self.num_bits <= 8:
            raise ValueError(f"num_bits is {self.num_bits}: pictures have 1 to 8")
