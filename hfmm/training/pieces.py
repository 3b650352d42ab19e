"""Weights in pieces over processes, by torch's FSDP2: making pieces, and the whole again where it is needed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor


def shard(module: nn.Module, device: torch.device) -> None:
    """Leave each process its piece of every weight; blocks that transformers does not split are gathered one by one."""
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    blocks = set(getattr(module, "_no_split_modules", None) or ())
    for part in reversed([part for part in module.modules() if type(part).__name__ in blocks]):
        fully_shard(part, mesh=mesh)  # the inner before the outer
    fully_shard(module, mesh=mesh)


@contextmanager
def whole(module: nn.Module) -> Iterator[None]:
    """Hold all weights on every process, so that each may compute what it likes; all processes come here together."""
    parts = [part for part in module.modules() if isinstance(part, FSDPModule)]
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.reshard()
            part.set_reshard_after_forward(part is not parts[0], recurse=False)  # the outermost is needed soon again


def gathered(module: nn.Module, keep: bool) -> dict[str, Tensor] | None:
    """What `state_dict` has, see [`collected`]; None where nothing is in pieces."""
    if not any(isinstance(part, FSDPModule) for part in module.modules()):
        return None
    return collected(module.state_dict(), keep)


def collected(tensors: Mapping[str, Tensor], keep: bool, copy: bool = False) -> dict[str, Tensor]:
    """Tensors whole and on the CPU, one made after another; all processes come here together.

    Args:
        tensors: By name.
        keep: Whether this process needs them; another helps to make them, and gets none.
        copy: Also those that are whole and on the CPU already.
    """
    found = ((name, full(value.detach())) for name, value in tensors.items())
    return {name: value.to("cpu", copy=copy) for name, value in found if keep}


def full(tensor: Tensor) -> Tensor:
    """A tensor with the pieces of all processes; all processes come here together."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def like(tensor: Tensor, piece: Tensor) -> Tensor:
    """A whole tensor in pieces as another one is; scalars and what is not in pieces stay as they are."""
    if not isinstance(piece, DTensor) or tensor.shape != piece.shape:
        return tensor
    return distribute_tensor(tensor.to(piece.device), piece.device_mesh, piece.placements)


def load(module: nn.Module, state: Mapping[str, Tensor], strict: bool = True) -> None:
    """`load_state_dict` of whole tensors."""
    own = module.state_dict()
    pieces = {name: like(value, own[name]) if name in own else value for name, value in state.items()}
    module.load_state_dict(pieces, strict=strict)
