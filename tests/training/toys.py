"""Toy objectives: the shapes of training that families need, small enough to check against a few lines of torch."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, softplus

from hfmm.training.learning import PlayerSection
from hfmm.training.loop import Loop
from hfmm.training.objectives.base import Objective, StepContext, Turn
from hfmm.training.optim import Player

SGD = PlayerSection(optimizer="sgd", learning_rate=0.1)


class Regression(Objective):
    """Squared error, summed over examples."""

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        error = (self.players["model"](batch["x"]) - batch["y"]).square().sum()
        yield Turn("model", error, torch.tensor(len(batch["x"])), {"squared_error": error.detach()})


class Adversarial(Objective):
    """Two players: the generator's turn sees the updated discriminator."""

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        count = torch.tensor(len(batch["x"]))
        fake = self.players["generator"](batch["z"])
        scores = self.players["discriminator"](torch.cat([batch["x"], fake.detach()]))
        real_score, fake_score = scores.chunk(2)
        yield Turn("discriminator", softplus(-real_score).sum() + softplus(fake_score).sum(), count, {})
        yield Turn("generator", softplus(-self.players["discriminator"](fake)).sum(), count, {})


def contrastive_loss(left: Tensor, right: Tensor) -> Tensor:
    """Summed over pairs, both ways."""
    logits = 5 * left @ right.T
    labels = torch.arange(len(logits))
    return cross_entropy(logits, labels, reduction="sum") + cross_entropy(logits.T, labels, reduction="sum")


class CachedContrastive(Objective):
    """Gradient caching: embeddings without a graph, their gradient, then one chunk after the other with it."""

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        chunks = batch["x"].split(2)
        with torch.no_grad():
            leaves = torch.cat([self.players["model"](chunk) for chunk in chunks]).requires_grad_()
        embedded = context.gather(leaves)
        loss = contrastive_loss(embedded, context.gather(normalize(batch["y"], dim=-1)))
        (gradient,) = torch.autograd.grad(loss, leaves)
        none, pairs = torch.tensor(0), torch.tensor(len(embedded))
        for index, (chunk, part) in enumerate(zip(chunks, gradient.split(2), strict=True)):
            surrogate = (self.players["model"](chunk) * part).sum()
            last = index == len(chunks) - 1
            yield Turn("model", surrogate, pairs if last else none, {"loss": loss.detach()}, step=last)


class Towers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return normalize(self.tower(x), dim=-1)


def batches(steps: int, size: int, seed: int = 0) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(seed)
    return [
        {
            "x": torch.randn(size, 6, generator=generator),
            "y": torch.randn(size, 4, generator=generator),
            "z": torch.randn(size, 3, generator=generator),
            "example_ids": [f"toy-{step}-{row}" for row in range(size)],
        }
        for step in range(steps)
    ]


def part_of(batch: dict[str, Any], parts: int, index: int) -> dict[str, Any]:
    """One of equal slices of a batch, as a process or micro-batch sees it."""
    size = len(batch["example_ids"]) // parts
    return {key: value[index * size : (index + 1) * size] for key, value in batch.items()}


def modules(kind: str) -> dict[str, nn.Module]:
    torch.manual_seed(7)
    if kind == "adversarial":
        discriminator = nn.Sequential(nn.Linear(6, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
        return {"discriminator": discriminator, "generator": nn.Linear(3, 6)}
    if kind == "contrastive":
        return {"model": Towers()}
    return {"model": nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))}


OBJECTIVES = {"regression": Regression, "adversarial": Adversarial, "contrastive": CachedContrastive}


def make_loop(kind: str, accumulation: int = 1, section: PlayerSection = SGD, max_steps: int = 1000) -> Loop:
    accelerator = Accelerator(cpu=True)
    players = {
        name: Player.build(name, module, section, accelerator.prepare_model) for name, module in modules(kind).items()
    }
    objective = OBJECTIVES[kind]({name: player.wrapped for name, player in players.items()})
    return Loop(accelerator, objective, players, seed=0, max_steps=max_steps, accumulation=accumulation)


def weights(loop: Loop) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": parameter.detach().clone()
        for name, player in loop.players.items()
        for key, parameter in player.module.named_parameters()
    }
