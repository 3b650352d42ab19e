"""A generator against a discriminator (Goodfellow et al. 2014, algorithm 1)."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from hfmm.errors import UsageError, unknown
from hfmm.nn.adversarial import discriminator_loss, generator_loss, gradient_penalty
from hfmm.training.objectives.base import Objective, StepContext, Turn

LOSSES = ("non_saturating", "minimax")


class Adversarial(Objective):
    """Tell pictures from samples, and draw samples that pass for pictures.

    Players: `generator`, which also draws its latents, and `discriminator`. Settings: `loss` of the generator,
    "non_saturating" or "minimax"; `discriminator_steps`, k, each on its own share of the batch; `real_label`, less than
    1 for one-sided label smoothing; `gradient_penalty`, gamma of R1, 0 by default.
    """

    defaults = {"loss": LOSSES[0], "discriminator_steps": 1, "real_label": 1.0, "gradient_penalty": 0.0}

    def check(self) -> None:
        """Refuse a loss that there is not, and numbers too small."""
        loss, steps, penalty = (self.settings[name] for name in ("loss", "discriminator_steps", "gradient_penalty"))
        if loss not in LOSSES:
            raise unknown("objective.loss", loss, LOSSES)
        if not isinstance(steps, int) or steps < 1:
            raise UsageError(f"objective.discriminator_steps is {steps}: at least 1 is needed")
        if not isinstance(penalty, int | float) or penalty < 0:
            raise UsageError(f"objective.gradient_penalty is {penalty}: it is 0 or more")

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """K turns of the discriminator, and one of the generator, on the samples of the last of them."""
        generator, discriminator = self.players["generator"], self.players["discriminator"]
        own: Any = context.unwrap(generator)
        penalty = self.settings["gradient_penalty"]
        for real in batch["pixel_values"].tensor_split(self.settings["discriminator_steps"]):
            count = torch.tensor(len(real), device=real.device)
            fake = generator(own.draw_latents(len(real)))
            real = real.requires_grad_(penalty > 0)
            of_real, of_fake = discriminator(real), discriminator(fake.detach())
            loss = discriminator_loss(of_real, of_fake, self.settings["real_label"])
            if penalty:
                loss = loss + penalty / 2 * gradient_penalty(of_real, real)
            log = {"real": of_real.detach().sigmoid().sum(), "fake": of_fake.detach().sigmoid().sum()}  # D(x), D(G(z))
            yield Turn("discriminator", loss * count, count, log)
        loss = generator_loss(discriminator(fake), saturating=self.settings["loss"] == "minimax")
        yield Turn("generator", loss * count, count, {})
