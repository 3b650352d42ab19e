"""Why these classes: every pixel in the color of its class, over the picture."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from hfmm.explanation.base import Explanation
from hfmm.explanation.media import enlarged
from hfmm.explanation.preview import SIDE, Card, Figure, annotated
from hfmm.explanation.sheet import as_picture


def segment(model: Any, processor: Any, pictures: Sequence[Image.Image]) -> list[NDArray[np.uint8]]:
    """The likeliest class of every pixel of pictures.

    Args:
        model: A segmenter, on its device.
        processor: Its image processor.
        pictures: Any.

    Returns:
        Of each picture its mask (H, W), as large as the picture.
    """
    with torch.inference_mode():
        outputs = model(**processor(list(pictures), return_tensors="pt").to(model.device))
    sizes = [(picture.height, picture.width) for picture in pictures]
    masks = processor.post_process_semantic_segmentation(outputs, target_sizes=sizes)
    return [mask.cpu().numpy().astype(np.uint8) for mask in masks]


def shares(mask: NDArray[Any], names: Mapping[int, str]) -> list[dict[str, Any]]:
    """The classes in a mask, the largest first: `label` (the name) and `share` of the pixels."""
    numbers, counts = np.unique(mask, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [{"label": names[int(numbers[at])], "share": round(float(counts[at] / mask.size), 6)} for at in order]


def explain_segmentation(model: Any, processor: Any, image: Image.Image) -> Explanation:
    """Segment a picture and lay the mask over it.

    Args:
        model: A segmenter.
        processor: Its image processor.
        image: Any picture.

    Returns:
        The picture, and the picture with each class in a color of its own, which a legend names; `data` has `classes`,
        each with `label` and the `share` of the pixels that is of it.
    """
    (mask,) = segment(model, processor, [image])
    picture, found = image.convert("RGB"), shares(mask, model.config.id2label)
    words = ", ".join(f"{row['label']} {row['share']:.2f}" for row in found)
    cards = [
        Card("picture", (Figure(enlarged(picture, SIDE, SIDE)),), ()),
        Card("classes", (annotated(picture, (), mask, list(model.config.id2label.values())),), ()),
    ]
    return Explanation(words, as_picture(cards, "What is where", words), {"classes": found})
