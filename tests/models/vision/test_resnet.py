"""ResNet through upstream's classes: the paper's networks by their sizes and their residual units."""

import pytest
import torch
from torch import nn
from transformers import ResNetForImageClassification

import hfmm
from hfmm.factory import create_config
from tests.models.vision.upstream import parameters
from tests.testing import Computes, Learns, seeded


class TestResNet(Computes, Learns):
    architecture = "resnet"
    model_class = ResNetForImageClassification

    def config(self):
        return create_config("resnet", embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=3)

    def inputs(self):
        with seeded():
            return {"pixel_values": torch.randn(2, 3, 32, 32), "labels": torch.tensor([0, 2])}


def test_parameters_of_the_papers_networks():
    found = parameters("resnet")
    assert found["resnet_50"] == 25_557_032
    assert found["resnet_101"] == 44_549_160
    assert found["paper"] == 60_192_808


@pytest.mark.parametrize(
    ("preset", "layers"), [("paper", 152), ("resnet_101", 101), ("resnet_34", 34), ("resnet_18", 18)]
)
def test_layers_are_counted_as_in_table_1(preset, layers):
    with torch.device("meta"):
        model = hfmm.create_model("resnet", preset)
    weighted = [name for name, part in model.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    assert len([name for name in weighted if "shortcut" not in name]) == layers


def test_a_unit_whose_convolutions_find_nothing_is_the_identity():
    unit = hfmm.create_model("resnet").resnet.encoder.stages[0].layers[1].eval()
    nn.init.zeros_(unit.layer[-1].normalization.weight)
    nn.init.zeros_(unit.layer[-1].normalization.bias)
    hidden = torch.rand(1, 64, 6, 6)
    assert torch.equal(unit(hidden), hidden)  # relu(0 + x) of x >= 0


def test_the_first_convolution_of_a_bottleneck_strides_in_the_paper():
    with torch.device("meta"):
        unit = hfmm.create_model("resnet", "paper").resnet.encoder.stages[1].layers[0]
    assert [part.convolution.stride[0] for part in unit.layer] == [2, 1, 1]


def test_two_3x3_convolutions_see_what_a_5x5_sees_with_fewer_weights():
    pixels = torch.zeros(1, 1, 9, 9, requires_grad=True)
    seen = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1))
    seen(pixels)[0, 0, 4, 4].backward()
    rows, columns = pixels.grad[0, 0].nonzero(as_tuple=True)
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (5, 5)
    assert sum(part.weight.numel() for part in seen) == 18 < 25
