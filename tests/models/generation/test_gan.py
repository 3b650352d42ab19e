"""GAN: what the papers say, equation by equation; the shared contract comes from ModelTests."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm
from torch import nn
from torch.nn.functional import batch_norm, conv2d, conv_transpose2d, leaky_relu

import hfmm
from hfmm import factory
from hfmm.models.generation.gan.configuration_gan import GanConfig
from hfmm.models.generation.gan.modeling_gan import GanDiscriminator, GanGenerator, GanModel, Maxout
from hfmm.nn.adversarial import discriminator_loss, generator_loss
from hfmm.training.objectives.adversarial import Adversarial
from hfmm.training.objectives.base import StepContext
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


# The losses


def test_losses_where_the_discriminator_says_one_half():
    half = torch.zeros(7)
    assert discriminator_loss(half, half).item() == pytest.approx(2 * math.log(2))
    assert generator_loss(half).item() == pytest.approx(math.log(2))
    assert generator_loss(half, saturating=True).item() == pytest.approx(-math.log(2))


def test_losses_by_numpy():  # Eq. 1, and its two forms for G
    real, fake = (3 * torch.randn(9, dtype=torch.double, generator=generator(seed)) for seed in (0, 1))
    d_real, d_fake = (1 / (1 + np.exp(-logits.numpy())) for logits in (real, fake))
    value = np.log(d_real).mean() + np.log(1 - d_fake).mean()
    assert discriminator_loss(real, fake).item() == pytest.approx(-value)
    assert generator_loss(fake).item() == pytest.approx(-np.log(d_fake).mean())
    assert generator_loss(fake, saturating=True).item() == pytest.approx(np.log(1 - d_fake).mean())


def test_gradients_of_both_forms_have_one_sign_and_different_scales():
    logits = torch.linspace(-6, 6, 13, dtype=torch.double, requires_grad=True)
    (plain,) = torch.autograd.grad(13 * generator_loss(logits), logits)
    (saturating,) = torch.autograd.grad(13 * generator_loss(logits, saturating=True), logits)
    torch.testing.assert_close(plain, -(1 - logits.sigmoid()))
    torch.testing.assert_close(saturating, -logits.sigmoid())


def test_smoothed_labels_move_the_optimum_of_the_real_side_alone():
    real = torch.zeros(1, dtype=torch.double, requires_grad=True)
    fake = torch.full((1,), -30.0, dtype=torch.double)
    optimizer = torch.optim.SGD([real], lr=4)
    for _ in range(200):
        optimizer.zero_grad()
        discriminator_loss(real, fake, real_label=0.9).backward()
        optimizer.step()
    assert real.sigmoid().item() == pytest.approx(0.9)
    assert discriminator_loss(torch.full((1,), 30.0), fake).item() == pytest.approx(0, abs=1e-9)


def value_of(discriminator, data, model):
    """V(D, G) of densities on a line, integrated."""
    return quad(lambda x: data(x) * math.log(discriminator(x)) + model(x) * math.log(1 - discriminator(x)), -12, 12)[0]


def test_optimal_discriminator_and_its_value():  # proposition 1, and -log 4 + 2 JSD of theorem 1
    data, model = norm(0.5, 1).pdf, norm(-0.7, 1.5).pdf

    def best(x):
        return data(x) / (data(x) + model(x))

    def middle(x):
        return (data(x) + model(x)) / 2

    divergence = [quad(lambda x, p=p: p(x) * math.log(p(x) / middle(x)), -12, 12)[0] / 2 for p in (data, model)]
    value = value_of(best, data, model)
    assert value == pytest.approx(-math.log(4) + 2 * sum(divergence), abs=1e-6)
    for change in (-0.1, 0.1):  # any other discriminator is worse
        assert value_of(lambda x, c=change: best(x) + c * best(x) * (1 - best(x)), data, model) < value
    assert value_of(lambda x: 0.5, data, data) == pytest.approx(-math.log(4))  # the equilibrium


def test_loss_of_samples_is_the_integral():
    noise = [np.random.default_rng(seed).normal(size=200_000) for seed in (0, 1)]
    draws = noise[0] + 0.5, 1.5 * noise[1] - 0.7
    log_ratio = [norm(0.5, 1).logpdf(x) - norm(-0.7, 1.5).logpdf(x) for x in draws]  # the logit of D*
    data, model = norm(0.5, 1).pdf, norm(-0.7, 1.5).pdf
    expected = -value_of(lambda x: data(x) / (data(x) + model(x)), data, model)
    assert discriminator_loss(*map(torch.from_numpy, log_ratio)).item() == pytest.approx(expected, abs=0.01)


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


def turns_of(model, batch, **settings):
    players = {"generator": model.generator, "discriminator": model.discriminator}
    objective = Adversarial(players, {}, settings)
    objective.prepare(None, None)
    return objective.turns(batch, StepContext(0, generator(), lambda tensor: tensor, lambda module: module))


def test_a_step_of_the_discriminator_leaves_the_generator_and_the_other_way_round():  # algorithm 1
    model = tiny().train()
    batch = {"pixel_values": random(6, 1, 8, 8)}
    players = dict(model.named_children())
    optimizers = {name: torch.optim.SGD(player.parameters(), lr=0.1) for name, player in players.items()}
    order = []
    for turn in turns_of(model, batch, discriminator_steps=3):
        before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
        turn.loss.backward()
        if turn.player == "discriminator":
            assert all(weight.grad is None for weight in model.generator.parameters())
        optimizers[turn.player].step()
        model.zero_grad()
        moved = [name for name, weight in model.named_parameters() if not torch.equal(before[name], weight)]
        assert {name.partition(".")[0] for name in moved} == {turn.player}
        order.append((turn.player, int(turn.count)))
    assert order == [("discriminator", 2)] * 3 + [("generator", 2)]


def test_turns_are_the_losses_of_the_model():
    model = tiny()
    pixel_values = random(4, 1, 8, 8)
    with seeded(3):
        latents = model.generator.draw_latents(4)
    expected = model(pixel_values, latents=latents)
    with seeded(3):
        judging, drawing = turns_of(model, {"pixel_values": pixel_values})
    torch.testing.assert_close(judging.loss, 4 * expected.losses["discriminator"])
    torch.testing.assert_close(drawing.loss, 4 * expected.losses["generator"])
    torch.testing.assert_close(judging.log["real"], expected.logits.sigmoid().sum())
    torch.testing.assert_close(judging.log["fake"], expected.sample_logits.sigmoid().sum())
    with seeded(3):
        *_, minimax = turns_of(model, {"pixel_values": pixel_values}, loss="minimax")
    torch.testing.assert_close(minimax.loss, 4 * generator_loss(expected.sample_logits, saturating=True))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "wasserstein"}, "unknown objective.loss 'wasserstein'"),
        ({"discriminator_step": 2}, "did you mean 'discriminator_steps'"),
        ({"discriminator_steps": 0}, "at least 1 is needed"),
    ],
)
def test_settings_that_are_none_are_refused(settings, message):
    with pytest.raises(hfmm.errors.UsageError, match=message):
        next(turns_of(tiny(), {}, **settings))


def test_a_ring_is_learned_until_the_discriminator_is_in_doubt():
    """Eight points on a circle: samples come to lie on it, and D says about one half to both."""
    torch.manual_seed(0)

    class Line(nn.Sequential):
        def draw_latents(self, count):
            return torch.randn(count, 8)

    drawer = Line(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    critic = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1), nn.Flatten(0))
    objective = Adversarial({"generator": drawer, "discriminator": critic})
    optimizers = {
        name: torch.optim.Adam(player.parameters(), lr=1e-3, betas=(0.5, 0.999))
        for name, player in objective.players.items()
    }
    context = StepContext(0, generator(), lambda tensor: tensor, lambda module: module)
    doubts = []
    for _ in range(1200):
        angles = torch.randint(8, (128,)) * (math.pi / 4)
        points = torch.stack([angles.cos(), angles.sin()], 1) + 0.05 * torch.randn(128, 2)
        for turn in objective.turns({"pixel_values": points}, context):
            turn.loss.backward()
            optimizers[turn.player].step()
            for optimizer in optimizers.values():
                optimizer.zero_grad()
            if turn.player == "discriminator":
                doubts.append((turn.log["real"] / turn.count, turn.log["fake"] / turn.count))
    real, fake = torch.tensor(doubts[-200:]).mean(0).tolist()
    samples = drawer(drawer.draw_latents(1000))
    assert 0.4 < fake <= real < 0.6
    assert (samples.norm(dim=1) - 1).abs().mean() < 0.15


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
