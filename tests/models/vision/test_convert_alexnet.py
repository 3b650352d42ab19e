"""AlexNet's weights in torchvision's layout."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hfmm import factory
from hfmm.models.vision.alexnet.configuration_alexnet import AlexnetConfig
from hfmm.models.vision.alexnet.convert_alexnet import convert_state_dict, convert_torchvision
from tests.models.vision.test_alexnet import pictures
from tests.testing import seeded


def torchvision_layout(sizes, hidden, classes):
    """The net written again as one list of layers, numbered as torchvision numbers them."""
    first, second, third, fourth, fifth = sizes
    layers = [nn.Conv2d(3, first, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    layers += [nn.Conv2d(first, second, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    for before, after in ((second, third), (third, fourth), (fourth, fifth)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
    classifier = [nn.Dropout(), nn.Linear(fifth * 36, hidden), nn.ReLU(), nn.Dropout()]
    classifier += [nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, classes)]
    net = nn.Module()
    net.features, net.classifier = nn.Sequential(*layers, nn.MaxPool2d(3, 2)), nn.Sequential(*classifier)
    net.avgpool = nn.AdaptiveAvgPool2d(6)
    return net.eval()


@torch.no_grad()
def test_converted_torchvision_weights_give_equal_logits(tmp_path):
    with seeded():
        reference = torchvision_layout((8, 12, 16, 12, 10), hidden=24, classes=7)
    save_file(reference.state_dict(), tmp_path / "alexnet.safetensors")
    torch.save(reference.state_dict(), tmp_path / "alexnet.pth")
    x = pictures(2, 224)
    logits = reference.classifier(reference.avgpool(reference.features(x)).flatten(1))
    for file in ("alexnet.safetensors", "alexnet.pth"):
        model = convert_torchvision(tmp_path / file)
        assert (model.config.num_labels, model.config.num_groups) == (7, 1)
        torch.testing.assert_close(model(x).logits, logits)


def test_the_preset_of_torchvision_is_what_its_weights_give():
    with torch.device("meta"):
        reference = torchvision_layout((64, 192, 384, 256, 256), hidden=4096, classes=1000)
        converted = convert_state_dict(reference.state_dict()).config.to_dict()
    preset = factory.create_config("alexnet", "one_weird_trick").to_dict()
    fields = AlexnetConfig.__annotations__
    assert {name: converted[name] for name in fields} == {name: preset[name] for name in fields}


def test_other_weights_are_refused():
    with pytest.raises(ValueError, match="not the weights of torchvision's alexnet"):
        convert_state_dict({"features.0.weight": torch.zeros(8, 3, 11, 11)})
