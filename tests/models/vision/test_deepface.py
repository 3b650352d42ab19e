"""DeepFace: what the paper says, equation by equation; the shared contract comes from ModelTests."""

import pytest
import torch
from torch.nn.functional import conv2d

from hfmm import factory
from hfmm.models.vision.facenet.configuration_facenet import FacenetConfig
from hfmm.models.vision.facenet.modeling_facenet import (
    FacenetForImageClassification,
    FacenetModel,
    LocallyConnected2d,
)
from tests.models.vision.test_facenet import DEEPFACE, WHO, pictures
from tests.testing import ModelTests, seeded
from tests.testing_hub import Bundles


class TestDeepface(ModelTests, Bundles):
    architecture = "facenet"
    model_class = FacenetForImageClassification
    overfit_steps = 150  # weights start small: the first steps move little

    def config(self):
        return FacenetConfig(**DEEPFACE, num_labels=3)

    def inputs(self):
        return {"pixel_values": pictures(), "labels": WHO}


def test_deepface_has_the_counts_of_the_paper():
    with torch.device("meta"):
        model = factory.create_model("facenet", preset="deepface", auto="AutoModelForImageClassification")
        out = model(torch.empty(2, 3, 152, 152))
    (network,) = model.facenet.networks
    *_, local4, local5, local6 = layers = list(network.trunk.layers)
    counts = [sum(value.numel() for value in part.parameters()) for part in (*layers, network.embedding)]
    assert counts[0] + counts[2] == 53_136
    assert counts[3:] == [62_774_800, 7_850_000, 2_829_456, 28_905_472]
    assert sum(value.numel() for value in model.classifier.parameters()) == 16_510_910
    assert sum(value.numel() for value in model.parameters()) == 118_923_774
    assert model.config.map_sizes() == [142, 71, 63, 55, 25, 21]
    assert [layer.out_size for layer in (local4, local5, local6)] == [55, 25, 21]
    assert out.logits.shape == (2, 4030)
    assert out.image_embeds.shape == (2, 4096)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_locally_connected_layer_with_tied_weights_is_a_convolution(stride):
    layer = LocallyConnected2d(3, 5, 11, kernel_size=3, stride=stride)
    with seeded(), torch.no_grad():
        kernel, bias = torch.randn(5, 3, 3, 3), torch.randn(5)
        layer.weight.copy_(kernel.flatten(1).expand_as(layer.weight))
        layer.bias.copy_(bias.expand_as(layer.bias))
    maps = pictures(2, 11)
    torch.testing.assert_close(layer(maps), conv2d(maps, kernel, bias, stride=stride), atol=1e-5, rtol=1e-5)


def test_every_place_has_its_own_weights():
    layer = LocallyConnected2d(3, 5, 7, kernel_size=3)
    with seeded(), torch.no_grad():
        layer.weight.normal_()
        layer.bias.zero_()
        before = layer(pictures(1, 7))
        layer.weight[7] = 0  # row 1, column 2 of 5 x 5
        changed = (layer(pictures(1, 7)) != before).any(1)[0]
    assert changed.nonzero().tolist() == [[1, 2]]


def test_deepface_features_are_divided_by_their_largest_values():  # G(I), section 3.3
    with seeded():
        model = FacenetModel(FacenetConfig(**DEEPFACE)).eval()
    (network,) = model.networks
    raw = network.features(pictures())
    model.measure([pictures()[:2], pictures()[2:]])
    torch.testing.assert_close(network.feature_maxima, torch.where(raw.amax(0) > 0, raw.amax(0), 1))
    scaled = raw / network.feature_maxima
    torch.testing.assert_close(model(pictures()).image_embeds, scaled / scaled.norm(dim=1, keepdim=True))
