"""VGG: the published layers, counts and maps, and weights in torchvision's layout."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hfmm import factory
from hfmm.models.vision.vgg.configuration_vgg import VggConfig
from hfmm.models.vision.vgg.convert_vgg import convert_state_dict, convert_torchvision
from hfmm.models.vision.vgg.modeling_vgg import VggBackbone, VggForImageClassification, VggStage
from tests.testing import ExtractsFeatures, ModelTests, seeded
from tests.testing_hub import Bundles

TINY = {"num_layers": 11, "image_size": 32, "hidden_sizes": [4, 6, 8, 8, 8]}
TINY |= {"classifier_hidden_size": 16, "dropout": 0.0}

# Table 1 of the paper: numbers are 3 x 3 convolutions, M is a max-pool.
PRINTED = {
    16: "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    19: "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


def pictures(count=3, size=32):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def torchvision_layout(num_layers, scale, size, hidden, classes):
    """The net written again as one list of layers, numbered as torchvision numbers them."""
    layers, channels = [], 3
    for word in PRINTED[num_layers].split():
        if word == "M":
            layers.append(nn.MaxPool2d(2, 2))
            continue
        layers += [nn.Conv2d(channels, int(word) // scale, 3, padding=1), nn.ReLU()]
        channels = int(word) // scale
    classifier = [nn.Linear(channels * (size // 32) ** 2, hidden), nn.ReLU(), nn.Dropout()]
    classifier += [nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, classes)]
    net = nn.Module()
    net.features, net.classifier = nn.Sequential(*layers), nn.Sequential(*classifier)
    return net.eval()


class TestVggForImageClassification(ModelTests, Bundles):
    architecture = "vgg"
    model_class = VggForImageClassification

    def config(self):
        return VggConfig(**TINY, num_labels=4)

    def inputs(self):
        return {"pixel_values": pictures(), "labels": torch.tensor([0, 1, 2])}


class TestVggBackbone(ExtractsFeatures, ModelTests, Bundles):
    architecture = "vgg"
    model_class = VggBackbone

    def config(self):
        return VggConfig(**TINY)

    def inputs(self):
        return {"pixel_values": pictures()}


@pytest.mark.parametrize(("preset", "count"), [("paper", 138_357_544), ("vgg19", 143_667_240)])
def test_parameter_counts_are_the_published_ones(preset, count):
    with torch.device("meta"):
        model = factory.create_model("vgg", preset, auto="AutoModelForImageClassification")
    assert sum(value.numel() for value in model.parameters()) == count


@pytest.mark.parametrize("num_layers", [16, 19])
def test_layers_with_weights_are_as_many_as_the_name_says(num_layers):
    with torch.device("meta"):
        model = VggForImageClassification(VggConfig(num_layers=num_layers))
    assert sum(isinstance(part, nn.Conv2d | nn.Linear) for part in model.modules()) == num_layers


@pytest.mark.parametrize("num_layers", [16, 19])
def test_maps_are_taken_before_the_max_pool(num_layers):
    names = [f"stage{index}" for index in range(1, 6)]
    with torch.device("meta"):
        backbone = VggBackbone(VggConfig(num_layers=num_layers, out_features=names))
    maps = backbone(pictures(1, 224).to("meta")).feature_maps
    expected = [(64, 224, 224), (128, 112, 112), (256, 56, 56), (512, 28, 28), (512, 14, 14)]
    assert [tuple(feature_map.shape[1:]) for feature_map in maps] == expected


@pytest.mark.parametrize("num_layers", [16, 19])
@torch.no_grad()
def test_converted_torchvision_weights_give_equal_logits(num_layers, tmp_path):
    with seeded():
        reference = torchvision_layout(num_layers, scale=16, size=64, hidden=24, classes=10)
    file = tmp_path / "vgg.safetensors"
    save_file({name: value.contiguous() for name, value in reference.state_dict().items()}, file)
    model = convert_torchvision(file)
    assert (model.config.num_layers, model.config.image_size, model.config.num_labels) == (num_layers, 64, 10)
    x = pictures(2, 64)
    logits = reference.classifier(reference.features(x).flatten(1))
    torch.testing.assert_close(model(x).logits, logits)
    before_last_pool = reference.features[:-1](x)
    torch.testing.assert_close(model.backbone(x).feature_maps[0], before_last_pool)


@pytest.mark.parametrize("num_layers", [16, 19])
@torch.no_grad()
def test_converted_torchvision_weights_without_a_classifier_make_a_backbone(num_layers):
    with seeded():
        reference = torchvision_layout(num_layers, scale=16, size=32, hidden=8, classes=3)
    weights = {name: value for name, value in reference.state_dict().items() if name.startswith("features.")}
    backbone = convert_state_dict(weights)
    assert type(backbone) is VggBackbone
    x = pictures(2, 64)
    torch.testing.assert_close(backbone(x).feature_maps[0], reference.features[:-1](x))


def test_a_torchvision_checkpoint_file_is_read_without_running_code(tmp_path):
    with seeded():
        reference = torchvision_layout(16, scale=32, size=32, hidden=8, classes=3)
    torch.save(reference.state_dict(), tmp_path / "vgg16.pth")
    model = convert_torchvision(tmp_path / "vgg16.pth")
    assert torch.equal(model.fc8.weight, reference.classifier[6].weight)


def test_other_weights_are_refused():
    with pytest.raises(ValueError, match="not the weights of torchvision's vgg11"):
        convert_state_dict({"features.1.running_mean": torch.zeros(3)})


def test_a_classifier_gives_its_convolutions_to_a_backbone(tmp_path):
    with seeded():
        classifier = VggForImageClassification(VggConfig(**TINY)).eval()
    classifier.save_pretrained(tmp_path)
    backbone = VggBackbone.from_pretrained(tmp_path, out_features=["stage3"])
    x = pictures(1)
    expected = classifier(x, output_hidden_states=True).hidden_states[2]
    assert torch.equal(backbone(x).feature_maps[0], expected)


def test_two_small_kernels_see_what_a_large_one_sees_with_fewer_weights():
    """Section 2.3: 3 x 3 twice has 2 * 9 = 18 weights a channel pair, 5 x 5 has 25; both see 5 x 5 pixels."""
    stage, large = VggStage(1, 1, depth=2), nn.Conv2d(1, 1, kernel_size=5, padding=2)
    for value in (*stage.parameters(), *large.parameters()):
        nn.init.ones_(value)  # every path is open
    assert sum(layer.weight.numel() for layer in stage.convolutions) == 18
    assert large.weight.numel() == 25
    for layers in (stage, large):
        x = torch.ones(1, 1, 9, 9, requires_grad=True)
        layers(x)[0, 0, 4, 4].backward()
        seen = torch.zeros(9, 9, dtype=torch.bool)
        seen[2:7, 2:7] = True
        assert torch.equal(x.grad[0, 0] != 0, seen)


def test_dropout_acts_in_training_only():
    with seeded():
        model = VggForImageClassification(VggConfig(**{**TINY, "dropout": 0.5}))
        x = pictures(1)
        assert torch.equal(model.eval()(x).logits, model(x).logits)
        assert not torch.equal(model.train()(x).logits, model(x).logits)


def test_pictures_of_another_size_are_refused_by_the_classifier():
    with pytest.raises(ValueError, match="pictures are 64 x 64 but the classifier takes 32 x 32"):
        VggForImageClassification(VggConfig(**TINY))(pictures(1, 64))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_layers": 17}, "a VGG has 11, 13, 16 or 19 layers"),
        ({"image_size": 100}, "five max-pools need a multiple of 32"),
        ({"hidden_sizes": [8, 8]}, "hidden_sizes has 2 entries"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        VggConfig(**fields)
