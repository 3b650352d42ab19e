"""What the models that embed pictures and sentences together share: their output.

Axes: I pictures, T sentences, D joint space.
"""

from dataclasses import dataclass

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
