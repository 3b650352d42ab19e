"""YOLO configuration."""

from math import prod
from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

MAX_POOL = "max_pool"  # in `layers`: 2 x 2, stride 2
_QUARTER, _HALF = [[1, 256, 1], [3, 512, 1]], [[1, 512, 1], [3, 1024, 1]]
PAPER_LAYERS: list[Any] = [
    *([7, 64, 2], MAX_POOL, [3, 192, 1], MAX_POOL),
    *([1, 128, 1], [3, 256, 1], [1, 256, 1], [3, 512, 1], MAX_POOL),
    *(*_QUARTER * 4, *_HALF, MAX_POOL),
    *(*_HALF * 2, [3, 1024, 1], [3, 1024, 2]),
    *([3, 1024, 1], [3, 1024, 1]),
]


@strict
class YoloConfig(PreTrainedConfig):
    """Configuration of [`YoloForObjectDetection`].

    Defaults are the paper's (Redmon et al. 2016, section 2.1 and figure 3), for the 20 classes of Pascal VOC.

    Args:
        num_channels: Of the pictures.
        image_size: Side of the pictures, a multiple of what the layers divide it by.
        layers: Each a convolution [side of its kernel, channels, stride] or "max_pool", of 2 x 2 pixels.
        num_predictors: B, boxes that a cell of the grid predicts.
        hidden_size: Width of the fully connected layer before the last one, or None for a head of one 1 x 1
            convolution, with which every cell sees what the others see.
        dropout: After the fully connected layer.
        batch_normalization: Normalize after each convolution, which then has no bias.
    """

    model_type = "hfmm_yolo"

    num_channels: int = 3
    image_size: int = 448
    layers: list[list[int] | str] | None = None
    num_predictors: int = 2
    hidden_size: int | None = 4096
    dropout: float | int = 0.5
    batch_normalization: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        self.layers = PAPER_LAYERS if self.layers is None else [
            layer if layer == MAX_POOL else list(layer) for layer in self.layers
        ]
        if "num_labels" not in kwargs and "id2label" not in kwargs:
            kwargs["num_labels"] = 20
        super().__post_init__(**kwargs)

    @property
    def grid_size(self) -> int:
        """S, cells of the grid in each direction."""
        return self.image_size // self._stride

    @property
    def _stride(self) -> int:
        return prod(2 if layer == MAX_POOL else layer[2] for layer in self.layers or ())

    def validate_architecture(self) -> None:
        """Raise ValueError where a layer is none or the sizes disagree."""
        for layer in self.layers or ():
            if layer != MAX_POOL and (isinstance(layer, str) or len(layer) != 3 or min(layer) < 1):
                raise ValueError(f"layers has {layer!r}: give [kernel, channels, stride] or '{MAX_POOL}'")
        if not self.layers or self.layers[-1] == MAX_POOL:
            raise ValueError("layers must end with a convolution")
        if self.image_size % self._stride:
            raise ValueError(f"image_size is {self.image_size} but the layers divide it by {self._stride}")
