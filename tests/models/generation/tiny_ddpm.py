"""What the tests of DDPM share: a small model, the paper's scheduler, pixels."""

import torch
from diffusers import DDPMScheduler

from hfmm.factory import create_module
from tests.testing import seeded
from tests.testing_diffusion import generator

PAPER = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
SMALL = {"block_out_channels": [8, 16], "norm_num_groups": 4}


def random(*shape, seed=0):
    return torch.rand(*shape, generator=generator(seed)) * 2 - 1


def levels_of_gray(*shape):
    """Pixels as pictures have them: 256 levels in [-1, 1]."""
    return torch.randint(256, shape, generator=generator(5)).float() / 127.5 - 1


def scheduler(**fields):
    return DDPMScheduler(**{**PAPER, "variance_type": "fixed_large", "clip_sample": False, **fields})


def tiny(**overrides):
    """A small model whose last layers are not what they begin as."""
    with seeded():
        return create_module("ddpm", unet={**SMALL, **overrides.pop("unet", {})}, **overrides).eval()
