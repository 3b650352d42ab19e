"""Where the words of a text look in a picture, of models that let them attend to regions."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hfmm.explanation.base import Explanation
from hfmm.explanation.drawing import below, panels
from hfmm.explanation.overlay import SIDE, overlay, seen_by

CELLS = 32  # a side of a map that boxes are drawn on
COLUMNS = 6


@runtime_checkable
class AttendsToRegions(Protocol):
    """A model whose words look at regions."""

    def attended_regions(self, **inputs: Tensor) -> tuple[Tensor, Tensor]:
        """What the processor makes of B pairs to weights (B, L, N) and boxes (B, N, 4), in parts of the picture."""


def with_lights(card: Explanation, model: Any, processor: Any, image: Image.Image, text: str) -> Explanation:
    """A card, and under it the picture lit where each word of a text looks; as it is, if the model cannot tell.

    Returns:
        Its `data` has besides `words` and `attention` (words, N), and `boxes` (N, 4).
    """
    if not isinstance(model, AttendsToRegions):
        return card
    inputs = processor(images=[image], text=[text], truncation=True, return_tensors="pt").to(model.device)  # type: ignore[attr-defined]
    weights, boxes = (found[0].float().cpu().numpy() for found in model.attended_regions(**inputs))
    words = processor.tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())
    picture = seen_by(processor.image_processor, image)
    lit = [overlay(picture, light_map(row, boxes)) for row in weights]
    data = {"words": words, "attention": weights.round(6).tolist(), "boxes": boxes.round(4).tolist()}
    sheet = below([card.picture, panels(lit, words, columns=COLUMNS, side=SIDE)])
    return Explanation(card.title, sheet, card.data | data)


def light_map(weights: NDArray[Any], boxes: NDArray[Any], cells: int = CELLS) -> NDArray[np.float32]:
    """Weights of boxes as light, of which a large box has little in any place. (N,), (N, 4) -> (cells, cells)."""
    centers = (np.arange(cells) + 0.5) / cells
    inside = [
        (boxes[:, start, None] <= centers) & (centers < boxes[:, start + 2, None]) for start in (0, 1)
    ]  # N cells each: x, y
    areas = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1 / cells**2)  # N
    return np.einsum("n,ny,nx->yx", weights / areas, inside[1], inside[0]).astype(np.float32)
