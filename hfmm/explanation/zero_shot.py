"""Why this label: the labels that lie nearest to a picture in the space of words, seen and never seen."""

from typing import Any, Protocol, runtime_checkable

import torch
from PIL import Image
from torch import Tensor

from hfmm.errors import UsageError
from hfmm.explanation.base import Explanation
from hfmm.explanation.classification import LIKELIEST, bars
from hfmm.explanation.overlay import seen_by


@runtime_checkable
class RatesLabels(Protocol):
    """A model that says how near labels of its own are."""

    def rate_labels(self, pixel_values: Tensor) -> Tensor:
        """(B, 3, height, width) to cosines (B, K)."""

    def unseen_labels(self) -> list[str]:
        """Names of the labels that it saw no picture of."""


def nearest_labels(model: Any, processor: Any, image: Image.Image, count: int) -> tuple[list[str], list[float]]:
    """The labels nearest to a picture, the nearest first, and their cosines.

    Raises:
        UsageError: The model has no labels.
    """
    if not isinstance(model, RatesLabels):
        raise UsageError(f"{type(model).__name__} has no labels of its own to choose among")
    inputs = processor(images=[image], return_tensors="pt").to(model.device)  # type: ignore[attr-defined]
    with torch.inference_mode():
        cosines = model.rate_labels(inputs["pixel_values"])[0]
    best = cosines.float().topk(min(count, len(cosines)))
    names = model.config.id2label  # type: ignore[attr-defined]
    return [names[number] for number in best.indices.tolist()], best.values.tolist()


def explain_label(model: Any, processor: Any, image: Image.Image, truth: str | None = None) -> Explanation:
    """Name a picture and show the nearest labels (Frome et al. 2013, figure 2).

    Args:
        model: With labels of its own.
        processor: Its processor.
        image: Any picture.
        truth: Name of the right label, whose bar is then green, the others red.

    Returns:
        `data` has `labels` and `cosines`, the nearest first, and `unseen`, those of them that training had no picture
        of.
    """
    labels, cosines = nearest_labels(model, processor, image, LIKELIEST)
    unseen = set(model.unseen_labels())
    told = [f"{label} (never seen)" if label in unseen else label for label in labels]
    right = told[labels.index(truth)] if truth in labels else truth
    sheet = bars([seen_by(processor, image)], told, [max(0.0, cosine) for cosine in cosines], right)
    data = {
        "labels": labels,
        "cosines": [round(cosine, 6) for cosine in cosines],
        "unseen": [label for label in labels if label in unseen],
    }
    return Explanation(labels[0], sheet, data)
