"""Where a run starts: at an earlier run, at a part of one, or at a first stage that it trains itself."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from hfmm import catalogue
from hfmm.errors import UsageError, unknown
from hfmm.loading import Loaded
from hfmm.training.flags import usual_recipe
from hfmm.training.recipe import Recipe, resolve

FIRST = "first"  # in a run, the run of its first stage
PARTS = ("vision", "text")  # that a new model may begin with


def begun(settings: Recipe, run: Path, train: Callable[..., Any]) -> Recipe:
    """Train what a new model begins with, the parts that are named as architectures and the first stage, or finish it.

    Args:
        settings: Without a run to start from.
        run: Its directory.
        train: `hfmm.train`, with what all these runs share.

    Returns:
        The recipe, with runs in their place.
    """
    settings = _trained_parts(settings, run, train) if settings.parts else settings
    return settings if settings.first is None else after_first(settings, run, train)


def _trained_parts(settings: Recipe, run: Path, train: Callable[..., Any]) -> Recipe:
    """Train the parts that are named as architectures, each by its own recipe in a folder of the run, or finish that.

    Args:
        settings: With `parts`.
        run: Its directory.
        train: `hfmm.train`, with what both runs share.

    Returns:
        The recipe, with runs in their place.
    """
    parts = dict(settings.parts)
    for part, name in parts.items():
        if part not in PARTS:
            raise unknown("part", part, PARTS)
        if catalogue.find(name) is not None:
            parts[part] = str(train(name, run / part, usual_recipe(name, None)).output_dir)
    return replace(settings, parts=parts)


def after_first(settings: Recipe, run: Path, train: Callable[..., Any]) -> Recipe:
    """Train the first stage of a recipe in several, or finish that.

    Args:
        settings: With `first`.
        run: Its directory.
        train: `hfmm.train`, with what both runs share.

    Returns:
        The recipe, starting from that stage.
    """
    own = {key: value for key, value in settings.processor.items() if key != "template"}  # a stage may have its own
    of_data: tuple[str, ...] = ("name", "options", "columns", "workers")
    if _is_other_view(resolve(settings.architecture, str(settings.first)).data.name, settings.data.name):
        of_data = ("workers",)
    same = {f"data.{name}": getattr(settings.data, name) for name in of_data}
    same |= {"model": settings.model, "processor": own, "seed": settings.seed, "parts": settings.parts}
    first = train(settings.architecture, run / FIRST, settings.first, preset=settings.preset, overrides=same)
    return replace(settings, init_from=str(first.output_dir))


def _is_other_view(first: str, name: str) -> bool:
    """Whether two names are of one built-in data set, seen in another way: captions before dialogues."""
    return first != name and first.split(":")[0] == name.split(":")[0]


def check_same(start: Loaded, recipe: Recipe) -> None:
    """Refuse a recipe that would change the shape of the run it starts from."""
    for key, value in recipe.model.items():
        if start.row.origin == "diffusers":  # a part with settings of its own
            found: Any = {name: start.model.settings().get(key, {}).get(name) for name in value}
        else:
            found = getattr(start.model.config, key, None)
            if isinstance(found, PreTrainedConfig) and isinstance(value, Mapping):  # of a part: what was said of it
                found = {name: getattr(found, name, None) for name in value}
        if found != value:
            raise UsageError(f"init_from: {start.where} has {key} {found!r}, not {value!r}")


def take_part(start: Loaded, model: PreTrainedModel) -> None:
    """Give the largest part of a model that the run of another architecture has, too, the weights that it has there."""

    def shapes(part: nn.Module) -> dict[str, torch.Size]:
        return {name: tensor.shape for name, tensor in part.state_dict().items()}

    given = [part for part in start.model.modules() if isinstance(part, PreTrainedModel)]
    parts = [part for part in model.modules() if isinstance(part, PreTrainedModel) and part is not model]
    for part in sorted(parts, key=PreTrainedModel.num_parameters, reverse=True):
        for same in given:
            if type(same) is type(part) and shapes(same) == shapes(part):
                part.load_state_dict(same.state_dict())
                return
    names = ", ".join(sorted({type(part).__name__ for part in parts})) or "none"
    raise UsageError(
        f"init_from: {start.where} is a {type(start.model).__name__}, which shares no part of the same sizes with "
        f"{type(model).__name__} (parts: {names})"
    )
