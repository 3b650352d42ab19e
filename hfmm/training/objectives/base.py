"""What an objective is: what one step of training minimises. It knows losses and no devices."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from hfmm.errors import unknown


class Turn(NamedTuple):
    """One loss, and the player whose parameters it moves.

    Attributes:
        player: A player's name, or several.
        loss: (), SUM over `count` items.
        count: (), tokens, pairs or examples in that sum.
        log: Named parts, each (), SUMS over `count` items like the loss; logged as means.
        step: False to accumulate only (gradient caching): the gradients stay for the next turn.
    """

    player: str | tuple[str, ...]
    loss: Tensor
    count: Tensor  # type: ignore[assignment]
    log: dict[str, Tensor]
    step: bool = True


@dataclass(frozen=True)
class StepContext:
    """What an objective may know of the step it is in.

    Attributes:
        step: Number of optimizer steps taken before this one.
        generator: A pure function of (seed, step): the same on every process and for every micro-batch.
        gather: Concatenates a tensor over processes along axis 0, with gradient.
        unwrap: The bare module of a player (its methods and config); players themselves are called.
    """

    step: int
    generator: torch.Generator
    gather: Callable[[Tensor], Tensor]
    unwrap: Callable[[nn.Module], nn.Module]


@dataclass
class Objective(ABC):
    """One step of training, as the paper's algorithm states it.

    Subclasses implement `turns`; those with running state (a baseline, a queue) keep it in `state_dict`.

    Attributes:
        head: Auto class of the head that it trains, where that is not the one of the task.
        shards: Whether it calls its player and nothing inside of it, so that weights may be in pieces over processes.
        defaults: What the recipe's `objective` section may say beside its name, and what holds where it does not.
        players: Trained modules by name, as the loop prepared them: call them.
        frozen: Modules that are only read.
        settings: The recipe's `objective` section without its name, over `defaults`.

    Raises:
        UsageError: A setting that there is not, or a value that is none of its values.
    """

    head: ClassVar[str | None] = None
    shards: ClassVar[bool] = False
    defaults: ClassVar[Mapping[str, Any]] = {}

    players: Mapping[str, nn.Module]
    frozen: Mapping[str, nn.Module] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.settings:
            if name not in self.defaults:
                raise unknown("key of the objective", name, self.defaults)
        self.settings = {**self.defaults, **self.settings}
        self.check()

    def check(self) -> None:  # noqa: B027
        """Refuse values of settings, by a UsageError."""

    def prepare(self, dataset: Any, processor: Any) -> None:  # noqa: B027
        """Look at the data once before the first step: document counts, codebooks, caches."""

    @abstractmethod
    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """Yield each loss of one step in order; after a yield, that turn's player has moved."""

    def after_step(self, logs: Mapping[str, float]) -> None:  # noqa: B027
        """See the step's logged means over all processes and micro-batches, to update running state."""

    def before_scoring(self, dataset: Any, processor: Any) -> None:  # noqa: B027
        """Look at the data before the model is scored and its weights may be kept: statistics that finish it."""

    def state_dict(self) -> dict[str, float | list[float] | Tensor]:
        """Running state, saved in every checkpoint."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Take back what `state_dict` gave."""


class Fit(Objective):
    """Learning without gradients, in one pass over the data in place of steps. Subclasses implement `fit`."""

    @abstractmethod
    def fit(self, dataset: Any, processor: Any, total: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Learn from this process's share of the examples.

        Args:
            dataset: Examples.
            processor: Makes tensors of them.
            total: Sums a tensor over processes.

        Returns:
            What to log of it.
        """

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """None."""
        return iter(())
