"""From a command's flags to a recipe."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hfmm.data.sources import is_built_in
from hfmm.errors import unknown
from hfmm.training.recipe import DataSection, Recipe, from_dict, override, resolve, shipped

REAL = "real"  # the shipped recipe for data of one's own, where an architecture has one
FLAGS: dict[str, tuple[str, ...]] = {  # `*` stands for every player of the recipe
    "preset": ("preset",),
    "data": ("data", "name"),
    "columns": ("data", "columns"),
    "on_bad_example": ("data", "on_bad_example"),
    "max_steps": ("max_steps",),
    "batch_size": ("data", "batch_size"),
    "learning_rate": ("players", "*", "learning_rate"),
    "precision": ("players", "*", "precision"),
    "seed": ("seed",),
    "save_every": ("checkpoints", "every"),
    "keep": ("checkpoints", "keep"),
    "init_from": ("init_from",),
    "frozen": ("frozen",),
    "vision": ("parts", "vision"),
    "text": ("parts", "text"),
    "early_stopping": ("evaluation", "early_stopping"),
    "gradient_accumulation": ("accumulation",),
    "lora_on": ("lora", "targets"),
}


def recipe_of(
    name: str,
    recipe: str = "default",
    config: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    **flags: Any,
) -> Recipe:
    """The recipe that a command's flags ask for.

    Args:
        name: An architecture.
        recipe: A shipped recipe's name or a path.
        config: A YAML file over it.
        overrides: `section.key` to value, over that.
        flags: Any of FLAGS.
    """
    plain = resolve(name, recipe, config)
    values = plain.to_dict()
    given = flags.get("data")
    if (
        given is not None and Path(given).name != Path(plain.data.name).name
    ):  # what was said of the recipe's own is void
        values["data"] |= {
            name: asdict(DataSection())[name] for name in ("options", "columns", "captions", "unseen", "augmentation")
        }
        values["evaluation"]["options"] = {}
    for flag, value in flags.items():
        if flag not in FLAGS:
            raise unknown("argument of train", flag, FLAGS)
        for player in plain.players if value is not None and "*" in FLAGS[flag] else ("",):
            if value is not None:
                override(values, [player if part == "*" else part for part in FLAGS[flag]], value)
    for key, value in (overrides or {}).items():
        override(values, key.split("."), value)
    return from_dict(values)


def usual_recipe(name: str, data: str | None) -> str:
    """The shipped recipe for a data set that is not built in: that of its name, or that called `real`, if any."""
    if data is None or is_built_in(data):
        return "default"
    there = shipped(name)
    return next((recipe for recipe in (Path(data).name, REAL) if recipe in there), "default")


def default_directory(name: str, recipe: str, settings: Recipe) -> Path:
    """`runs/<name>[-<recipe>][-<data>]`, so that different runs do not meet."""
    parts = [name]
    if recipe != "default":
        parts.append(Path(recipe).stem)
    if settings.data.name != resolve(name, recipe).data.name:
        parts.append(Path(settings.data.name).name)
    return Path("runs") / "-".join(parts)
