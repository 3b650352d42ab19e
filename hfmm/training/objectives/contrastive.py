"""Models that embed pictures and texts side by side: every pair against all others of the batch, of all processes.

With `cache: N` the batch is embedded N pairs at a time (Gao et al. 2021, arXiv 2101.06983): once without a gradient,
for the loss and its gradient at the embeddings, and once more to carry that gradient on. Memory is that of N pairs, and
the gradient that of the whole batch (but for batch normalization, which sees N pairs, too).
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from hfmm.errors import UsageError
from hfmm.nn.contrastive import contrastive_loss, temperatures
from hfmm.training.objectives.base import Objective, StepContext, Turn

HIGHEST_SCALE = 100.0  # of cosines; Radford et al. 2021, section 2.5

Inputs = Mapping[str, Any]


@runtime_checkable
class PairLoss(Protocol):
    """A model with a loss of its own."""

    def pair_loss(self, image_embeds: Tensor, text_embeds: Tensor) -> Tensor:
        """Mean over the pairs of a batch, whose rows belong together. (B, D) and (B, D) -> ()."""


class Contrastive(Objective):
    """Minimize the loss between all pictures and all texts: the model's own, or CLIP's with the model's temperature.

    Each process computes the whole loss, so that the mean of their gradients is the one of a single process.
    """

    defaults: ClassVar[Mapping[str, Any]] = {"cache": 0}

    def check(self) -> None:
        """Refuse a cache of no size."""
        size = self.settings["cache"]
        if not isinstance(size, int) or size < 0:
            raise UsageError(f"objective.cache is {size}: pairs at a time, or 0 for all at once")

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn, or with a cache one for each part of the batch, the last of which moves."""
        inputs = {name: value for name, value in batch.items() if name != "example_ids"}
        size = self.settings["cache"]
        yield from self._cached(inputs, size, context) if size else self._whole(inputs, context)
        hold_temperature(self.players["model"])

    def _whole(self, inputs: Inputs, context: StepContext) -> Iterator[Turn]:
        loss, pairs = self._loss(*self._embed(inputs), context)
        yield Turn("model", loss, pairs, {})

    def _cached(self, inputs: Inputs, size: int, context: StepContext) -> Iterator[Turn]:
        parts = [
            dict(zip(inputs, values, strict=True))
            for values in zip(*(value.split(size) for value in inputs.values()), strict=True)
        ]
        seeds: list[int] = torch.randint(2**62, (len(parts),)).tolist()  # both passes draw the same numbers
        with torch.no_grad():
            seen = [self._embed(part, seed) for part, seed in zip(parts, seeds, strict=True)]
        image_embeds, text_embeds = (torch.cat(embeds).requires_grad_() for embeds in zip(*seen, strict=True))
        loss, pairs = self._loss(image_embeds, text_embeds, context)
        weights = [weight for weight in context.unwrap(self.players["model"]).parameters() if weight.requires_grad]
        image_gradient, text_gradient, *others = torch.autograd.grad(
            loss, [image_embeds, text_embeds, *weights], allow_unused=True
        )
        moved = [(weight, other) for weight, other in zip(weights, others, strict=True) if other is not None]
        gradients = zip(image_gradient.split(size), text_gradient.split(size), strict=True)
        for number, (part, seed, both) in enumerate(zip(parts, seeds, gradients, strict=True), 1):
            carried = sum(
                (embeds * gradient).sum() for embeds, gradient in zip(self._embed(part, seed), both, strict=True)
            )
            share = len(both[0]) / len(image_embeds)  # of what the loss itself holds, such as the temperature
            carried = carried + share * sum((weight * other).sum() for weight, other in moved)
            last = number == len(parts)
            count = pairs if last else torch.zeros_like(pairs)
            yield Turn("model", carried, count, {"loss": loss.detach()}, step=last)

    def _embed(self, inputs: Inputs, seed: int | None = None) -> tuple[Tensor, Tensor]:
        """Embeddings of pictures and of texts, (B, D) each, under random numbers from a seed where one is given."""
        if seed is not None:
            torch.manual_seed(seed)
        output = self.players["model"](**inputs)
        return output.image_embeds, output.text_embeds

    def _loss(self, image_embeds: Tensor, text_embeds: Tensor, context: StepContext) -> tuple[Tensor, Tensor]:
        """The loss as a sum over the pairs of all processes, and their number."""
        image_embeds, text_embeds = context.gather(image_embeds), context.gather(text_embeds)  # P*B D each
        pairs = torch.tensor(len(image_embeds), device=image_embeds.device)
        return pair_loss(context.unwrap(self.players["model"]), image_embeds, text_embeds) * pairs, pairs


def pair_loss(model: nn.Module, image_embeds: Tensor, text_embeds: Tensor) -> Tensor:
    """The model's own loss, or CLIP's with its temperature. (B, D) and (B, D) -> (), a mean over pairs.

    Raises:
        UsageError: The model has neither.
    """
    own = next((part for part in model.modules() if isinstance(part, PairLoss)), None)  # adapters wrap the model
    if own is not None:
        return own.pair_loss(image_embeds, text_embeds)
    scales = temperatures(model)
    if len(scales) != 1:
        raise UsageError(f"{type(model).__name__} has no loss of pairs: the objective `contrastive` cannot train it")
    return contrastive_loss(image_embeds, text_embeds, scales[0])


@torch.no_grad()
def hold_temperature(model: nn.Module) -> None:
    """Bring a temperature back to where cosines are multiplied by HIGHEST_SCALE at most."""
    for scale in temperatures(model):
        scale.clamp_(max=math.log(HIGHEST_SCALE))
