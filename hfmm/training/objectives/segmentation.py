"""Segmentation: the likelihood of each pixel's class."""

from collections.abc import Iterator, Mapping
from typing import Any

from hfmm.nn.segmentation import IGNORED
from hfmm.training.objectives.base import Objective, StepContext, Turn


class Segmentation(Objective):
    """Maximize log p(class | picture) of each pixel; the model's `forward` holds the loss, a mean over known pixels."""

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn: the summed loss over the batch's pixels whose class is known."""
        labels = batch["labels"]
        output = self.players["model"](pixel_values=batch["pixel_values"], labels=labels)
        known = labels != IGNORED
        right = ((output.logits.detach().argmax(1) == labels) & known).sum()
        yield Turn("model", output.loss * known.sum(), known.sum(), {"pixel_accuracy": right})
