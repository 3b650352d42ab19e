"""ResNets of small pictures: the paper's networks, whitened patches, faster biases, and the whole net again."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import batch_norm, conv2d, gelu, max_pool2d, relu, unfold

import hfmm
from hfmm.models.vision.cifar_resnet.configuration_cifar_resnet import CifarResnetConfig
from hfmm.models.vision.cifar_resnet.modeling_cifar_resnet import (
    CifarResnetBackbone,
    CifarResnetForImageClassification,
    PatchWhitening,
    ResidualUnit,
    ScaledBiasNormalization,
)
from tests.models.vision.normalized import with_statistics
from tests.models.vision.upstream import parameters
from tests.testing import ExtractsFeatures, ModelTests, seeded
from tests.testing_hub import Bundles
from tests.training.launching import launch

TINY = {"stem_size": 8, "hidden_sizes": [8, 16], "depths": [2, 1]}
FAST = {"hidden_sizes": [24, 32], "depths": [1, 2], "stem": "whitening", "downsampling": "max_pool"}
FAST |= {"downsample_in_first_stage": True, "hidden_act": "gelu", "bias_scale": 8.0, "logit_scale": 0.125}


def pictures(count=3, size=8):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


class TestCifarResnetForImageClassification(ModelTests, Bundles):
    architecture = "cifar_resnet"
    model_class = CifarResnetForImageClassification

    def config(self):
        return CifarResnetConfig(**TINY, num_labels=4)

    def inputs(self):
        return {"pixel_values": pictures(), "labels": torch.tensor([0, 1, 2])}


class TestWhitenedCifarResnet(TestCifarResnetForImageClassification):
    def config(self):
        return CifarResnetConfig(**FAST, num_labels=4)


class TestCifarResnetBackbone(ExtractsFeatures, ModelTests, Bundles):
    architecture = "cifar_resnet"
    model_class = CifarResnetBackbone
    overfit_ratio = 0.5  # the mean square of a normalized map falls as its scale does

    def config(self):
        return CifarResnetConfig(**TINY)

    def inputs(self):
        return {"pixel_values": pictures()}


def test_parameters_are_those_of_table_6():
    found = parameters("cifar_resnet")
    presets = ["paper", "layers_32", "layers_44", "layers_56", "layers_110"]
    assert [round(found[preset] / 1e6, 2) for preset in presets] == [0.27, 0.46, 0.66, 0.85, 1.73]


@pytest.mark.parametrize(("preset", "units"), [("paper", 3), ("layers_110", 18), ("tiny", 1)])
def test_layers_are_six_a_unit_and_two(preset, units):
    """The stem of the tiny preset is a layer that is not learned."""
    with torch.device("meta"):
        model = hfmm.create_model("cifar_resnet", preset)
    kinds = nn.Conv2d | nn.Linear | PatchWhitening
    assert sum(isinstance(part, kinds) for part in model.modules()) == 6 * units + 2


def test_maps_have_32_16_and_8_places_on_a_side():
    with torch.device("meta"):
        model = hfmm.create_model("cifar_resnet", "paper")
        maps = model(torch.empty(1, 3, 32, 32), output_hidden_states=True).hidden_states
    assert [tuple(found.shape[1:]) for found in maps] == [(16, 32, 32), (16, 32, 32), (32, 16, 16), (64, 8, 8)]


def test_a_unit_whose_convolutions_find_nothing_is_the_identity():  # Eq. 1
    unit = ResidualUnit(4, 4, False, CifarResnetConfig()).eval()
    nn.init.zeros_(unit.normalization2.weight)
    hidden = torch.rand(1, 4, 6, 6)
    assert torch.equal(unit(hidden), hidden)  # relu(0 + x) of x >= 0


def test_shortcuts_take_every_other_place_and_zeros_for_new_channels():  # option A
    unit, x = ResidualUnit(2, 5, True, CifarResnetConfig()), pictures(1, 7)[:, :2]
    kept = unit.shortcut(x)
    assert kept.shape == unit(x).shape == (1, 5, 4, 4)
    assert torch.equal(kept[:, :2], x[..., [0, 2, 4, 6], :][..., [0, 2, 4, 6]])
    assert not kept[:, 2:].any()
    pooling = ResidualUnit(2, 5, True, CifarResnetConfig(downsampling="max_pool"))
    assert pooling.shortcut(x).shape == pooling(x).shape == (1, 5, 3, 3)
    assert torch.equal(pooling.shortcut(x)[:, :2], max_pool2d(x, 2))


def test_patches_of_the_first_batch_come_out_white():
    with seeded():
        mix = torch.randn(3, 3)
    correlated = torch.einsum("dc,bchw->bdhw", mix, 10 * pictures(64, 16).cumsum(3))  # far above the smallest variance
    whitening = PatchWhitening(3).train()
    found = whitening(correlated)
    half = found.shape[1] // 2
    assert torch.equal(found[:, :half], -found[:, half:])
    values = found[:, :half].double().transpose(0, 1).flatten(1)  # P N
    torch.testing.assert_close(values @ values.T / values.shape[1], torch.eye(half).double(), rtol=0, atol=1e-3)
    filters = whitening.filters.clone()
    whitening(pictures(4))
    assert torch.equal(whitening.filters, filters)  # a second batch changes nothing


def test_two_processes_whiten_as_one_does(tmp_path):
    """The sign of a direction is arbitrary: what counts is what the filters make of second moments."""
    launch("tests/models/vision/two_whitenings.py", tmp_path)
    found = load_file(tmp_path / "0.safetensors")["filters"]
    assert torch.equal(found, load_file(tmp_path / "1.safetensors")["filters"])
    whole = PatchWhitening(3).train()
    whole(pictures(8))
    left, right = (filters.flatten(1) for filters in (found, whole.filters))
    torch.testing.assert_close(left.T @ left, right.T @ right)


def test_patches_are_their_pixels_before_any_training():
    stem = CifarResnetBackbone(CifarResnetConfig(**FAST)).eval().stem[0]
    x = pictures()
    assert torch.equal(stem(x)[:, :12].flatten(2), unfold(x, 2))
    assert not stem.measured


def test_scaled_biases_learn_faster_by_the_square():
    """A step of descent moves a bias of scale k by k**2 as much and decays it as much; weights move by as much."""
    x, target = pictures(), pictures(3, 8).roll(1)
    moved = []
    for norm in (ScaledBiasNormalization(3, 8.0), nn.BatchNorm2d(3)):
        scale = getattr(norm, "scale", 1.0)
        norm.bias.data.copy_(torch.tensor([0.5, -1.0, 2.0]) / scale)
        before = scale * norm.bias.detach()
        optimizer = torch.optim.SGD(norm.parameters(), lr=1e-3, weight_decay=0.1)
        ((norm(x) - target) ** 2).mean().backward()
        optimizer.step()
        decayed = before * (1 - 1e-3 * 0.1)
        moved.append((scale * norm.bias.detach() - decayed, norm.weight.detach() - 1, norm.running_mean))
    torch.testing.assert_close(moved[0][0], 64 * moved[1][0])
    torch.testing.assert_close(moved[0][1:], moved[1][1:])


def restated(weights, pixels, fast):
    """Logits by the rows of the paper, over a state dict."""

    def normalized(name, x, scale):
        mean, variance, weight, bias = (
            weights[f"{name}.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return batch_norm(x, mean, variance, weight, scale * bias)

    def convolved(name, x, stride=1):
        return conv2d(x, weights[f"{name}.weight"], stride=stride, padding=1)

    def unit(name, x, new, halves):
        if fast:
            found = convolved(f"{name}.convolution1", x)
            found, x = (max_pool2d(found, 2), max_pool2d(x, 2)) if halves else (found, x)
        else:
            found = convolved(f"{name}.convolution1", x, 2 if halves else 1)
            x = x[:, :, ::2, ::2] if halves else x
        found = act(normalized(f"{name}.normalization1", found, scale))
        found = normalized(f"{name}.normalization2", convolved(f"{name}.convolution2", found), scale)
        zeros = x.new_zeros(len(x), new, *x.shape[2:])
        return act(found + torch.cat([x, zeros], dim=1))

    act, scale = (gelu, 8.0) if fast else (relu, 1.0)
    if fast:
        x = gelu(conv2d(pixels, weights["backbone.stem.0.filters"]))
        x = unit("backbone.stages.0.0", x, 0, True)
        x = unit("backbone.stages.1.0", x, 8, True)
        x = unit("backbone.stages.1.1", x, 0, False).flatten(2).max(2).values
    else:
        x = relu(normalized("backbone.stem.1", convolved("backbone.stem.0", pixels), 1.0))
        x = unit("backbone.stages.0.0", x, 0, False)
        x = unit("backbone.stages.0.1", x, 0, False)
        x = unit("backbone.stages.1.0", x, 8, True).flatten(2).mean(2)
    return (x @ weights["classifier.weight"].T + weights["classifier.bias"]) * (0.125 if fast else 1.0)


@torch.no_grad()
@pytest.mark.parametrize("fields", [TINY, FAST], ids=["paper", "fast"])
def test_logits_are_those_of_the_network_written_again(fields):
    with seeded():
        model = CifarResnetForImageClassification(CifarResnetConfig(**fields, num_labels=4)).train()
        model(pictures(8, 12))  # which sets the whitening
    model, x = with_statistics(model.double()), pictures(2, 13).double()
    torch.testing.assert_close(model(x).logits, restated(model.state_dict(), x, fields is FAST))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"depths": [1, 1]}, "must be as many"),
        ({"depths": [1, 0, 1]}, "every stage needs a unit"),
        ({"hidden_sizes": [16, 8, 8]}, "none may be less"),
        ({"stem": "whitening"}, r"\[24, 16, 32, 64\]: none may be less"),
    ],
)
def test_contradictions_are_refused(fields, said):
    with pytest.raises(Exception, match=said):
        CifarResnetConfig(**fields)
