"""Glow: what the paper and the released code say, layer by layer; the shared contract comes from ModelTests."""

import math

import pytest
import torch
from torch import nn

import hfmm
from hfmm.models.generation.glow.configuration_glow import GlowConfig
from hfmm.models.generation.glow.modeling_glow import (
    GlowModel,
    TopPrior,
)
from tests.models.generation.tiny_glow import TINY, build, generator, noise, part, random, shaken
from tests.testing import ModelTests, seeded
from tests.testing_pictures import DrawsPictures


class TestGlow(ModelTests, DrawsPictures):
    architecture = "glow"
    model_class = GlowModel
    overfit_ratio = 0.7  # of -log p, which may fall below zero but for the noise within a level's bin

    def config(self):
        return GlowConfig(**TINY)

    def model(self):
        return shaken(super().model())  # zeros would let no gradient into a coupling's net

    def inputs(self):
        return {"pixel_values": (random(3, 1, 4, 4) * 255).round() / 255}


class TestLuEdgeClassGlow(TestGlow):
    def config(self):
        return GlowConfig(
            **TINY | {"num_channels": 3, "image_size": 8},
            lu_decomposed=True,
            edge_padding_channel=True,
            label_condition=True,
            num_labels=3,
        )

    def inputs(self):
        return {"pixel_values": (random(3, 3, 8, 8) * 255).round() / 255, "labels": torch.tensor([0, 1, 2])}


# Each layer: undone, and its log-determinant


@torch.no_grad()
def test_identity_layers_leave_the_likelihood_of_noise():  # additive couplings of zero, reversed channels
    with seeded():
        model = GlowModel(GlowConfig(**TINY, coupling="additive", permutation="reverse", num_bits=5)).eval()
    pictures = random(3, 1, 4, 4)
    values = (pictures * 255).round().div(8).floor().add(0.5) / 32 - 0.5
    expected = -0.5 * (values.square() + math.log(2 * math.pi)).sum((1, 2, 3)) - 16 * 5 * math.log(2)
    output = model(pictures)
    torch.testing.assert_close(output.log_likelihood, expected)
    assert output.losses["bits_per_dim"].item() == pytest.approx(-expected.mean().item() / 16 / math.log(2))


@torch.no_grad()
@pytest.mark.parametrize("bits", [1, 5, 8])
def test_levels_come_back_from_their_bins(bits):
    model, pictures = build(num_bits=bits), torch.arange(256).view(16, 1, 4, 4) / 255
    levels = torch.arange(256).view(16, 1, 4, 4) // 2 ** (8 - bits)
    for noisy in (False, True):
        values = model.to_values(pictures, noisy, generator())
        assert ((values + 0.5) * 2**bits).floor().long().equal(levels)
        assert -0.5 <= values.min() < values.max() < 0.5
        torch.testing.assert_close(model.to_pixel_values(values), levels / (2**bits - 1))
    torch.testing.assert_close(model.decode(model.encode(pictures)), levels / (2**bits - 1))


@torch.no_grad()
def test_noise_is_drawn_in_training_and_for_scores():
    model, pictures = build(), random(2, 1, 4, 4)
    middle = model(pictures).log_likelihood
    assert torch.equal(model(pictures).log_likelihood, middle)
    drawn = model.log_likelihood(pictures, generator())
    assert torch.equal(model.log_likelihood(pictures, generator()), drawn)
    assert not torch.equal(drawn, middle)


# Pictures


@torch.no_grad()
def test_temperature_scales_the_code():
    model = build()
    cold, again = (model.generate_images(3, generator(seed), temperature=0) for seed in (0, 1))
    assert torch.equal(cold, again)
    codes = [torch.randn(3, *shape, generator=each) for each in [generator(2)] for shape in model.shapes()]
    expected = model.decode([0.5 * code for code in codes])
    assert torch.equal(model.generate_images(3, generator(2), temperature=0.5), expected)


@torch.no_grad()
def test_an_attribute_moves_the_code():  # z + alpha (z_pos - z_neg)
    model, bright, dark = build(), random(5, 1, 4, 4) / 2 + 0.5, random(4, 1, 4, 4) / 2
    direction = model.direction(bright, dark)
    for along, one, other in zip(direction, model.encode(bright), model.encode(dark), strict=True):
        torch.testing.assert_close(along[0], one.mean(0) - other.mean(0))
    levels = model.to_pixel_values(model.to_values(dark))
    torch.testing.assert_close(model.manipulate(dark, direction, 0), levels)
    assert model.manipulate(dark, direction, 1).mean() > dark.mean()


@torch.no_grad()
def test_a_class_moves_the_last_prior_and_is_predicted():  # released code: ycond, its weight 0.01
    model, pictures = build(label_condition=True, num_labels=3), random(4, 1, 4, 4)
    labels = torch.tensor([0, 1, 2, 0])
    output = model(pictures, labels=labels)
    assert not torch.equal(output.log_likelihood, model(pictures, labels=1 - labels % 2).log_likelihood)
    expected = nn.functional.cross_entropy(output.logits, labels)
    torch.testing.assert_close(output.losses["classifier"], expected)
    torch.testing.assert_close(output.loss, -output.log_likelihood.mean() + 0.01 * expected)
    drawn = [model.generate_images(1, generator(), labels=torch.tensor([label])) for label in (0, 1)]
    assert not torch.equal(*drawn)


# Sizes


@pytest.mark.parametrize(
    ("fields", "without_edge", "with_edge"),
    [
        ({}, 44_135_856, 44_603_604),
        ({"depth": 48}, 66_160_560, 66_861_588),
        ({"depth": 48, "num_levels": 4, "image_size": 64}, 111_412_560, 112_377_540),
        ({"coupling": "additive"}, None, 38_395_668),
        ({"coupling": "additive", "num_levels": 6, "image_size": 256}, None, 175_099_620),
    ],
)
def test_parameter_counts(fields, without_edge, with_edge):
    """Those of the released code, whose last prior holds a kernel over zeros as well."""
    for edge, count in ((False, without_edge), (True, with_edge)):
        if count is not None:
            with torch.device("meta"):
                model = GlowModel(GlowConfig(**fields, edge_padding_channel=edge))
            assert model.num_parameters() + 9 * len(model.top.bias) ** 2 == count


def test_the_paper_preset_is_that_of_cifar10():
    with torch.device("meta"):
        model = hfmm.create_model("glow", preset="paper")
    assert model.num_parameters() == 44_135_856 - 9 * 96**2


@torch.no_grad()
def test_the_last_prior_is_the_released_convolution_of_zeros():
    for edge in (False, True):
        config = GlowConfig(**TINY, edge_padding_channel=edge)
        prior = part(TopPrior, 3, config)
        ones = torch.nn.functional.pad(torch.zeros(1, 1, 2, 2).double(), (1, 1, 1, 1), value=1.0)
        said = prior.bias[:, None, None] + (nn.functional.conv2d(ones, prior.edge) if edge else 0)
        said = said * (3 * prior.log_scale).exp()[:, None, None]
        values = noise(1, 3, 2, 2)
        mean, log_scale = said.expand(1, 6, 2, 2).chunk(2, dim=1)
        torch.testing.assert_close(prior(values, None)[0], (values - mean) / log_scale.exp())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image_size": 28}, "image_size is 28, which cannot be halved 3 times"),
        ({"num_bits": 9}, "pictures have 1 to 8"),
        ({"depth": 0}, "must be positive"),
        ({"permutation": "none"}, "permutation"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        GlowConfig(**fields)
