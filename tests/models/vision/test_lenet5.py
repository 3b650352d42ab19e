"""LeNet-5: the layers that the deck prints, row by row."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hfmm import factory
from hfmm.models.vision.lenet5.configuration_lenet5 import Lenet5Config
from hfmm.models.vision.lenet5.modeling_lenet5 import Lenet5ForImageClassification
from tests.testing import ModelTests, seeded
from tests.testing_hub import Bundles

TINY = {"image_size": 8, "hidden_sizes": [4, 6], "classifier_hidden_size": 16}

# Layers with weights or pools of the printed summary: name here, shape (height, width, channels), parameters.
PRINTED = [
    ("convolution1", (32, 32, 20), 1_520),
    ("max-pool", (16, 16, 20), 0),
    ("convolution2", (16, 16, 50), 25_050),
    ("max-pool", (8, 8, 50), 0),
    ("flatten", (3200,), 0),
    ("dense1", (500,), 1_600_500),
    ("dense2", (100,), 50_100),
]


def pictures(count=3, size=8):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def tiny(**fields):
    with seeded():
        return Lenet5ForImageClassification(Lenet5Config(**{**TINY, **fields})).eval()


@torch.no_grad()
def summary(model):
    """Name, shape without the batch (channels last, as printed) and parameters of each layer, in order."""
    seen = {}
    for name, part in model.named_children():
        part.register_forward_hook(lambda part, taken, given, name=name: seen.update({name: (taken[0], given)}))
    size = model.config.image_size
    maps = model(pictures(1, size).to(model.device), output_hidden_states=True).hidden_states
    rows = []
    for name, (_, given) in seen.items():
        rows.append((name, given, sum(value.numel() for value in getattr(model, name).parameters())))
        if name.startswith("convolution"):
            rows.append(("max-pool", maps[name == "convolution2"], 0))
        if name == "convolution2":
            rows.append(("flatten", seen["dense1"][0], 0))
    return [(name, (*value.shape[2:], value.shape[1]), count) for name, value, count in rows]


class TestLenet5ForImageClassification(ModelTests, Bundles):
    architecture = "lenet5"
    model_class = Lenet5ForImageClassification

    def config(self):
        return Lenet5Config(**TINY, num_labels=4)

    def inputs(self):
        return {"pixel_values": pictures(), "labels": torch.tensor([0, 1, 2])}


def test_the_printed_summary_is_reproduced_row_by_row():
    with torch.device("meta"):
        model = factory.create_model("lenet5", "paper")
    assert summary(model) == PRINTED


def test_the_paper_preset_has_the_printed_number_of_parameters():
    with torch.device("meta"):
        model = factory.create_model("lenet5", "paper")
    counts = [value.numel() for value in model.parameters() if value.requires_grad]
    assert sum(counts) == sum(count for _, _, count in PRINTED) == 1_677_170


def convolved(x, layer):
    """A 5 x 5 convolution of (C, H, W) with zeros around it, as a sum over its window, rectified and max-pooled."""
    weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    _, height, width = x.shape
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2)))
    found = bias[:, None, None] + sum(
        np.einsum("oc,chw->ohw", weight[:, :, row, column], padded[:, row : row + height, column : column + width])
        for row in range(5)
        for column in range(5)
    )
    return np.maximum(found, 0).reshape(len(weight), height // 2, 2, width // 2, 2).max((2, 4))


def dense(x, layer):
    return layer.weight.detach().double().numpy() @ x + layer.bias.detach().double().numpy()


def test_logits_are_those_of_the_layers_written_as_sums():
    model = tiny(num_labels=4)
    for name, value in model.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(value, generator=torch.Generator().manual_seed(len(name)))
    for picture, logits in zip(pictures(2).double().numpy(), model(pictures(2)).logits, strict=True):
        second = convolved(convolved(picture, model.convolution1), model.convolution2)
        expected = dense(np.maximum(dense(second.ravel(), model.dense1), 0), model.dense2)
        np.testing.assert_allclose(logits.detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_the_loss_is_cross_entropy_of_a_softmax():
    model, labels = tiny(num_labels=4), torch.tensor([3, 0, 1])
    output = model(pictures(), labels=labels)
    torch.testing.assert_close(output.loss, cross_entropy(output.logits, labels))


def test_dropout_acts_in_training_only():
    with seeded():
        model, x = tiny(dropout=0.5), pictures(1)
        assert torch.equal(model(x).logits, model(x).logits)
        assert not torch.equal(model.train()(x).logits, model(x).logits)


def test_the_printed_net_has_no_dropout():
    model = tiny()
    assert torch.equal(model.train()(pictures(1)).logits, model.eval()(pictures(1)).logits)


def test_pictures_of_another_size_are_refused():
    with pytest.raises(ValueError, match="pictures are 16 x 16 but the classifier takes 8 x 8"):
        tiny()(pictures(1, 16))


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"hidden_sizes": [8]}, "hidden_sizes has 1 entries"), ({"image_size": 30}, "need a multiple of 4")],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        Lenet5Config(**fields)
