"""Pretext tasks: exams that pictures set themselves, and the painter of holes against its critic."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from accelerate.utils import extract_model_from_parallel

from hfmm.errors import UsageError
from hfmm.training.objectives.base import Objective, StepContext, Turn

SHARED = ("task", "permutations", "hole_size")  # what the processor asks and the model answers


class Pretext(Objective):
    """Minimize the loss of the model's `forward`, a mean over pictures."""

    def prepare(self, dataset: Any, processor: Any) -> None:
        """Refuse a processor that asks something else than the model answers.

        Raises:
            UsageError: It does.
        """
        config = extract_model_from_parallel(next(iter(self.players.values()))).config
        for name in SHARED if config.task == "inpainting" else SHARED[:2]:
            asked, answered = getattr(processor, name), getattr(config, name)
            if asked != answered:
                raise UsageError(f"processor.{name} and model.{name} differ: give both the same")

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn: the summed loss over the batch's pictures."""
        labels = batch["labels"]
        output = self.players["model"](pixel_values=batch["pixel_values"], labels=labels)
        pictures = torch.tensor(len(labels), device=labels.device)
        log = {name: part.detach() * pictures for name, part in output.losses.items()}
        if output.logits is not None:
            log["top_1"] = (output.logits.detach().argmax(-1) == labels).sum()
        yield Turn("model", output.loss * pictures, pictures, log)


class AdversarialInpainting(Pretext):
    """Paint holes so that a discriminator takes them for real (Pathak et al. 2016, section 3.2).

    Players: `discriminator`, and `encoder` and `head`, which paint. As in the released code the discriminator moves
    first, and the painters see it moved.
    """

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """Two turns: the discriminator's, then the painters'."""
        encoder, head, discriminator = (self.players[name] for name in ("encoder", "head", "discriminator"))
        own: Any = context.unwrap(head)
        truth = batch["labels"]
        pictures = torch.tensor(len(truth), device=truth.device)
        painted = head(encoder(own.hide(batch["pixel_values"][:, 0])).last_hidden_state)
        real = own.adversarial_loss(discriminator(truth), is_real=True)
        fake = own.adversarial_loss(discriminator(painted.detach()), is_real=False)
        log = {"real": real.detach() * pictures, "fake": fake.detach() * pictures}
        yield Turn("discriminator", (real + fake) / 2 * pictures, pictures, log)
        reconstruction = own.reconstruction_loss(painted, truth)
        adversarial = own.adversarial_loss(discriminator(painted), is_real=True)
        parts = {"reconstruction": reconstruction, "adversarial": adversarial}
        log = {name: part.detach() * pictures for name, part in parts.items()}
        yield Turn(("encoder", "head"), own.mixed(**parts) * pictures, pictures, log)
