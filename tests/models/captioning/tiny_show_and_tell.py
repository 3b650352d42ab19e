"""A tiny Show and Tell for its tests."""

import numpy as np
import torch

from hfmm.models.captioning.show_and_tell.configuration_show_and_tell import ShowAndTellConfig
from hfmm.models.captioning.show_and_tell.modeling_show_and_tell import (
    ShowAndTellForConditionalGeneration,
)
from hfmm.models.vision.small_cnn.configuration_small_cnn import SmallCnnConfig
from hfmm.nn.captioning import IGNORED
from tests.testing import seeded

START, END, PAD = 1, 2, 3
VOCABULARY, FEATURES, EMBEDDING, HIDDEN = 12, 16, 6, 5


def config(**overrides):
    fields = {
        "backbone_config": SmallCnnConfig(hidden_sizes=[8, 16]),
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "embedding_size": EMBEDDING,
        "image_feature_size": FEATURES,
        "dropout": 0.0,
        "initializer_range": 0.7,  # so that words differ in probability
    }
    return ShowAndTellConfig(**{**fields, **overrides})


def captioner(seed=0, **overrides):
    with seeded(seed):
        return ShowAndTellForConditionalGeneration(config(**overrides)).eval()


def features(count=3):
    return torch.randn(count, 1, FEATURES, generator=torch.Generator().manual_seed(0))


def pictures(count=3):
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def captions():
    """Labels of three captions of different lengths, not in order of length."""
    return torch.tensor([[5, 6, END, IGNORED, IGNORED], [7, 8, 9, 4, END], [10, END, IGNORED, IGNORED, IGNORED]])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(model, feature, words, output_tanh=False):
    """Eqs. 4 to 12 for one caption, in numpy. Returns logits after each word and the state at t = -1."""
    weights = {name: value.detach().double().numpy() for name, value in model.named_parameters()}
    w_x, w_m = weights["model.lstm.input_gates.weight"], weights["model.lstm.recurrent_weight"]
    bias = weights.get("model.lstm.input_gates.bias", 0.0)
    m = c = np.zeros(w_m.shape[1])
    image = (
        weights["model.image_projection.weight"] @ feature[0].double().numpy() + weights["model.image_projection.bias"]
    )
    logits, states = [], []
    for x in [image, *(weights["model.embed_tokens.weight"][word] for word in words)]:
        i, f, g, o = np.split(w_x @ x + w_m @ m + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        m = sigmoid(o) * (np.tanh(c) if output_tanh else c)
        logits.append(weights["lm_head.weight"] @ m + weights["lm_head.bias"])
        states.append((m, c))
    return torch.tensor(np.array(logits[1:])).float(), states[0]  # what is told after the picture alone is discarded
