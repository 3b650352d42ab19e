"""Codes of pictures, whatever a generator makes of them: what lies between two, and what lies along a direction.

A code is a list of tensors, (B, ...) each: the parts of a flow's code, or the one tensor of an autoencoder, of a
variational one the mean.

Axes: B pictures, S steps.
"""

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

Code = list[Tensor]


@runtime_checkable
class Encodes(Protocol):
    """A model that makes codes of pictures, and pictures of codes."""

    def encode(self, pixel_values: Tensor) -> Any:
        """(B, C, H, W) -> a tensor, a list of them, or the mean and log-variance of one."""
        ...

    def decode(self, latents: Any) -> Tensor:
        """A tensor or a list of them -> (B, C, H, W), in [0, 1]."""
        ...


@runtime_checkable
class Invertible(Protocol):
    """A model whose code of a picture is a list of tensors, from which the picture comes back."""

    def encode(self, pixel_values: Tensor) -> list[Tensor]:
        """(B, C, H, W) -> a list of (B, C, H, W)."""
        ...

    def inverse(self, latents: list[Tensor]) -> Tensor:
        """A list of (B, C, H, W) -> (B, C, H, W), before its values are rounded to levels."""
        ...

    def decode(self, latents: list[Tensor]) -> Tensor:
        """A list of (B, C, H, W) -> (B, C, H, W), in [0, 1]."""
        ...


def encode(model: Encodes, pixel_values: Tensor) -> Code:
    """The code of pictures. (B, C, H, W) -> (B, ...) each."""
    found = model.encode(pixel_values)
    if isinstance(found, list):
        return found
    return [found[0] if isinstance(found, tuple) else found]


def decode(model: Encodes, code: Code) -> Tensor:
    """The pictures of a code of `model`. (B, ...) each -> (B, C, H, W), in [0, 1]."""
    return model.decode(code if isinstance(model, Invertible) else code[0])


def between(first: Code, second: Code, steps: int) -> Code:
    """Codes on the line from one to another, both included. Two of (1, ...) each -> (S, ...) each."""
    return along(first, [other - one for one, other in zip(first, second, strict=True)], torch.linspace(0, 1, steps))


def along(code: Code, direction: Code, strengths: Tensor) -> Code:
    """A code moved along a direction. (1, ...) each, (1, ...) each and (S,) -> (S, ...) each."""
    return [
        part + strengths.to(part).reshape(-1, *[1] * (part.dim() - 1)) * towards
        for part, towards in zip(code, direction, strict=True)
    ]


def mean_difference(positive: Code, negative: Code) -> Code:
    """The mean code of pictures with an attribute minus that of pictures without (Kingma and Dhariwal 2018, section 6).

    Args:
        positive: (B, ...) each.
        negative: (B', ...) each.

    Returns:
        (1, ...) each.
    """
    pairs = zip(positive, negative, strict=True)
    return [one.mean(0, keepdim=True) - other.mean(0, keepdim=True) for one, other in pairs]
