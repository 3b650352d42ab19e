"""Super-resolution configuration."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class SuperResolutionConfig(PreTrainedConfig):
    """Configuration of [`SuperResolutionForImageToImage`].

    Defaults are SRCNN 9-1-5 for a threefold enlargement (Dong et al. 2014).

    Args:
        network: "srcnn", which mends a bicubic enlargement, or "espcn", which enlarges in its last layer.
        scale: How many times wider and higher the answer is, r.
        hidden_sizes: Channels of the hidden layers, n1 and n2.
        kernel_sizes: Of all layers, one more: f1, f2 and f3. Odd.
        initializer_range: Standard deviation of the initial weights; None for torch's own.
    """

    model_type = "hfmm_super_resolution"

    network: Literal["srcnn", "espcn"] = "srcnn"
    scale: int = 3
    hidden_sizes: list[int] | tuple[int, ...] = (64, 32)
    kernel_sizes: list[int] | tuple[int, ...] = (9, 1, 5)
    initializer_range: float | None = 0.001

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        if len(self.kernel_sizes) != len(self.hidden_sizes) + 1:
            raise ValueError(
                f"{len(self.kernel_sizes)} kernel_sizes for {len(self.hidden_sizes)} hidden layers: one more is needed"
            )
        if any(size % 2 == 0 for size in self.kernel_sizes):
            raise ValueError(f"kernel_sizes {list(self.kernel_sizes)} must be odd")
        if min([*self.hidden_sizes, *self.kernel_sizes, self.scale]) < 1:
            raise ValueError("hidden_sizes, kernel_sizes and scale must be positive")

    @property
    def reach(self) -> int:
        """How many pixels away from it a pixel sees, before a last enlargement."""
        return sum(size // 2 for size in self.kernel_sizes)

    @property
    def margin(self) -> int:
        """Pixels at each border of the answer that see past the picture, and do not count in training."""
        return self.reach if self.network == "srcnn" else self.reach * self.scale
