"""The one training loop. It knows devices, precision, accumulation, clipping and logging, and no loss.

Every random choice of a step is a pure function of (seed, step, turn, micro-batch), so that a run continues exactly
from its weights and optimizer states alone, and 1 x 8, 2 x 4 and 1 x 4 with two micro-batches take the same step.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object, send_to_device
from torch import Tensor

from hfmm.errors import DivergedError
from hfmm.training.objectives.base import Objective, StepContext, Turn
from hfmm.training.optim import Player
from hfmm.training.pieces import full

Batch = Mapping[str, Any]


def keyed_seed(*parts: int | str) -> int:
    """A 63-bit seed that is a pure function of its parts."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def gather_with_gradient(tensor: Tensor) -> Tensor:
    """Concatenate a tensor over processes along axis 0, keeping the gradient (accelerate's own gather cuts it)."""
    if not torch.distributed.is_initialized():
        return tensor
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(tensor))


@dataclass
class Tally:
    """Sums of one turn over micro-batches: loss, count and named parts."""

    count: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)

    def means(self, prefix: str) -> dict[str, float]:
        """Means over the counted items."""
        return {prefix + name: value / max(self.count, 1.0) for name, value in self.sums.items()}


@dataclass
class Loop:
    """Advances an objective's players step by step.

    Attributes:
        accelerator: Devices, precision and processes.
        objective: What a step is.
        players: What is trained, by name.
        seed: Of every random choice.
        max_steps: Of the run, for the schedules.
        accumulation: Micro-batches a step.
    """

    accelerator: Accelerator
    objective: Objective
    players: dict[str, Player]
    seed: int
    max_steps: int
    accumulation: int = 1
    suspects: list[str] = field(default_factory=list, init=False)  # ids of examples that a bad value may come from
    guilty: bool = field(default=False, init=False)  # whether the bad value was seen on this process

    def run(self, batches: Iterable[Batch], first_step: int) -> Iterator[tuple[int, dict[str, float]]]:
        """Take a step for every `accumulation` batches; yield the number of steps taken and the step's means."""
        stream = iter(batches)
        for step in range(first_step, self.max_steps):
            started = time.perf_counter()
            micro_batches = [send_to_device(next(stream), self.accelerator.device) for _ in range(self.accumulation)]
            logs = self.step(step, micro_batches)
            examples = sum(len(batch["example_ids"]) for batch in micro_batches) * self.accelerator.num_processes
            logs["seconds"] = time.perf_counter() - started
            logs["examples_per_second"] = examples / logs["seconds"]
            yield step + 1, logs

    def step(self, step: int, micro_batches: Sequence[Batch]) -> dict[str, float]:
        """Take one step: every turn of the objective, over all micro-batches in lock-step.

        Raises:
            DivergedError: A loss or gradient is not finite; no parameter has moved by it.
        """
        rates = {name: player.set_learning_rate(step, self.max_steps) for name, player in self.players.items()}
        context = StepContext(
            step=step,
            generator=torch.Generator().manual_seed(keyed_seed(self.seed, step)),
            gather=gather_with_gradient,
            unwrap=self.accelerator.unwrap_model,
        )
        self.guilty = False
        self.suspects = [name for batch in micro_batches for name in batch["example_ids"]]
        generators = [self.objective.turns(batch, context) for batch in micro_batches]
        logs: dict[str, float] = {}
        count = 0.0  # of items whose gradients have been summed since the last move
        turn_number = 0
        while True:
            turns = self._advance(generators, micro_batches, step, turn_number)
            if not turns:
                break
            tally = self._tally(turns, step)
            count += tally.count
            if turns[0].step:
                movers = [self.players[name] for name in _names(turns[0].player)]
                norm = self._move(movers, count, step)
                prefix = "" if len(self.players) == 1 else f"{movers[0].name}/"
                logs |= tally.means(prefix) | {f"{prefix}gradient_norm": norm}
                count = 0.0
            turn_number += 1
        for name, rate in rates.items():
            logs["learning_rate" if len(rates) == 1 else f"{name}/learning_rate"] = rate
        self._update_averages(step)
        self.objective.after_step(logs)
        return logs

    def _advance(
        self, generators: Sequence[Iterator[Turn]], batches: Sequence[Batch], step: int, number: int
    ) -> list[Turn]:
        """Bring every micro-batch's generator to its next turn and back-propagate it; none, when they have ended."""
        turns: list[Turn] = []
        for micro, generator in enumerate(generators):
            place = micro * self.accelerator.num_processes + self.accelerator.process_index
            torch.manual_seed(keyed_seed(self.seed, step, number, place))
            with ExitStack() as stack:
                if micro < len(generators) - 1:  # gradients are exchanged once, with the last micro-batch
                    for player in self.players.values():
                        stack.enter_context(self.accelerator.no_sync(player.wrapped))
                turn = next(generator, None)
                if turn is None:
                    continue
                if not torch.isfinite(turn.loss.detach()):
                    self.guilty, self.suspects = True, list(batches[micro]["example_ids"])
                self.accelerator.backward(turn.loss)
            turns.append(turn._replace(loss=turn.loss.detach()))
        if turns and len(turns) != len(generators):
            raise RuntimeError("the micro-batches of one step took different numbers of turns")
        return turns

    def _tally(self, turns: Sequence[Turn], step: int) -> Tally:
        """Sum losses and counts over micro-batches and processes; refuse a loss that is not finite."""
        names = list(turns[0].log)
        rows = [torch.stack([turn.loss, turn.count, *(turn.log[name] for name in names)]).double() for turn in turns]
        total = torch.stack(rows).sum(0).detach()
        total = self.accelerator.reduce(total, reduction="sum")
        loss, count, *parts = total.tolist()
        if loss != loss or abs(loss) == float("inf"):
            raise self._diverged("loss", loss, step)
        return Tally(count, {"loss": loss} | dict(zip(names, parts, strict=True)))

    def _move(self, movers: Sequence[Player], count: float, step: int) -> float:
        """Divide the summed gradients by the count, clip, step, and clear all gradients. Returns the gradient norm."""
        scale = self.accelerator.num_processes / max(count, 1.0)  # DDP averages over processes: undo it
        largest = 0.0
        for player in movers:
            gradients = [parameter.grad for parameter in player.trained if parameter.grad is not None]
            norm = float(full(torch.nn.utils.get_total_norm(gradients))) * scale
            if not norm < float("inf"):
                raise self._diverged("gradient", norm, step)
            clip = player.section.clip
            torch._foreach_mul_(gradients, scale * (min(1.0, clip / (norm + 1e-6)) if clip else 1.0))
            largest = max(largest, norm)
        for player in movers:
            player.optimizer.step()
        for player in self.players.values():  # a turn moves only its player: what it left elsewhere is dropped
            player.wrapped.zero_grad(set_to_none=True)
        return largest

    def _update_averages(self, step: int) -> None:
        for player in self.players.values():
            if player.average is not None:
                player.average.update(step)

    def _diverged(self, what: str, value: float, step: int) -> DivergedError:
        """The error for a value that is not finite, naming the examples of the micro-batch where it was seen."""
        seen = gather_object([(self.guilty, self.suspects)])  # every process knows of the same sum and comes here
        any_guilty = any(guilty for guilty, _ in seen)
        suspects = [name for guilty, names in seen if guilty or not any_guilty for name in names]
        named = ", ".join(suspects[:8])
        return DivergedError(
            f"the {what} of step {step + 1} is {value}, examples {named}: the last checkpoint is kept; "
            "lower the learning rate, clip the gradient, or look at these examples"
        )


def _names(player: str | tuple[str, ...]) -> tuple[str, ...]:
    return (player,) if isinstance(player, str) else player
