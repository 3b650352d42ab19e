"""Residual attention: the equations, the released layers, and how far the masks go down and up again."""

import pytest
import torch
from torch import nn
from torch.nn.functional import batch_norm, conv2d, interpolate, max_pool2d, relu

from hfmm import factory
from hfmm.models.vision.residual_attention.configuration_residual_attention import ResidualAttentionConfig
from hfmm.models.vision.residual_attention.modeling_residual_attention import (
    AttentionModule,
    ResidualAttentionBackbone,
    ResidualAttentionForImageClassification,
    SoftMask,
    mask_of,
)
from tests.models.vision.normalized import with_statistics
from tests.testing import ExtractsFeatures, ModelTests, seeded
from tests.testing_hub import Bundles

TINY = {"large_stem": False, "stem_size": 8, "hidden_sizes": [16, 16, 16], "strides": [1, 2, 1]}
TINY |= {"num_modules": [1, 1], "num_poolings": [2, 0], "last_depth": 2}


def pictures(count=3, size=8):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def module(num_poolings=2, channels=8, **fields):
    with seeded():
        return with_statistics(AttentionModule(channels, num_poolings, ResidualAttentionConfig(**fields)))


def features(channels=8, size=12):
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(1))


class TestResidualAttentionForImageClassification(ModelTests, Bundles):
    architecture = "residual_attention"
    model_class = ResidualAttentionForImageClassification

    def config(self):
        return ResidualAttentionConfig(**TINY, num_labels=4)

    def inputs(self):
        return {"pixel_values": pictures(), "labels": torch.tensor([0, 1, 2])}


class TestResidualAttentionBackbone(ExtractsFeatures, ModelTests, Bundles):
    architecture = "residual_attention"
    model_class = ResidualAttentionBackbone
    overfit_ratio = 0.5  # the mean square of a normalized map falls as its scale does

    def config(self):
        return ResidualAttentionConfig(**TINY)

    def inputs(self):
        return {"pixel_values": pictures()}


@pytest.mark.parametrize(("preset", "count"), [("paper", 31_810_728), ("attention92", 52_466_344)])
def test_parameter_counts_are_those_of_the_released_networks(preset, count):
    with torch.device("meta"):
        model = factory.create_model("residual_attention", preset, auto="AutoModelForImageClassification")
    assert sum(value.numel() for value in model.parameters()) == count


