"""Classification: the likelihood of the class."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from hfmm.errors import UsageError
from hfmm.training.objectives.base import Objective, StepContext, Turn


class Classification(Objective):
    """Maximize log p(class | picture); the model's `forward` holds the loss, a mean over pictures.

    The setting `label_smoothing` is the share of a label's weight that all classes get alike
    (Szegedy et al. 2016, section 7, arXiv 1512.00567).
    """

    defaults = {"label_smoothing": 0.0}

    def check(self) -> None:
        """Refuse a share that is none."""
        share = self.settings["label_smoothing"]
        if not isinstance(share, int | float) or not 0 <= share < 1:
            raise UsageError(f"objective.label_smoothing is {share}: a share, less than 1")

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn: the summed loss over the batch's pictures."""
        labels = batch["labels"]
        output = self.players["model"](pixel_values=batch["pixel_values"], labels=labels)
        pictures = torch.tensor(len(labels), device=labels.device)
        right = (output.logits.detach().argmax(-1) == labels).sum()
        loss, share = output.loss, self.settings["label_smoothing"]
        if share:
            loss = torch.lerp(loss, -output.logits.log_softmax(-1).mean().to(loss), share)
        yield Turn("model", loss * pictures, pictures, {"top_1": right})
