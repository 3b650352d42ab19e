"""The adversarial objective: who moves in which turn, by which loss, and a small game played to its end."""

import math

import torch
from torch import nn

from hfmm.models.generation.gan.configuration_gan import GanConfig
from hfmm.models.generation.gan.modeling_gan import GanModel
from hfmm.nn.adversarial import generator_loss
from hfmm.training.objectives.adversarial import Adversarial
from hfmm.training.objectives.base import StepContext
from tests.testing import seeded

TINY = {"num_channels": 1, "image_size": 8, "start_size": 2, "latent_size": 5, "initializer_range": 0.2}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, seed=0):
    return torch.rand(*shape, generator=generator(seed)) * 2 - 1


def tiny():
    with seeded():
        return GanModel(GanConfig(**TINY, generator_size=8, discriminator_size=8)).eval()


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


def test_a_penalty_is_the_discriminators_alone():
    model = tiny()
    pixel_values = random(4, 1, 8, 8)
    with seeded(3):
        plain, expected = turns_of(model, {"pixel_values": pixel_values})
    with seeded(3):
        penalized, drawing = turns_of(model, {"pixel_values": pixel_values.clone()}, gradient_penalty=3.0)
    pictures = pixel_values.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(model.discriminator(pictures).sum(), pictures)
    torch.testing.assert_close(penalized.loss - plain.loss, 1.5 * slopes.square().sum())
    torch.testing.assert_close(drawing.loss, expected.loss)


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
