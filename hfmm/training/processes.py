"""The processes of a run: whether each has all weights (DDP) or pieces (FSDP2), and how they part.

Pieces are what `accelerate launch --use_fsdp --fsdp_version 2` asks for. accelerate's own preparation wants model and
optimizer at once, gives models in pieces to `from_pretrained`, and does nothing on a CPU, where tests run; so what its
launcher asked for is read here, and hidden from it. Every process takes the steps of DDP.
"""

import atexit
import os
import time
from collections.abc import Callable
from functools import cache

import torch
from accelerate import Accelerator
from accelerate.utils import parse_flag_from_env
from torch import nn

from hfmm.errors import UsageError
from hfmm.training.objectives.base import Objective
from hfmm.training.pieces import shard
from hfmm.training.recipe import Recipe

SETTLING = 0.5  # seconds
ASKED, VERSION, DEEPSPEED = "ACCELERATE_USE_FSDP", "FSDP_VERSION", "ACCELERATE_USE_DEEPSPEED"


@cache
def is_asked() -> bool:
    """Whether the launcher asked for weights in pieces.

    Raises:
        UsageError: It asked for FSDP 1 or DeepSpeed.
    """
    if parse_flag_from_env(DEEPSPEED):
        raise UsageError(
            "DeepSpeed takes the steps itself, as the loop here does: shard by --use_fsdp --fsdp_version 2"
        )
    if not parse_flag_from_env(ASKED):
        return False
    if os.environ.get(VERSION, "1") != "2":
        raise UsageError("weights are sharded by FSDP2: give accelerate launch --use_fsdp --fsdp_version 2")
    del os.environ[ASKED]
    return True


def wrapper(accelerator: Accelerator, objective: type[Objective], recipe: Recipe) -> Callable[[nn.Module], nn.Module]:
    """How a player's module is made ready: in pieces where that is asked for, whole on every process otherwise.

    Raises:
        UsageError: Pieces are asked for, and the run needs the whole at times that processes do not share.
    """
    if not is_asked() or accelerator.num_processes == 1:
        return accelerator.prepare_model
    if not objective.shards or list(recipe.players) != ["model"]:
        raise UsageError(f"{recipe.architecture} learns with whole weights on every process: launch without --use_fsdp")
    if recipe.data.remember:
        raise UsageError("features of a tower in pieces cannot be remembered: give data.remember=false")

    def in_pieces(module: nn.Module) -> nn.Module:
        shard(module, accelerator.device)
        return accelerator.prepare_model(module, evaluation_mode=True)  # its precision, without DDP

    return in_pieces


@cache
def leave_at_exit() -> None:
    """Part when the program ends and not with a run: a program may train several, and processes meet once."""
    atexit.register(_leave)


def _leave() -> None:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        # torch joins gloo's thread with the interpreter locked, and that thread needs the lock to let go of a barrier
        time.sleep(SETTLING)
        torch.distributed.destroy_process_group()
