"""GoogLeNet (arXiv:1409.4842).

FILL: the idea in two sentences.

Axes: B batch, D hidden.

| paper | here |
|---|---|
| FILL: equation, Eq. 1 | `GooglenetForImageClassification.forward` |
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_googlenet import GooglenetConfig


@dataclass
class GooglenetOutput(ModelOutput):
    """What [`GooglenetForImageClassification`] returns.

    Attributes:
        loss: (), per example, when labels are given.
        logits: FILL: shape and meaning.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None


class GooglenetPreTrainedModel(PreTrainedModel):
    """Weights and loading of GoogLeNet."""

    config_class = GooglenetConfig
    base_model_prefix = "model"


class GooglenetForImageClassification(GooglenetPreTrainedModel):
    """FILL: what it computes."""

    def __init__(self, config: GooglenetConfig) -> None:
        super().__init__(config)
        self.projection = nn.Linear(config.hidden_size, config.hidden_size)
        self.post_init()

    @can_return_tuple
    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, **kwargs: Any) -> GooglenetOutput:
        """FILL: what goes in, what comes out."""
        raise RuntimeError("FILL: GooglenetForImageClassification.forward")
