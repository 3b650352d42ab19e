"""What the models that embed pictures and sentences together share: their output, and how it is made.

Axes: I pictures, T sentences, D joint space.
"""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from transformers.utils import ModelOutput


@dataclass
class PairOutput(ModelOutput):
    """What the `forward` of a model of pictures and sentences returns; fields are named as CLIP's.

    Attributes:
        loss: (), per pair, with `return_loss`.
        logits_per_image: (I, T), scores; higher where they fit better.
        logits_per_text: (T, I), the same.
        image_embeds: (I, D).
        text_embeds: (T, D).
    """

    loss: Tensor | None = None
    logits_per_image: Tensor | None = None
    logits_per_text: Tensor | None = None
    image_embeds: Tensor | None = None
    text_embeds: Tensor | None = None


class ComparesEmbeddings(Protocol):
    """A model of pictures and sentences."""

    def score(self, image_embeds: Tensor, text_embeds: Tensor) -> Tensor:
        """(I, D) and (T, D) -> (I, T)."""

    def pair_loss(self, image_embeds: Tensor, text_embeds: Tensor) -> Tensor:
        """(B, D) and (B, D), row by row -> ()."""


def compare(
    model: ComparesEmbeddings, image_embeds: Tensor, text_embeds: Tensor, return_loss: bool | None
) -> PairOutput:
    """The output of a model for embeddings that it made.

    Args:
        model: With a score and a loss.
        image_embeds: (I, D).
        text_embeds: (T, D).
        return_loss: With the loss; row i of the sentences then belongs to row i of the pictures.
    """
    scores = model.score(image_embeds, text_embeds)  # I T
    loss = model.pair_loss(image_embeds, text_embeds) if return_loss else None
    return PairOutput(loss, scores, scores.T, image_embeds, text_embeds)
