"""YOLO configuration."""

from math import prod
from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

POOL = (2,)  # a max-pool of 2 x 2 pixels; the last number of any layer is what it divides the sides by
_NARROW, _WIDE = ((1, 256, 1), (3, 512, 1)), ((1, 512, 1), (3, 1024, 1))
PAPER_LAYERS = (
    *((7, 64, 2), POOL, (3, 192, 1), POOL),
    *((1, 128, 1), (3, 256, 1), (1, 256, 1), (3, 512, 1), POOL),
    *(*_NARROW * 4, *_WIDE, POOL),
    *(*_WIDE * 2, (3, 1024, 1), (3, 1024, 2)),
    *((3, 1024, 1), (3, 1024, 1)),
)


@strict
class YoloConfig(PreTrainedConfig):
    """Configuration of [`YoloForObjectDetection`].

    Defaults are the paper's (Redmon et al. 2016, section 2.1 and figure 3), but for `num_labels`, which is 20 there.

    Args:
        num_channels: Of the pictures.
        image_size: Side of the pictures, a multiple of what the layers divide it by.
        layers: Each [side of the kernel, channels, stride] of a convolution, or [2], a max-pool of 2 x 2 pixels.
        num_predictors: The paper's B, boxes that a cell of the grid predicts.
        hidden_size: Width of the fully connected layer before the last one, or None for a head of one 1 x 1
            convolution, which treats all cells alike.
        dropout: After the fully connected layer.
        batch_normalization: Normalize after each convolution, which then has no bias.
    """

    model_type = "hfmm_yolo"

    num_channels: int = 3
    image_size: int = 448
    layers: list[Any] | tuple[Any, ...] = PAPER_LAYERS
    num_predictors: int = 2
    hidden_size: int | None = 4096
    dropout: float | int = 0.5
    batch_normalization: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        self.layers = [list(layer) for layer in self.layers]
        super().__post_init__(**kwargs)

    @property
    def stride(self) -> int:
        """Pixels of the picture to a cell."""
        return prod(layer[-1] for layer in self.layers)

    @property
    def grid_size(self) -> int:
        """S, cells of the grid in each direction."""
        return self.image_size // self.stride

    def validate_architecture(self) -> None:
        """Raise ValueError where a layer is none or the sizes disagree."""
        for layer in self.layers:
            if layer != list(POOL) and (len(layer) != 3 or min(layer) < 1):
                raise ValueError(f"layers has {layer}: give [kernel, channels, stride], or [2] for a max-pool")
        if not self.layers or self.layers[-1] == list(POOL):
            raise ValueError("layers must end with a convolution")
        if self.image_size % self.stride:
            raise ValueError(f"image_size is {self.image_size} but the layers divide it by {self.stride}")
