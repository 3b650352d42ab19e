"""What several examples have of one kind, as one tensor, the shorter filled up."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad


def padded(rows: Sequence[Sequence[int]], value: int, left: bool = False) -> Tensor:
    """Rows of numbers as one tensor. (B, longest)."""
    longest = max(map(len, rows))
    return torch.tensor(
        [[value] * (longest - len(row)) + [*row] if left else [*row] + [value] * (longest - len(row)) for row in rows]
    )  # B T


def joined(pictures: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """What an image processor made of the pictures of each example, one after another; nothing where there are none.

    Where pictures became more or fewer tiles, fewer are filled up with zeros, as upstream's processors do it.
    """
    names = {name for made in pictures for name in made}
    return {name: _stacked([made[name] for made in pictures if name in made]) for name in sorted(names)}


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors along their first axis, the others as long as the longest. (n, ...), (m, ...) -> (n + m, ...)."""
    inner = [tensor.shape[1:] for tensor in tensors]
    longest = [max(sizes) for sizes in zip(*inner, strict=True)]
    return torch.cat([_filled(tensor, longest) for tensor in tensors])


def _filled(tensor: Tensor, longest: Sequence[int]) -> Tensor:
    short = [long - size for long, size in zip(longest, tensor.shape[1:], strict=True)]
    return pad(tensor, [amount for size in reversed(short) for amount in (0, size)]) if any(short) else tensor
