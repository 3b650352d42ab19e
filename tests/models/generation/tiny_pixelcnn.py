"""Tiny PixelCNNs, and numbers that tests of it share."""

import torch

from hfmm.models.generation.pixelcnn.configuration_pixelcnn import PixelcnnConfig
from hfmm.models.generation.pixelcnn.modeling_pixelcnn import PixelcnnModel
from tests.testing import seeded

TINY = {"image_size": 4, "hidden_size": 8, "head_size": 8, "num_layers": 3, "first_kernel_size": 5}
COLOR = TINY | {"num_channels": 3, "num_levels": 4, "hidden_size": 9}
CONDITIONS = {"label_condition": True, "num_labels": 3, "condition_size": 2, "spatial_condition_channels": 2}


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def build(**fields):
    """A model whose biases count, too."""
    with seeded():
        model = PixelcnnModel(PixelcnnConfig(**fields)).eval()
        for name, value in model.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(value, std=0.3)
    return model


def conditions(count):
    return {
        "labels": torch.arange(count) % 3,
        "condition": random(count, 2, seed=1),
        "spatial_condition": random(count, 2, 4, 4, seed=2),
    }
