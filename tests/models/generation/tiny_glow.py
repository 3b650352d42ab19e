"""Tiny Glows, and numbers that tests of it share."""

import torch

from hfmm.models.generation.glow.configuration_glow import GlowConfig
from hfmm.models.generation.glow.modeling_glow import (
    GlowModel,
)
from tests.testing import seeded

TINY = {"num_channels": 1, "image_size": 4, "num_levels": 2, "depth": 2, "hidden_size": 8}
VARIANTS = [
    {},
    {"coupling": "additive"},
    {"coupling_scale": "exp", "permutation": "reverse"},
    {"permutation": "shuffle", "learn_top": False},
    {"lu_decomposed": True, "edge_padding_channel": True},
    {"label_condition": True, "num_labels": 3, "num_channels": 3},
]


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def shaken(model):
    """With what starts as zero moved a little."""
    with seeded(7), torch.no_grad():
        for value in model.parameters():
            value += 0.1 * torch.randn_like(value)
    return model


def build(**fields):
    with seeded():
        return shaken(GlowModel(GlowConfig(**TINY | fields)).eval())


def part(kind, *arguments):
    """A layer of a model in double precision, its weights set and shaken."""
    with seeded():
        layer = kind(*arguments)
        layer.apply(GlowModel(GlowConfig(**TINY))._init_weights)
    return shaken(layer).double()
