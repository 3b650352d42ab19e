"""EfficientNet through upstream's classes: the scaled family by its sizes, and depthwise convolutions."""

import torch
from transformers import EfficientNetForImageClassification

import hfmm
from hfmm.factory import create_config
from tests.models.vision.upstream import parameters
from tests.testing import Computes, seeded


class TestEfficientNet(Computes):
    architecture = "efficientnet"
    model_class = EfficientNetForImageClassification

    def config(self):
        return create_config(
            "efficientnet",
            width_coefficient=0.25,
            depth_coefficient=0.1,
            hidden_dim=320,
            dropout_rate=0.0,
            drop_connect_rate=0.0,
            num_labels=3,
        )

    def inputs(self):
        with seeded():
            return {"pixel_values": torch.randn(2, 3, 64, 64), "labels": torch.tensor([0, 2])}


def test_parameters_of_the_scaled_family():
    assert parameters("efficientnet") | {"tiny": 0} == {
        "tiny": 0,
        "paper": 5_288_548,
        "b1": 7_794_184,
        "b2": 9_109_994,
        "b3": 12_233_232,
        "b4": 19_341_616,
        "b5": 30_389_784,
        "b6": 43_040_704,
        "b7": 66_347_960,
        "l2": 480_309_308,
    }


def test_a_depthwise_convolution_does_not_mix_channels():
    block = hfmm.create_model("efficientnet").efficientnet.encoder.blocks[1]
    depthwise = block.depthwise_conv.depthwise_conv
    channels, kernel = depthwise.out_channels, depthwise.kernel_size[0]
    assert depthwise.groups == channels
    assert depthwise.weight.numel() == kernel**2 * channels  # k^2 C, where a full one has k^2 C^2
    hidden = torch.rand(1, channels, 9, 9, requires_grad=True)
    depthwise(hidden)[0, 3].sum().backward()
    seen = hidden.grad[0].abs().sum((1, 2)).nonzero().flatten()
    assert seen.tolist() == [3]


def test_separable_convolutions_cost_one_over_channels_plus_one_over_the_kernels_area():
    channels, kernel = 64, 3
    full = torch.nn.Conv2d(channels, channels, kernel, bias=False).weight.numel()
    depthwise = torch.nn.Conv2d(channels, channels, kernel, groups=channels, bias=False).weight.numel()
    pointwise = torch.nn.Conv2d(channels, channels, 1, bias=False).weight.numel()
    assert (depthwise + pointwise) / full == 1 / channels + 1 / kernel**2
