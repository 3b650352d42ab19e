"""Detectors: the loss of their own papers."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from hfmm.training.objectives.base import Objective, StepContext, Turn


class Detection(Objective):
    """Minimize the loss of boxes and classes; the model's `forward` holds it and its parts, per picture."""

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn: the summed loss over the batch's pictures."""
        pixel_values = batch["pixel_values"]
        output = self.players["model"](pixel_values=pixel_values, labels=batch["labels"])
        pictures = torch.tensor(len(pixel_values), device=pixel_values.device)
        log = {name: part.detach() * pictures for name, part in output.loss_dict.items()}
        yield Turn("model", output.loss * pictures, pictures, log)
