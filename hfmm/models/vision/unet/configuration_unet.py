"""U-Net configuration."""

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

PADDINGS = ("valid", "same")


@strict
class UnetConfig(PreTrainedConfig):
    """Configuration of [`UnetForSemanticSegmentation`].

    Defaults are the paper's (Ronneberger et al. 2015, figure 1).

    Args:
        num_channels: Of the pictures.
        hidden_size: Channels of the first level; every level below has twice as many.
        depth: Max-pools of the contracting path, and up-convolutions of the expansive one.
        padding: "valid", convolutions see no pixel that is not there, so that the segmentation is smaller than the
            picture; or "same", which keeps its size.
        dropout: At the end of the contracting path.
        batch_normalization: Normalize after each convolution but the last.
    """

    model_type = "hfmm_unet"

    num_channels: int = 1
    hidden_size: int = 64
    depth: int = 4
    padding: str = "valid"
    dropout: float | int = 0.5
    batch_normalization: bool = False

    @property
    def margin(self) -> int:
        """Pixels that valid convolutions take from each side of a picture: 92 of the paper's network."""
        return 0 if self.padding == "same" else 6 * 2**self.depth - 4

    def fits(self, side: int) -> bool:
        """Whether every max-pool sees an even number of pixels, of a side of a picture."""
        if self.padding == "same":
            return side > 0 and side % 2**self.depth == 0
        return side > 2 * self.margin and (side + 4) % 2**self.depth == 0

    def validate_architecture(self) -> None:
        """Raise ValueError where a size is not positive or the padding is unknown."""
        if self.padding not in PADDINGS:
            raise ValueError(f"padding is '{self.padding}': give one of {', '.join(PADDINGS)}")
        if min(self.hidden_size, self.depth, self.num_channels) < 1:
            raise ValueError("hidden_size, depth and num_channels must be positive")
