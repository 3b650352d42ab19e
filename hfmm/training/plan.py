"""`hfmm train --dry-run`: what a run would train, need and take, from two real steps that are thrown away."""

import resource
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hfmm import catalogue
from hfmm.factory import ready_row
from hfmm.training.batches import loader
from hfmm.training.build import Built, build, make_accelerator
from hfmm.training.flags import recipe_of
from hfmm.training.objectives.base import Fit
from hfmm.training.optim import set_training
from hfmm.training.parts import parts_table

STEPS = 3  # the first is not timed


def plan(
    name: str,
    recipe: str = "default",
    config: str | None = None,
    overrides: dict[str, Any] | None = None,
    device: str = "auto",
    **flags: Any,
) -> dict[str, Any]:
    """Build a run, take a few steps, and say what it would cost; nothing is written.

    Args:
        name: An architecture.
        recipe: A shipped recipe's name or a path.
        config: A YAML file over it.
        overrides: `section.key` to value.
        device: auto, cpu or cuda.
        flags: As of `train`.

    Returns:
        Facts by name, in the order in which to show them.
    """
    ready_row(name)
    settings = recipe_of(name, recipe, config, overrides, **flags)
    there = {part: where for part, where in settings.parts.items() if catalogue.find(where) is None}
    settings = replace(settings, parts=there)  # parts that a run would train before are as new as the rest
    built = build(settings, make_accelerator(settings, device, Path()))
    of_steps = {} if isinstance(built.objective, Fit) else _of_steps(built)
    weights = sum(parameter.numel() * parameter.element_size() for parameter in built.model.parameters())
    states = sum(
        value.numel() * value.element_size()
        for player in built.players.values()
        for value in player.state_dict().values()
    )
    return {
        "architecture": f"{name}, preset {settings.preset}",
        "parameters by part": "\n" + parts_table(built.model),
        "examples": len(built.examples),
        "memory of weights": f"{weights / 1e6:.0f} MB",
        "memory of optimizer and averages": f"{states / 1e6:.0f} MB",
        "memory of the process at its highest": f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB",
        **of_steps,
    }


def _of_steps(built: Built) -> dict[str, Any]:
    """What the first steps say; they are thrown away."""
    settings = built.recipe
    set_training(built.model)
    shapes: dict[str, Any] = {}
    seconds = 0.0
    batches = iter(loader(built, 0))
    for step in range(STEPS):
        micro_batches = [next(batches) for _ in range(settings.accumulation)]
        shapes = _shapes({key: value for key, value in micro_batches[0].items() if key != "example_ids"})
        started = time.perf_counter()
        built.loop.step(step, micro_batches)
        seconds += (time.perf_counter() - started) if step else 0.0
    a_step = seconds / (STEPS - 1)
    return {
        "first batch": ", ".join(f"{key} {tuple(shape)}" for key, shape in shapes.items()),
        "seconds a step": round(a_step, 4),
        "time of the run without evaluation": f"{a_step * settings.max_steps:.0f} s for {settings.max_steps} steps",
    }


def _shapes(batch: Mapping[str, Any]) -> dict[str, list[int]]:
    """Shapes of a batch's tensors by name; of a list, one entry an example, those of the first."""
    found: dict[str, list[int]] = {}
    for key, value in batch.items():
        if isinstance(value, list):
            found |= {f"{key}[0].{name}": shape for name, shape in _shapes(value[0]).items()}
        else:
            found[key] = list(value.shape)
    return found
