"""Optimizers and the moving average of weights: all of a player's state but its weights."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hfmm.errors import UsageError
from hfmm.training.learning import OPTIMIZERS, PlayerSection, learning_rate
from hfmm.training.parts import PARTS, find, inside
from hfmm.training.pieces import like


def optimizer_of(parameters: list[nn.Parameter], section: PlayerSection) -> Optimizer:
    """The optimizer of a player's section over its parameters."""
    name, taken, is_fused = OPTIMIZERS[section.optimizer]
    settings = {setting: getattr(section, setting) for setting in taken}
    if is_fused:
        settings["fused"] = True
    return getattr(torch.optim, name)(parameters, section.learning_rate, **settings)


def freeze(module: nn.Module, patterns: list[str], player: str) -> None:
    """Stop training the parameters whose names a pattern matches from the start, or that are of a part.

    Args:
        module: The player.
        patterns: Regular expressions, or words of [`hfmm.training.parts.PARTS`]; a picture tower is frozen without a
            projector that is in it.
        player: What errors call it.

    Raises:
        UsageError: A pattern matches nothing, or nothing is left to train.
    """
    for pattern in patterns:
        hits = [parameter for name, parameter in module.named_parameters() if _is_meant(module, pattern, name)]
        if not hits:
            raise UsageError(f"players.{player}.freeze: '{pattern}' matches no parameter")
        for parameter in hits:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise UsageError(f"players.{player}.freeze leaves nothing to train")


def _is_meant(module: nn.Module, pattern: str, name: str) -> bool:
    if pattern not in PARTS:
        return re.match(pattern, name) is not None
    part, projector = find(module, pattern), find(module, "projector")
    others = [projector] if projector is not None and projector != part else []
    return part is not None and inside(name, part) and not any(inside(name, path) for path in others)


def set_training(module: nn.Module) -> None:
    """Training mode, except for parts in which nothing is trained: a frozen encoder keeps its statistics."""
    module.train()
    for part in module.modules():
        parameters = list(part.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            part.eval()


class MovingAverage:
    """Exponential moving average of a module's trained parameters, kept beside them."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.names = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
        self.parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self.averages = [parameter.detach().clone() for parameter in self.parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the parameters; early steps weigh more, so that the start is forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.averages, list(self.parameters), 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange averages and parameters; a second call undoes it."""
        for average, parameter in zip(self.averages, self.parameters, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(kept)

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by parameter name."""
        return dict(zip(self.names, self.averages, strict=True))

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` gave."""
        for name, average in zip(self.names, self.averages, strict=True):
            average.copy_(like(state[name], average))


@dataclass
class Player:
    """One trained module with all that moves it.

    Attributes:
        name: As the objective calls it.
        module: Bare module.
        wrapped: The module as accelerate prepared it: what is called.
        section: Its part of the recipe.
        optimizer: Over its trained parameters.
        average: Its moving average, or None.
    """

    name: str
    module: nn.Module
    wrapped: nn.Module
    section: PlayerSection
    optimizer: Optimizer
    average: MovingAverage | None

    @classmethod
    def build(
        cls, name: str, module: nn.Module, section: PlayerSection, wrap: Callable[[nn.Module], nn.Module]
    ) -> "Player":
        """Freeze what the recipe freezes, wrap the module, and make its optimizer."""
        freeze(module, section.freeze, name)
        wrapped = wrap(module)
        parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        optimizer = optimizer_of(parameters, section)
        average = MovingAverage(module, section.ema) if section.ema else None
        return cls(name, module, wrapped, section, optimizer, average)

    @property
    def trained(self) -> list[nn.Parameter]:
        """Parameters that the optimizer moves."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def set_learning_rate(self, step: int, max_steps: int) -> float:
        """Set and return the learning rate of a step."""
        rate = learning_rate(self.section, step, max_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def state_dict(self) -> dict[str, Tensor]:
        """Optimizer state and averages as flat tensors: `optimizer.<index>.<key>`, `average.<name>`."""
        state: dict[str, Tensor] = {}
        for index, parts in self.optimizer.state_dict()["state"].items():
            for key, value in parts.items():
                state[f"optimizer.{index}.{key}"] = torch.as_tensor(value)
        if self.average is not None:
            state |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` gave."""
        inner: dict[int, dict[str, Any]] = {}
        for name, value in state.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".", 2)
                inner.setdefault(int(index), {})[key] = like(value, self.trained[int(index)])
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": inner, "param_groups": groups})
        if self.average is not None:
            self.average.load_state_dict(
                {k.removeprefix("average."): v for k, v in state.items() if k.startswith("average.")}
            )
