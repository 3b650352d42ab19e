"""Why this class: bars, and the masks of models that have them."""

import numpy as np
import pytest
import torch
from PIL import Image

import hfmm
from hfmm.explanation.classification import explain_class, masked
from hfmm.explanation.overlay import SIDE
from tests.testing import seeded


def explained(name, **fields):
    with seeded():
        model = hfmm.create_model(name, num_labels=6, **fields).eval()
    picture = Image.new("RGB", (90, 60), (200, 30, 30))
    return model, explain_class(model, hfmm.create_processor(name), picture)


def test_the_likeliest_classes_come_first():
    model, explanation = explained("small_cnn")
    shares = explanation.data["probabilities"]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == len(explanation.data["labels"]) == 5
    assert explanation.title == explanation.data["labels"][0] in model.config.id2label.values()
    assert "masks" not in explanation.data


@pytest.mark.parametrize("activation", ["mixed", "channel"])
def test_masks_are_shown_below_the_bars(activation):
    _, plain = explained("small_cnn")
    _, explanation = explained("residual_attention", mask_activation=activation)
    assert [np.shape(mask) for mask in explanation.data["masks"]] == [(16, 16), (8, 8)]
    assert explanation.picture.height > plain.picture.height + SIDE


def test_a_mask_is_bright_where_it_is_high():
    mask = torch.full((4, 4), 0.4).numpy()
    mask[0, 0] = 0.6
    panel = np.asarray(masked(Image.new("RGB", (SIDE, SIDE), (250, 250, 250)), [mask]), dtype=float)
    assert panel[20, 20].mean() > 2 * panel[120, 120].mean()
