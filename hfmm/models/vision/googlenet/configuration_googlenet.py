"""GoogLeNet configuration."""

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class GooglenetConfig(PreTrainedConfig):
    """Configuration of [`GooglenetForImageClassification`].

    Defaults are the paper's (FILL: authors, year, section).

    Args:
        hidden_size: FILL: what it is the width of.
    """

    model_type = "hfmm_googlenet"

    hidden_size: int = 512

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        if self.hidden_size < 1:
            raise ValueError(f"hidden_size is {self.hidden_size}: it must be positive")
