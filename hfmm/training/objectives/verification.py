"""Models that compare pictures: those of one person together, those of others apart."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from hfmm.training.objectives.base import Objective, StepContext, Turn


class Verification(Objective):
    """Minimize a loss between the pictures of a batch; the model's `forward` holds it and what there is to see of it.

    Every micro-batch of a process is compared with itself alone: one process, or several, see the same losses where
    each gets as many persons.
    """

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn: the loss, weighted by the number of pictures."""
        labels = batch["labels"]
        output = self.players["model"](pixel_values=batch["pixel_values"], labels=labels, generator=context.generator)
        pictures = torch.tensor(len(labels), device=labels.device)
        log = {name: part.detach() * pictures for name, part in output.losses.items()}
        yield Turn("model", output.loss * pictures, pictures, log)
