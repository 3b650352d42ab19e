"""The parts of a model: the words that people have for them, and their parameters, counted for a person."""

import torch
from torch import nn

from hfmm.errors import UsageError

PARTS = {  # words for the parts of a model that reads pictures and words, and the names that they have in models
    "language": ("language_model", "text_model", "text_encoder"),
    "projector": ("multi_modal_projector", "connector", "visual.merger"),
    "vision": ("vision_tower", "vision_model", "visual", "image_tower"),
}


def inside(name: str, path: str) -> bool:
    """Whether a name is that of a part or of something in it."""
    return name == path or name.startswith(f"{path}.")


def find(model: nn.Module, word: str) -> str | None:
    """The full name of the part that a word means, or None.

    Raises:
        UsageError: There are several.
    """
    paths = [name for name, _ in model.named_modules()]
    if word in paths:
        return word
    children = ["", *(f"{name}." for name, _ in model.named_children())]
    for name in PARTS.get(word, (word,)):
        found = [child + name for child in children if child + name in paths]
        if len(found) > 1:
            raise UsageError(f"'{word}' is the name of several parts: give one of {', '.join(found)}")
        if found:
            return found[0]
    return None


def _parts(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Parts by name; where one holds nearly all, its own parts."""
    parts = []
    for name, part in model.named_children():
        inside = list(part.named_children()) if name in ("model", "base_model") else []
        parts += [(f"{name}.{inner}", piece) for inner, piece in inside] or [(name, part)]
    return parts


def _counts(part: nn.Module) -> tuple[int, int]:
    """Numbers of trained and of all parameters."""
    parameters = list(part.parameters())
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    return sum(map(torch.numel, trained)), sum(map(torch.numel, parameters))


def parts_table(model: nn.Module) -> str:
    """Parameters by part, trained and all, as lines for a person."""
    rows = [(name, *_counts(part)) for name, part in _parts(model)] + [("all", *_counts(model))]
    width = max(len(name) for name, _, _ in rows)
    return "\n".join(f"  {name:<{width}}  trained {trained:>12,} of {count:>12,}" for name, trained, count in rows)
