"""Diffusion models: what was mixed into a picture is predicted at a random level of noise."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from accelerate.utils import extract_model_from_parallel

from hfmm.training.objectives.base import Objective, StepContext, Turn

CONDITIONS = ("class_labels", "input_ids")
MEASURED = 256  # pictures


class Diffusion(Objective):
    """Minimize the squared error of the prediction (Ho et al. 2020, Eq. 14); the model's `forward` holds it.

    `condition_dropout` of the settings is how often the condition of a picture is left out. With `measure_scale`, the
    latents of an autoencoder are first brought to a standard deviation of 1.
    """

    defaults: ClassVar[Mapping[str, Any]] = {"condition_dropout": 0.0, "measure_scale": False}

    def prepare(self, dataset: Any, processor: Any) -> None:
        """Measure the scale of latents where that is asked for."""
        if self.settings["measure_scale"]:
            model: Any = extract_model_from_parallel(self.players["model"])
            pictures = [dataset[row]["image"] for row in range(min(MEASURED, len(dataset)))]
            model.measure_scale(processor(images=pictures, return_tensors="pt")["pixel_values"].to(model.device))

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn: the summed loss over the batch's pictures."""
        conditions = {name: batch[name] for name in CONDITIONS if name in batch}
        conditions["condition_dropout"] = self.settings["condition_dropout"]
        yield self._turn(batch, generator=context.generator, **conditions)

    def _turn(self, batch: Mapping[str, Any], **given: Any) -> Turn:
        """The summed loss of the model, with its parts."""
        output = self.players["model"](pixel_values=batch["pixel_values"], **given)
        pictures = torch.tensor(len(batch["pixel_values"]), device=output.loss.device)
        log = {name: part.detach() * pictures for name, part in output.losses.items()}
        return Turn("model", output.loss * pictures, pictures, log)


class FirstStage(Diffusion):
    """Train the autoencoder whose latents a diffusion model will learn; `kl_weight` is a setting."""

    defaults = {"kl_weight": 1e-6, "measure_scale": False}

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn: the summed loss over the batch's pictures."""
        yield self._turn(batch, first_stage=True, kl_weight=self.settings["kl_weight"])
