"""A tiny structured joint embedding for its tests."""

import torch

from hfmm.models.alignment.char_cnn_rnn.configuration_char_cnn_rnn import CharCnnRnnConfig
from hfmm.models.alignment.char_cnn_rnn.modeling_char_cnn_rnn import CharCnnRnnModel
from hfmm.models.vision.small_cnn.configuration_small_cnn import SmallCnnConfig
from tests.testing import seeded

LENGTH, JOINT = 40, 12


def config(**overrides):
    fields = {
        "vision_config": SmallCnnConfig(hidden_sizes=[8, 16]),
        "image_pooling": "flatten",
        "image_map_size": 16 * 4 * 4,
        "image_layers": [24],
        "project_image": True,
        "max_length": LENGTH,
        "conv_channels": [8, 10],
        "pool_strides": [3, 2],
        "projection_size": JOINT,
        "initializer_range": 0.4,
    }
    return CharCnnRnnConfig(**{**fields, **overrides})


def joint(**overrides):
    with seeded():
        return CharCnnRnnModel(config(**overrides)).eval()


def random(*shape, seed=0, **settings):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), **settings)


def sentences():
    """Three of different lengths."""
    input_ids = torch.randint(1, 71, (3, 30), generator=torch.Generator().manual_seed(0))
    input_ids[1, 20:] = 0
    input_ids[2, 9:] = 0
    return {"input_ids": input_ids, "attention_mask": (input_ids != 0).long()}
