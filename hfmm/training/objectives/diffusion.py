"""Diffusion models: what was mixed into a picture is predicted at a random level of noise."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from hfmm.training.objectives.base import Objective, StepContext, Turn

CONDITIONS = ("class_labels", "input_ids", "attention_mask")


class Diffusion(Objective):
    """Minimize the squared error of the prediction (Ho et al. 2020, Eq. 14); the model's `forward` holds it.

    `condition_dropout` of the settings is how often the condition of a picture is left out.
    """

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn: the summed loss over the batch's pictures."""
        conditions = {name: batch[name] for name in CONDITIONS if name in batch}
        output = self.players["model"](
            pixel_values=batch["pixel_values"], generator=context.generator, **conditions, **self.settings
        )
        pictures = torch.tensor(len(batch["pixel_values"]), device=output.loss.device)
        yield Turn("model", output.loss * pictures, pictures, {})
