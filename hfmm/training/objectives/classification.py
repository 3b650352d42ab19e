"""Classification: the likelihood of the class."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from hfmm.training.objectives.base import Objective, StepContext, Turn


class Classification(Objective):
    """Maximize log p(class | picture); the model's `forward` holds the loss, a mean over pictures."""

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn: the summed loss over the batch's pictures."""
        labels = batch["labels"]
        output = self.players["model"](pixel_values=batch["pixel_values"], labels=labels)
        pictures = torch.tensor(len(labels), device=labels.device)
        right = (output.logits.detach().argmax(-1) == labels).sum()
        yield Turn("model", output.loss * pictures, pictures, {"top_1": right})
