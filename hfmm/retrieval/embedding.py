"""Embeds pictures and texts with any model that can, by one protocol, that of upstream's CLIPModel.

A model that has `get_image_features` and `get_text_features` embeds both; any other embeds pictures by their codes
(see `hfmm.explanation.codes`). Two embeddings are compared by their cosine, or by the model's own `score` where it has
one that is no cosine.

Axes: B batch, I pictures, T texts, D width.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import linear, normalize
from transformers import PreTrainedModel

from hfmm.errors import UsageError
from hfmm.explanation.codes import extract_codes
from hfmm.explanation.two_towers import EmbedsTexts, embed_pictures, embed_texts
from hfmm.nn.pairs import looks_at_pairs

BATCH_SIZE = 100
COSINE, OWN = "cosine", "own"
UNIT = 1e-2  # how far a length may be from one


@runtime_checkable
class ScoresEmbeddings(Protocol):
    """A model that compares embeddings in a way of its own."""

    def score(self, image_embeds: Tensor, text_embeds: Tensor) -> Tensor:
        """(I, D), (T, D) to (I, T); higher fits better."""


class Embedder:
    """A model as what it makes of pictures and texts.

    Attributes:
        model: On its device; put into evaluation mode.
        processor: Its processor.
        takes_texts: Whether it embeds texts.
        width: D.
        kind: `cosine`, whose embeddings have unit length, or `own`.
    """

    def __init__(self, model: Any, processor: Any) -> None:
        """Take a model, and look at what it makes of a picture.

        Raises:
            UsageError: It makes no embedding of a picture.
        """
        self.model: Any = model if isinstance(model, PreTrainedModel) else model.get_base_model()  # under adapters
        if looks_at_pairs(self.model):
            raise UsageError(f"{type(self.model).__name__} looks at a picture and a text together: it embeds neither")
        self.model.eval()
        self.processor = processor
        self.takes_texts = isinstance(self.model, EmbedsTexts)
        self.kind = OWN
        gray = self.pictures([Image.new("RGB", (64, 64), "gray")])
        self.width = gray.shape[1]
        has_length = abs(float(gray.norm()) - 1) > UNIT
        if not isinstance(self.model, ScoresEmbeddings) or is_cosine(self.model, self.width, has_length):
            self.kind = COSINE

    def pictures(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Embed a batch of pictures. B of them -> (B, D), on the CPU, in fp32."""
        if not self.takes_texts:
            return self._finished(extract_codes(self.model, self.processor, pictures, len(pictures)))
        return self._finished(embed_pictures(self.model, self.processor, pictures))

    def texts(self, texts: Sequence[str], cut: bool = False) -> Tensor:
        """Embed a batch of texts. B of them -> (B, D), on the CPU, in fp32.

        Args:
            texts: One or more.
            cut: Cut what is longer than the model takes, as training does.

        Raises:
            UsageError: The model embeds no texts, or a text is longer than it takes.
        """
        if not self.takes_texts:
            raise UsageError(f"{type(self.model).__name__} embeds pictures, and no texts")
        return self._finished(embed_texts(self.model, self.processor, texts, cut))

    def fingerprint(self) -> Tensor:
        """What the model makes of a picture that is always the same, and of two letters, by which it is known. (.,)."""
        shade = np.arange(96, dtype=np.uint8)
        pixels = np.stack(np.broadcast_arrays(2 * shade[:, None], 2 * shade, 128), axis=-1).astype(np.uint8)  # 96 96 3
        found = [self.pictures([Image.fromarray(pixels)])[0]]
        if self.takes_texts:
            found.append(self.texts(["a b"], cut=True)[0])
        return torch.cat(found)

    def _finished(self, embeds: Tensor) -> Tensor:
        embeds = embeds.float().cpu()
        return normalize(embeds, dim=-1) if self.kind == COSINE else embeds

    @torch.inference_mode()
    def score(self, queries: Tensor, rows: Tensor, from_text: bool, to_text: bool) -> Tensor:
        """Compare embeddings.

        Args:
            queries: (Q, D).
            rows: (N, D).
            from_text: Whether the queries are texts.
            to_text: Whether the rows are texts; two of a kind are compared by their cosine.

        Returns:
            (Q, N), higher fits better.
        """
        if self.kind == COSINE:
            return linear(queries, rows)
        if from_text == to_text:
            return linear(normalize(queries, dim=-1), normalize(rows, dim=-1))
        queries, rows = queries.to(self.model.device), rows.to(self.model.device)
        found: Tensor = self.model.score(rows, queries).T if from_text else self.model.score(queries, rows)
        return found.float().cpu()


def is_cosine(model: ScoresEmbeddings, width: int, has_length: bool = False) -> bool:
    """Whether a model's own score is the cosine, or grows with it in proportion.

    Args:
        model: With a score.
        width: D.
        has_length: Its embeddings have lengths of their own, which a score that is a cosine does not see.
    """
    draw = torch.Generator().manual_seed(0)
    pictures, texts = (torch.randn(16, width, generator=draw) for _ in range(2))
    cosine = normalize(pictures, dim=-1) @ normalize(texts, dim=-1).T
    if not has_length:
        pictures, texts = normalize(pictures, dim=-1), normalize(texts, dim=-1)
    device = next(model.parameters()).device  # type: ignore[attr-defined]
    with torch.inference_mode():
        found = model.score(pictures.to(device), texts.to(device)).float().cpu()
    scale = (found * cosine).sum() / cosine.square().sum()
    return bool(scale > 0 and torch.allclose(found, scale * cosine, atol=1e-4 * float(scale)))