@pytest.mark.parametrize(("preset", "depth"), [("paper", 56), ("attention92", 92)])
def test_the_trunk_is_as_deep_as_the_name_says(preset, depth):
    """Layers from the picture to the classes, without masks and shortcuts."""
    with torch.device("meta"):
        model = factory.create_model("residual_attention", preset, auto="AutoModelForImageClassification")
    layers = [name for name, part in model.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    on_trunk = [name for name in layers if ".mask." not in name and not name.endswith("shortcut")]
    modules = sum(model.config.num_modules)
    assert len(on_trunk) == depth == 12 * modules + 20


def test_maps_have_the_printed_sizes():  # table 2
    names = ["stem", "stage1", "stage2", "stage3", "stage4"]
    with torch.device("meta"):
        model = ResidualAttentionForImageClassification(ResidualAttentionConfig(out_features=names))
        output = model(torch.empty(1, 3, 224, 224), output_hidden_states=True)
    expected = [(64, 56, 56), (256, 56, 56), (512, 28, 28), (1024, 14, 14), (2048, 7, 7)]
    assert [tuple(feature_map.shape[1:]) for feature_map in output.hidden_states] == expected


@pytest.mark.parametrize(
    ("preset", "size", "sides", "bottoms"),
    [("paper", 224, [56, 28, 14], [7, 7, 7]), ("cifar", 32, [32, 16, 8], [8, 8, 8])],
)
def test_masks_come_back_to_the_size_of_the_trunk(preset, size, sides, bottoms):
    with torch.device("meta"):
        model = factory.create_model("residual_attention", preset, auto="AutoModelForImageClassification")
        found = []
        for part in model.modules():
            if isinstance(part, SoftMask):
                part.bottom.register_forward_hook(lambda part, taken, given: found.append(given.shape[-1]))
        masks = model(torch.empty(2, 3, size, size)).mask_attentions
    widths = model.config.hidden_sizes[:3]
    assert [tuple(mask.shape) for mask in masks] == [
        (2, width, side, side) for width, side in zip(widths, sides, strict=True)
    ]
    assert found == bottoms


@pytest.mark.parametrize("size", [9, 14, 23])
def test_masks_of_odd_sizes_come_back_too(size):
    attended, mask = module(num_poolings=3)(features(size=size))
    assert attended.shape == mask.shape == (2, 8, size, size)


@torch.no_grad()
def test_a_mask_of_zeros_leaves_the_plain_residual_network():  # below Eq. 3
    attention, x = module(), features()
    last = attention.mask.linear2
    nn.init.zeros_(last.normalization.weight)
    nn.init.ones_(last.normalization.bias)
    nn.init.constant_(last.convolution.weight, -1e4)
    attended, mask = attention(x)
    assert not mask.any()
    plain = attention.before(x)
    for unit in (*attention.trunk, attention.after):
        plain = unit(plain)
    torch.testing.assert_close(attended, plain)


@torch.no_grad()
def test_residual_and_naive_attention_differ_by_the_trunk():  # Eqs. 1 and 3
    with_trunk, naive, x = module(), module(residual_attention=False), features()
    for attention in (with_trunk, naive):
        attention.after = nn.Identity()
    trunk = naive.trunk(naive.before(x))
    torch.testing.assert_close(with_trunk(x)[0] - naive(x)[0], trunk)
    torch.testing.assert_close(naive(x)[0], naive(x)[1] * trunk)


def test_the_mask_filters_the_gradient_of_the_trunk():  # Eq. 2: d(M T)/d(phi) = M dT/d(phi), numerically
    attention, x = module(residual_attention=False).double(), features().double()
    attention.after = nn.Identity()
    weight, step = attention.trunk[0].convolve.convolution.weight.data, 1e-5
    found = []
    for change in (step, -2 * step):
        weight[0, 1, 1, 1] += change
        found.append((attention(x)[0], attention.trunk(attention.before(x))))
    attended, trunk = ((above - below) / (2 * step) for above, below in zip(*found, strict=True))
    assert trunk.abs().max() > 1e-2
    torch.testing.assert_close(attended, attention(x)[1] * trunk, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", ["mixed", "spatial"])
def test_masks_lie_between_0_and_1(kind):
    mask = module(mask_activation=kind)(features())[1]
    assert 0 < mask.min() < mask.max() < 1


def test_the_channel_mask_has_unit_length_at_each_place():  # Eq. 5
    mask = module(mask_activation="channel")(features())[1]
    torch.testing.assert_close(mask.norm(dim=1), torch.ones(2, 12, 12))


def test_the_spatial_mask_standardizes_each_channel():  # Eq. 6
    scores = features()
    mean, deviation = scores.mean((2, 3), keepdim=True), scores.std((2, 3), correction=0, keepdim=True)
    expected = 1 / (1 + torch.exp(-(scores - mean) / deviation))
    torch.testing.assert_close(mask_of(scores, "spatial"), expected, rtol=1e-4, atol=1e-5)


def test_the_mixed_mask_is_a_sigmoid():  # Eq. 4
    torch.testing.assert_close(mask_of(torch.tensor([0.0, 2.0]), "mixed"), torch.tensor([0.5, 0.880797]))


@pytest.mark.parametrize(("align_corners", "expected"), [(True, [0, 0.5, 1, 1.5, 2]), (False, [0, 0.4, 1, 1.6, 2])])
def test_interpolation_aligns_corners_unless_told_otherwise(align_corners, expected):
    mask = SoftMask(4, 1, ResidualAttentionConfig(align_corners=align_corners))
    ramp = torch.tensor([[0.0, 1.0, 2.0]]).expand(1, 4, 3, 3)
    torch.testing.assert_close(mask.enlarged(ramp, torch.empty(1, 1, 5, 5))[0, 0, 0], torch.tensor(expected))
    assert ResidualAttentionConfig().align_corners


class Restated:
    """The network written again over its weights, by the rows of the released description."""

    def __init__(self, weights):
        self.weights = weights

    def batch_norm_relu(self, name, x):
        values = [self.weights[f"{name}.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias")]
        return relu(batch_norm(x, *values))

    def convolution(self, name, x, stride=1):
        weight = self.weights[f"{name}.weight"]
        return conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    def unit(self, name, x, stride=1):
        active = self.batch_norm_relu(f"{name}.normalization", x)
        y = self.convolution(f"{name}.reduce", active)
        y = self.convolution(
            f"{name}.convolve.convolution", self.batch_norm_relu(f"{name}.convolve.normalization", y), stride
        )
        y = self.convolution(f"{name}.expand.convolution", self.batch_norm_relu(f"{name}.expand.normalization", y))
        if f"{name}.shortcut.weight" in self.weights:
            x = self.convolution(f"{name}.shortcut", active, stride)
        return x + y

    def mask_of_two_poolings(self, name, x):
        small = self.unit(f"{name}.down.0", max_pool2d(x, 3, 2, ceil_mode=True))
        y = self.unit(f"{name}.bottom.0", max_pool2d(small, 3, 2, ceil_mode=True))
        y = self.unit(f"{name}.bottom.1", y)
        y = interpolate(y, small.shape[2:], mode="bilinear", align_corners=True) + self.unit(f"{name}.skip.0", small)
        y = interpolate(self.unit(f"{name}.up.0", y), x.shape[2:], mode="bilinear", align_corners=True)
        return self.head_of_mask(name, y)

    def mask_without_pooling(self, name, x):
        return self.head_of_mask(name, self.unit(f"{name}.bottom.1", self.unit(f"{name}.bottom.0", x)))

    def head_of_mask(self, name, y):
        for layer in ("linear1", "linear2"):
            y = self.batch_norm_relu(f"{name}.{layer}.normalization", y)
            y = self.convolution(f"{name}.{layer}.convolution", y)
        return y.sigmoid()

    def attention(self, name, x, mask):
        x = self.unit(f"{name}.before", x)
        trunk = self.unit(f"{name}.trunk.1", self.unit(f"{name}.trunk.0", x))
        return self.unit(f"{name}.after", (1 + mask(f"{name}.mask", x)) * trunk)

    def logits(self, pixels):
        x = self.batch_norm_relu("backbone.stem_normalization", self.convolution("backbone.stem", pixels))
        x = self.unit("backbone.stages.0.units.0", x)
        x = self.attention("backbone.stages.0.attentions.0", x, self.mask_of_two_poolings)
        x = self.unit("backbone.stages.1.units.0", x, stride=2)
        x = self.attention("backbone.stages.1.attentions.0", x, self.mask_without_pooling)
        for index in range(2):
            x = self.unit(f"backbone.stages.2.units.{index}", x)
        mean = self.batch_norm_relu("backbone.normalization", x).mean((2, 3))
        return mean @ self.weights["classifier.weight"].T + self.weights["classifier.bias"]


@torch.no_grad()
def test_logits_are_those_of_the_released_rows():
    with seeded():
        model = with_statistics(ResidualAttentionForImageClassification(ResidualAttentionConfig(**TINY, num_labels=4)))
    x = pictures(2, 16)
    torch.testing.assert_close(model(x).logits, Restated(model.state_dict()).logits(x), rtol=1e-4, atol=1e-5)


def test_a_classifier_gives_its_layers_to_a_backbone(tmp_path):
    with seeded():
        classifier = ResidualAttentionForImageClassification(ResidualAttentionConfig(**TINY)).eval()
    classifier.save_pretrained(tmp_path)
    backbone = ResidualAttentionBackbone.from_pretrained(tmp_path, out_features=["stage2"])
    expected = classifier(pictures(), output_hidden_states=True).hidden_states[2]
    assert torch.equal(backbone(pictures()).feature_maps[0], expected)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"strides": [1, 2]}, "strides has 2 entries but 4 stages need 4"),
        ({"num_modules": [1, 1, 1, 1]}, "num_modules has 4 entries but 4 stages need 3"),
        ({"hidden_sizes": [10, 16, 16, 16]}, "must be multiples of 4"),
        ({"last_depth": 0}, "the last stage needs a unit"),
        ({"mask_activation": "softmax"}, "mask_activation"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        ResidualAttentionConfig(**fields)
