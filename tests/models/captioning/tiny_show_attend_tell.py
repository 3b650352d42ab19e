"""Tiny Show, Attend and Tell models and inputs, which its tests share."""

import torch

from hfmm.models.captioning.show_attend_tell.configuration_show_attend_tell import ShowAttendTellConfig
from hfmm.models.captioning.show_attend_tell.modeling_show_attend_tell import ShowAttendTellForConditionalGeneration
from hfmm.models.vision.small_cnn.configuration_small_cnn import SmallCnnConfig
from hfmm.nn.captioning import IGNORED
from tests.testing import seeded

UNKNOWN, START, END, PAD = range(4)
VOCABULARY, DEPTH, LOCATIONS = 12, 16, 4
LENGTHS = (3, 5, 2)  # of `captions()`


def backbone():
    """Pictures of 8 pixels to four annotations."""
    return SmallCnnConfig(hidden_sizes=[8, DEPTH])


def config(**overrides):
    fields = {
        "backbone_config": backbone(),
        "vocab_size": VOCABULARY,
        "embedding_size": 6,
        "hidden_size": 10,
        "annotation_size": DEPTH,
        "attention_size": 7,
        "dropout": 0.0,
        "initializer_range": 0.5,  # so that words and places differ in probability
    }
    return ShowAttendTellConfig(**{**fields, **overrides})


def captioner(seed=0, **overrides):
    with seeded(seed):
        return ShowAttendTellForConditionalGeneration(config(**overrides)).eval()


def pictures(count=3):
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def annotations(count=3, locations=LOCATIONS):
    return torch.randn(count, locations, DEPTH, generator=torch.Generator().manual_seed(1))


def captions():
    """Labels of three captions of different lengths, not in order of length."""
    return torch.tensor([[5, 6, END, IGNORED, IGNORED], [7, 8, 9, 4, END], [10, END, IGNORED, IGNORED, IGNORED]])


def read(model, **inputs):
    """What the model makes of the annotations and the captions."""
    return model(encoder_outputs=(annotations(),), labels=captions(), **inputs)
