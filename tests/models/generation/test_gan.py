"""GAN: its layers, sizes and gradients; the shared contract comes from ModelTests.

The losses are tested in `tests/nn/test_adversarial.py`, the turns in `tests/training/test_adversarial.py`.
"""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import batch_norm, conv2d, conv_transpose2d, leaky_relu

import hfmm
from hfmm import factory
from hfmm.models.generation.gan.configuration_gan import GanConfig
from hfmm.models.generation.gan.modeling_gan import GanDiscriminator, GanGenerator, GanModel, Maxout
from tests.testing import ModelTests, descend, seeded
from tests.testing_pictures import DrawsPictures

TINY = {
    "num_channels": 1, "image_size": 8, "start_size": 2, "latent_size": 5, "generator_size": 8, "discriminator_size": 8,
    "initializer_range": 0.2,
}  # fmt: skip
LINEAR = {
    "num_channels": 1, "image_size": 4, "layer_type": "linear", "latent_size": 5, "latent_distribution": "uniform",
    "generator_size": 12, "discriminator_size": 8, "maxout_pieces": 3,
}  # fmt: skip


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, seed=0):
    return torch.rand(*shape, generator=generator(seed)) * 2 - 1


def tiny(**fields):
    with seeded():
        return GanModel(GanConfig(**TINY | fields)).eval()


def judge(output):
    return output.losses["discriminator"]


class TestGan(ModelTests, DrawsPictures):
    architecture = "gan"
    model_class = GanModel

    def config(self):
        return GanConfig(**TINY)

    def inputs(self):
        return {"pixel_values": random(4, 1, 8, 8), "latents": torch.randn(4, 5, generator=generator())}

    # No minimum of both losses together is sought: each player is seen to learn its own.

    def test_one_batch_is_overfitted(self):
        model, inputs = self.model().train(), self.inputs()
        with seeded(1):
            first, *_, last = descend(model, inputs, judge, self.overfit_steps, self.overfit_learning_rate)
        assert last < self.overfit_ratio * first
        model.discriminator.requires_grad_(False)
        with seeded(1):
            first, *_, last = descend(model, inputs, lambda output: output.losses["generator"], 200, 1e-2)
        assert last < self.overfit_ratio * first

    def test_every_adapter_learns(self):
        model = self.adapted()
        self.loss(model(**self.inputs())).backward()
        adapters = {name: value for name, value in model.named_parameters() if value.requires_grad}
        assert [name for name, value in adapters.items() if "lora_B" in name and not value.grad.any()] == []
        first, *_, last = descend(model, self.inputs(), judge, steps=10, learning_rate=1e-2)
        assert last < first


class TestLinearGan(TestGan):
    def config(self):
        return GanConfig(**LINEAR)

    def inputs(self):
        return {"pixel_values": random(4, 1, 4, 4), "latents": random(4, 5, seed=1)}


# Who moves whom


def test_each_players_gradient_is_that_of_its_own_loss():
    model, inputs = tiny(), TestGan().inputs()
    output = model(**inputs)
    output.loss.backward()
    together = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    for name, expected in (("discriminator", output), ("generator", output)):
        model.zero_grad()
        model(**inputs).losses[name].backward()
        other = "generator" if name == "discriminator" else "discriminator"
        assert all(weight.grad is None for weight in getattr(model, other).parameters())
        for key, weight in getattr(model, name).named_parameters():
            torch.testing.assert_close(weight.grad, together[f"{name}.{key}"])
        assert expected.losses[name].isfinite()


# Layers, sizes, pictures, mistakes


def test_dcgan_is_its_layers():
    model = tiny()
    weights = model.state_dict()
    latents, pixel_values = torch.randn(3, 5, generator=generator()), random(3, 1, 8, 8)

    def normalized(values, name):
        mean, variance = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
        return batch_norm(values, mean, variance, weights[f"{name}.weight"], weights[f"{name}.bias"])

    maps = conv_transpose2d(latents[:, :, None, None], weights["generator.1.weight"])  # 2 x 2
    maps = conv_transpose2d(normalized(maps, "generator.2").relu(), weights["generator.4.weight"], stride=2, padding=1)
    drawn = conv_transpose2d(normalized(maps, "generator.5").relu(), weights["generator.7.weight"], stride=2, padding=1)
    torch.testing.assert_close(model.generator(latents), drawn.tanh())
    maps = leaky_relu(conv2d(pixel_values, weights["discriminator.0.weight"], stride=2, padding=1), 0.2)
    maps = conv2d(maps, weights["discriminator.2.weight"], stride=2, padding=1)
    maps = leaky_relu(normalized(maps, "discriminator.3"), 0.2)
    torch.testing.assert_close(
        model.discriminator(pixel_values), conv2d(maps, weights["discriminator.5.weight"])[:, 0, 0, 0]
    )


