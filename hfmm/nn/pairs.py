"""What models of pictures and sentences share: of those that embed both, the output; of those that look at a pair, how
they are asked.

Axes: I pictures, T sentences, D joint space.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
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


@runtime_checkable
class ScoresPairs(Protocol):
    """A model that looks at a picture and a text together, and embeds neither."""

    def score_pairs(self, **inputs: Tensor) -> Tensor:
        """What the processor makes of B pairs to (B,); higher fits better."""


@runtime_checkable
class ScoresAllPairs(Protocol):
    """A model that looks at pairs, and does once what belongs to a picture or a text alone.

    Its `forward` returns the scores as `logits_per_image`.
    """

    def score_all(self, **inputs: Tensor) -> Tensor:
        """What the processor makes of I pictures and T texts to (I, T); higher fits better.

        With `pairs` (2, P), numbers of pictures and texts, these alone are scored, and the others minus infinity.
        """


@runtime_checkable
class RanksPairs(Protocol):
    """Upstream's form of a model that looks at pairs: the `logits` of its `forward` are scores, (B, 1)."""

    rank_output: nn.Module


def looks_at_pairs(model: object) -> bool:
    """Whether a model scores pairs and embeds neither pictures nor texts."""
    return isinstance(model, ScoresPairs | ScoresAllPairs | RanksPairs)


def every_pair(num_images: int, num_texts: int, device: torch.device) -> Tensor:
    """Numbers of pictures and texts of which each meets each. -> (2, I*T)."""
    images, texts = (torch.arange(count, device=device) for count in (num_images, num_texts))
    return torch.cartesian_prod(images, texts).view(-1, 2).T


def rows_of(inputs: Mapping[str, Any], images: Tensor, texts: Tensor) -> dict[str, Tensor]:
    """The rows of P pairs.

    Args:
        inputs: What a processor makes of I pictures (`pixel_values`, `pixel_mask`) and T texts.
        images: (P,), numbers of pictures.
        texts: (P,), numbers of texts.
    """
    return {name: value[images if name.startswith("pixel_") else texts] for name, value in inputs.items()}


def spread(scores: Tensor, images: Tensor, texts: Tensor, shape: tuple[int, int]) -> Tensor:
    """Scores of pairs where picture and text meet, and minus infinity elsewhere. (P,) -> (I, T)."""
    return scores.new_full(shape, -torch.inf).index_put((images, texts), scores)


def score_all_pairs(model: Any, inputs: Mapping[str, Any]) -> Tensor:
    """Scores of every picture with every text by a model of any of these forms. -> (I, T).

    Args:
        model: For which [`looks_at_pairs`].
        inputs: What its processor makes of I pictures and T texts.
    """
    if isinstance(model, ScoresAllPairs):
        return model.score_all(**inputs)
    shape = len(inputs["pixel_values"]), len(inputs["input_ids"])
    images, texts = every_pair(*shape, inputs["input_ids"].device)
    given = rows_of(inputs, images, texts)
    scores = model.score_pairs(**given) if isinstance(model, ScoresPairs) else model(**given).logits[:, 0]
    return scores.view(shape)
