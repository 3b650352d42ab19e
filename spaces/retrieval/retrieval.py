"""Models that compare pictures with words: loading them, searching a collection, and labels of one's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from serving import name_of, place
from transformers import AutoModel, AutoProcessor

from hfmm.errors import UsageError
from hfmm.explanation.matching import ZeroShotClassifier
from hfmm.explanation.two_towers import EmbedsTexts
from hfmm.retrieval.embedding import Embedder
from hfmm.retrieval.exact import best_of

BATCH = 32  # pictures embedded at once

Ranked = list[tuple[int, float]]  # place in the collection and score, best first


@dataclass(frozen=True)
class Finder:
    """A model that embeds pictures and words, in evaluation mode.

    Attributes:
        name: What people choose it by.
        embedder: The model with its processor.
    """

    name: str
    embedder: Embedder


def load(where: str, own_code: bool) -> Finder:
    """Load a model with its processor, from safetensors only; see `serving.place`."""
    name, options = place(where, own_code)
    model = AutoModel.from_pretrained(name, use_safetensors=True, **options).eval()
    return entry(model, AutoProcessor.from_pretrained(name, **options), name)


def entry(model: Any, processor: Any, where: str) -> Finder:
    """A model named after its architecture and place.

    Raises:
        UsageError: It does not embed both pictures and words.
    """
    if not isinstance(model, EmbedsTexts):
        raise UsageError(f"{where} does not embed pictures and words: this app is for models that do")
    return Finder(name_of(model, where), Embedder(model, processor))


def search(finder: Finder, query: str | Image.Image, pictures: Sequence[Image.Image]) -> Ranked:
    """Order a collection by how well each picture fits words, or is like a picture."""
    from_text = isinstance(query, str)
    asked = finder.embedder.texts([query]) if isinstance(query, str) else finder.embedder.pictures([query])
    parts = [pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH)]
    embeds = torch.cat([finder.embedder.pictures(part) for part in parts])
    best = best_of(finder.embedder.score(asked, embeds, from_text, to_text=False), len(pictures))
    return list(zip(best.rows[0].tolist(), best.scores[0].tolist(), strict=True))


def classify(finder: Finder, picture: Image.Image, labels: Sequence[str], sentence: str) -> dict[str, float]:
    """The share of each label, by how well a sentence that holds it fits a picture."""
    classifier = ZeroShotClassifier(finder.embedder.model, finder.embedder.processor, labels, [sentence])
    (shares,) = classifier.logits([picture]).softmax(-1).tolist()
    return dict(zip(labels, shares, strict=True))