def test_maxout_takes_the_greatest_piece():
    with seeded():
        layer = Maxout(4, 3, 5)
    values = random(2, 4)
    pieces = torch.stack([values @ layer.linear.weight[k::5].T + layer.linear.bias[k::5] for k in range(5)])
    torch.testing.assert_close(layer(values), pieces.amax(0))


@pytest.mark.parametrize(
    ("preset", "drawing", "judging"),
    [
        ("paper", 3_576_704, 2_765_568),
        ("linear", 100 * 1200 + 1200 + 1200 * 1200 + 1200 + 1200 * 784 + 784,
         784 * 1200 + 1200 + 240 * 1200 + 1200 + 240 + 1),
    ],
)  # fmt: skip
def test_parameter_counts(preset, drawing, judging):
    config = factory.create_config("gan", preset)
    with torch.device("meta"):
        counts = [sum(map(torch.numel, player(config).parameters())) for player in (GanGenerator, GanDiscriminator)]
    assert counts == [drawing, judging]


def test_maps_of_the_papers_generator():  # figure 1: 1,024 maps of 4 x 4, then 512, 256, 128
    with torch.device("meta"):
        layers = GanGenerator(factory.create_config("gan", "dcgan"))
        values = torch.empty(2, 100)
        shapes = []
        for layer in layers:
            values = layer(values)
            if isinstance(layer, nn.ConvTranspose2d):
                shapes.append(tuple(values.shape[1:]))
    assert shapes == [(1024, 4, 4), (512, 8, 8), (256, 16, 16), (128, 32, 32), (3, 64, 64)]


def test_first_weights():
    with seeded():
        model = GanModel(GanConfig())
        linear = GanModel(factory.create_config("gan", "linear"))
    weights = model.generator[4].weight
    assert (weights.mean().item(), weights.std().item()) == pytest.approx((0, 0.02), abs=2e-4)
    assert model.discriminator[3].weight.mean().item() == pytest.approx(1, abs=0.01)
    assert model.discriminator[3].weight.std().item() == pytest.approx(0.02, rel=0.3)
    layers = linear.generator[2], linear.discriminator[2].linear, linear.discriminator[6]
    edges = [layer.weight.abs().max().item() for layer in layers]
    assert not any(layer.bias.any() for layer in layers)
    assert edges == pytest.approx([0.05, 0.005, 0.005], rel=0.02)


def test_latents_are_normal_or_uniform_of_the_same_variance():
    for kind, edge in (("normal", None), ("uniform", math.sqrt(3))):
        latents = tiny(latent_distribution=kind, latent_size=50).generator.draw_latents(2000, generator())
        assert (latents.mean().item(), latents.var().item()) == pytest.approx((0, 1), abs=0.02)
        assert edge is None or latents.abs().max().item() == pytest.approx(edge, rel=1e-3)


def test_images_are_decoded_latents():
    model = tiny()
    images = model.generate_images(5, generator=generator(2))
    latents = torch.randn(5, 5, generator=generator(2))
    torch.testing.assert_close(images, (model.generator(latents) + 1) / 2)
    assert images.shape == (5, 1, 8, 8)


def test_pictures_come_in_the_range_of_the_tanh():
    gray, color = (hfmm.create_processor("gan", preset=preset) for preset in ("tiny", "paper"))
    picture = hfmm.load_data("digits", split="test")[0]["image"]
    for processor, shape in ((gray, (1, 1, 8, 8)), (color, (1, 3, 64, 64))):
        values = processor([picture], return_tensors="pt")["pixel_values"]
        assert values.shape == shape
        assert (values.min().item(), values.max().item()) == pytest.approx((-1, 1), abs=0.1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image_size": 28}, "image_size is 28, which is not start_size 4 doubled once or more"),
        ({"image_size": 4}, "doubled once or more"),
        ({"latent_size": 0}, "must be positive"),
        ({"latent_distribution": "cauchy"}, "latent_distribution"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        GanConfig(**fields)
