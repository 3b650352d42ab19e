"""GoogLeNet: the published table, counts and auxiliary heads, and weights in torchvision's layout."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import avg_pool2d, conv2d, cross_entropy, linear, max_pool2d

from hfmm import factory
from hfmm.models.vision.googlenet.configuration_googlenet import PAPER_INCEPTIONS, GooglenetConfig
from hfmm.models.vision.googlenet.convert_googlenet import convert_state_dict, convert_torchvision
from hfmm.models.vision.googlenet.modeling_googlenet import (
    GooglenetBackbone,
    GooglenetForImageClassification,
    GooglenetInception,
    GooglenetModel,
)
from tests.testing import ExtractsFeatures, Learns, ModelTests, seeded
from tests.testing_hub import Bundles

THIN = {
    "3a": (4, 8, 6, 8, 6, 4), "4a": (6, 8, 4, 8, 4, 6), "4d": (4, 8, 4, 8, 4, 4), "4e": (4, 8, 6, 8, 4, 4),
    "5b": (6, 8, 4, 8, 6, 4),
}  # fmt: skip
TINY = {"image_size": 64, "stem_sizes": [6, 8, 8], "inceptions": THIN, "dropout": 0.0, "auxiliary_heads": False}
HEADS = {"image_size": 96, "auxiliary_heads": True, "auxiliary_channels": 8, "auxiliary_hidden_size": 12}
HEADS |= {"auxiliary_dropout": 0.0}


def pictures(count=3, size=64):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def tiny(kind=GooglenetForImageClassification, **fields):
    with seeded():
        return kind(GooglenetConfig(**{**TINY, **fields})).eval()


def on_meta(preset, **fields):
    with torch.device("meta"):
        return factory.create_model("googlenet", preset, **fields)


def count(model):
    return sum(value.numel() for value in model.parameters())


class TestGooglenetForImageClassification(ModelTests, Bundles):
    architecture = "googlenet"
    model_class = GooglenetForImageClassification

    def config(self):
        return GooglenetConfig(**TINY, num_labels=4)

    def inputs(self):
        return {"pixel_values": pictures(), "labels": torch.tensor([0, 1, 2])}


class TestGooglenetInTraining(Learns):
    """Auxiliary heads and batch normalization do in training what they do not do otherwise."""

    architecture = "googlenet"
    model_class = GooglenetForImageClassification

    def config(self):
        return GooglenetConfig(**{**TINY, **HEADS}, normalization="batch", num_labels=4)

    def model(self):
        return super().model().train()

    def inputs(self):
        return {"pixel_values": pictures(size=96), "labels": torch.tensor([0, 1, 2])}


class TestGooglenetBackbone(ExtractsFeatures, ModelTests):
    architecture = "googlenet"
    model_class = GooglenetBackbone

    def config(self):
        return GooglenetConfig(**TINY)

    def inputs(self):
        return {"pixel_values": pictures()}


class TestGooglenetModel(ModelTests, Bundles):
    architecture = "googlenet"
    model_class = GooglenetModel

    def config(self):
        return GooglenetConfig(**TINY)

    def inputs(self):
        return {"pixel_values": pictures()}

    def loss(self, output):
        return (output.pooler_output**2).mean()


def test_parameter_counts_are_those_of_table_1():
    """The deck says 4 million; the table gives 6,998,552, and no reading of it gives 4."""
    assert count(on_meta("paper", auxiliary_heads=False)) == 6_998_552
    assert count(on_meta("paper")) == 13_378_280
    assert count(on_meta("paper").backbone) == 5_973_552


def test_twenty_two_layers_have_weights_on_the_longest_way():
    inceptions = on_meta("paper").backbone.inceptions
    assert list(inceptions) == list(PAPER_INCEPTIONS)
    assert 3 + 2 * len(inceptions) + 1 == 22  # convolutions before, two deep in each inception, the classifier


@torch.no_grad()
def test_maps_have_the_sizes_of_table_1():
    net = on_meta("paper").backbone
    maps = net.maps(pictures(1, 224).to("meta"))
    expected = {"conv1": (64, 112), "conv2": (192, 56), "3a": (256, 28), "3b": (480, 28), "4a": (512, 14)}
    expected |= {"4b": (512, 14), "4c": (512, 14), "4d": (528, 14), "4e": (832, 14), "5a": (832, 7), "5b": (1024, 7)}
    assert {name: tuple(value.shape[1:3]) for name, value in maps.items()} == expected
    assert net.num_features == [64, 192, 480, 832, 1024]


@torch.no_grad()
def test_an_inception_is_four_branches_side_by_side():  # figure 2b
    with seeded():
        block = GooglenetInception(5, [2, 3, 4, 2, 3, 1], GooglenetConfig(**TINY))
    x = torch.randn(2, 5, 6, 6, generator=torch.Generator().manual_seed(1))

    def through(part, values, padding=0):
        layer = part.convolution
        return conv2d(values, layer.weight, layer.bias, padding=padding).clamp(min=0)

    expected = [
        through(block.one, x),
        through(block.three, through(block.three_reduce, x), padding=1),
        through(block.five, through(block.five_reduce, x), padding=2),
        through(block.pool_projection, max_pool2d(x, 3, 1, 1)),
    ]
    torch.testing.assert_close(block(x), torch.cat(expected, 1))
    assert [part.shape[1] for part in expected] == [2, 4, 3, 1]


def test_maps_are_normalized_across_channels_as_in_alexnet():
    backbone = tiny(GooglenetBackbone)
    x = 50 * torch.randn(2, 7, 3, 3, generator=torch.Generator().manual_seed(0))
    power = torch.stack([x[:, max(0, i - 2) : i + 3].square().sum(1) for i in range(7)], 1)
    expected = x / (2 + 1e-4 * power) ** 0.75
    torch.testing.assert_close(backbone._normalized(x), expected)
    half = backbone._normalized(x.bfloat16())
    torch.testing.assert_close(half, expected.bfloat16())  # to the last bit but for what x lost
    plain = tiny(GooglenetBackbone, normalization="batch")
    assert plain._normalized(x) is x


@torch.no_grad()
def test_codes_are_the_mean_of_the_last_map(tmp_path):
    classifier = tiny()
    classifier.save_pretrained(tmp_path)
    model = GooglenetModel.from_pretrained(tmp_path)
    backbone = GooglenetBackbone.from_pretrained(tmp_path)
    codes = model(pictures()).pooler_output
    torch.testing.assert_close(codes, backbone(pictures()).feature_maps[0].mean((2, 3)))
    torch.testing.assert_close(classifier.classifier(codes), classifier(pictures()).logits)
    assert on_meta("paper").backbone.num_features[-1] == 1024


def test_losses_of_the_auxiliary_heads_count_three_tenths():
    model, labels = tiny(**HEADS, num_labels=4).train(), torch.tensor([3, 0, 1])
    output = model(pictures(size=96), labels=labels)
    assert len(output.auxiliary_logits) == 2
    main, first, second = (cross_entropy(logits, labels) for logits in (output.logits, *output.auxiliary_logits))
    torch.testing.assert_close(output.loss, main + 0.3 * (first + second))


def test_auxiliary_heads_act_in_training_only():
    model, labels = tiny(**HEADS, num_labels=4), torch.tensor([3, 0, 1])
    output = model(pictures(size=96), labels=labels)
    assert output.auxiliary_logits is None
    torch.testing.assert_close(output.loss, cross_entropy(output.logits, labels))


@torch.no_grad()
def test_an_auxiliary_head_pools_projects_and_classifies():  # section 5
    model = tiny(**HEADS, num_labels=4)
    for name, maps in (("4a", 20), ("4d", 16)):
        head = model.auxiliary_heads[name]
        x = torch.randn(2, maps, 6, 6, generator=torch.Generator().manual_seed(1))
        layer = head.projection.convolution
        features = conv2d(avg_pool2d(x, 5, 3), layer.weight, layer.bias).clamp(min=0).flatten(1)
        features = linear(features, head.hidden.weight, head.hidden.bias).clamp(min=0)
        torch.testing.assert_close(head(x), linear(features, head.classifier.weight, head.classifier.bias))
    paper = on_meta("paper").auxiliary_heads["4a"]
    assert (paper.hidden.in_features, paper.hidden.out_features, paper.dropout) == (128 * 4 * 4, 1024, 0.7)


def test_dropout_acts_in_training_only():
    with seeded():
        model, x = tiny(dropout=0.4), pictures(1)
        assert torch.equal(model(x).logits, model(x).logits)
        assert not torch.equal(model.train()(x).logits, model(x).logits)
    assert GooglenetConfig().dropout == 0.4


def block(before, after, side, stride=1):
    layer = nn.Module()
    layer.conv = nn.Conv2d(before, after, side, stride, side // 2, bias=False)
    layer.bn = nn.BatchNorm2d(after, eps=0.001)
    layer.forward = lambda x: layer.bn(layer.conv(x)).relu()
    return layer


class TorchvisionLayout(nn.Module):
    """The net written again with torchvision's names: batch normalization, 3 x 3 for 5 x 5, a last pool of 2 x 2."""

    def __init__(self, scale, classes):
        super().__init__()
        channels = 192 // scale
        self.conv1, self.conv2 = block(3, 64 // scale, 7, 2), block(64 // scale, 64 // scale, 1)
        self.conv3 = block(64 // scale, channels, 3)
        for name, row in PAPER_INCEPTIONS.items():
            one, reduce3, three, reduce5, five, pool = (max(1, size // scale) for size in row)
            branches = nn.Module()
            branches.branch1 = block(channels, one, 1)
            branches.branch2 = nn.Sequential(block(channels, reduce3, 1), block(reduce3, three, 3))
            branches.branch3 = nn.Sequential(block(channels, reduce5, 1), block(reduce5, five, 3))
            branches.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), block(channels, pool, 1))
            setattr(self, f"inception{name}", branches)
            channels = one + three + five + pool
        self.aux1, self.fc = nn.Linear(2, 2), nn.Linear(channels, classes)

    def forward(self, x):
        x = max_pool2d(self.conv1(x), 3, 2, ceil_mode=True)
        x = max_pool2d(self.conv3(self.conv2(x)), 3, 2, ceil_mode=True)
        for name in PAPER_INCEPTIONS:
            part = getattr(self, f"inception{name}")
            x = torch.cat([branch(x) for branch in part.children()], 1)
            x = {"3b": nn.MaxPool2d(3, 2, ceil_mode=True), "4e": nn.MaxPool2d(2, 2)}.get(name, nn.Identity())(x)
        return self.fc(x.mean((2, 3)))


@torch.no_grad()
def test_converted_torchvision_weights_give_equal_logits(tmp_path):
    with seeded():
        reference = TorchvisionLayout(scale=16, classes=7).eval()
        for name, value in reference.state_dict().items():
            if name.endswith(("bn.weight", "running_var")):
                value.uniform_(0.5, 1.5)
            elif name.endswith(("bn.bias", "running_mean")):
                value.normal_(std=0.2)
    save_file(reference.state_dict(), tmp_path / "googlenet.safetensors")
    torch.save(reference.state_dict(), tmp_path / "googlenet.pth")
    for file in ("googlenet.safetensors", "googlenet.pth"):
        model = convert_torchvision(tmp_path / file)
        assert model.config.num_labels == 7
        for size in (64, 224):
            torch.testing.assert_close(model(pictures(2, size)).logits, reference(pictures(2, size)))


def test_the_preset_of_torchvision_is_what_its_weights_give():
    with torch.device("meta"):
        converted = convert_state_dict(TorchvisionLayout(scale=1, classes=1000).state_dict()).config.to_dict()
    preset = factory.create_config("googlenet", "torchvision").to_dict()
    fields = GooglenetConfig.__annotations__
    assert {name: converted[name] for name in fields} == {name: preset[name] for name in fields}


def test_other_weights_are_refused():
    with pytest.raises(ValueError, match=r"not the weights of torchvision's googlenet: first keys features\.0\.weight"):
        convert_state_dict({"features.0.weight": torch.zeros(8, 3, 11, 11)})


def test_pictures_of_another_size_train_no_auxiliary_heads():
    model = tiny(**HEADS)
    assert model(pictures(1, 32)).logits.shape == (1, 2)
    with pytest.raises(ValueError, match="pictures are 32 x 32 but auxiliary heads take 96 x 96"):
        model.train()(pictures(1, 32))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"inceptions": {"3a": [1] * 6, "4a": [1] * 6}}, "stages 3, 4 and 5 need one each"),
        ({"inceptions": {"3a": [1], "4a": [1] * 6, "5a": [1] * 6}}, r"inceptions\['3a'\] has 1 numbers"),
        ({"stem_sizes": [8]}, "stem_sizes has 1 entries"),
        ({"image_size": 100}, "image_size is 100 but five halvings"),
        ({"image_size": 64}, "image_size is 64: too small for auxiliary_heads"),
        ({"inceptions": {name: [1] * 6 for name in ("3a", "4b", "5a")}}, "look at inceptions 4a and 4d"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        GooglenetConfig(**fields)
