"""Parameters by part, for a person."""

import torch
from torch import nn


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
