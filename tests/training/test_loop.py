"""The loop: one step is the same step however it is spread, and what it refuses."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import normalize

from hfmm.errors import DivergedError
from hfmm.training.loop import keyed_seed
from hfmm.training.optim import optimizer_of
from tests.training.launching import launch
from tests.training.toys import SGD, batches, contrastive_loss, make_loop, modules, part_of, weights

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("regression", "adversarial", "contrastive")


def run(kind: str, pieces: int, steps: int = 5) -> tuple[dict[str, torch.Tensor], list[float]]:
    loop = make_loop(kind, accumulation=pieces)
    losses = []
    for step, batch in enumerate(batches(steps, 8)):
        logs = loop.step(step, [part_of(batch, pieces, index) for index in range(pieces)])
        losses.append(sum(value for name, value in logs.items() if name.endswith("loss")))
    return weights(loop), losses


@pytest.mark.parametrize("kind", ["regression", "adversarial"])
def test_accumulation_takes_the_step_of_the_whole_batch(kind):
    whole, losses = run(kind, 1)
    for pieces in (2, 4):
        parts, part_losses = run(kind, pieces)
        torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)
        assert part_losses == pytest.approx(losses, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_take_the_step_of_the_whole_batch(kind, tmp_path):
    target = tmp_path / "weights.safetensors"
    launch("tests/training/two_processes.py", kind, target)
    found = load_file(target)
    whole, losses = run(kind, 1)
    torch.testing.assert_close(found.pop("losses"), torch.tensor(losses), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-6)


def test_generator_sees_the_updated_discriminator():
    loop = make_loop("adversarial")
    (batch,) = batches(1, 8)
    players = modules("adversarial")
    discriminator, generator = players["discriminator"], players["generator"]
    loss = torch.nn.functional.softplus
    fake = generator(batch["z"])
    first = loss(-discriminator(batch["x"])).mean() + loss(discriminator(fake.detach())).mean()
    for parameter, gradient in zip(
        discriminator.parameters(), torch.autograd.grad(first, discriminator.parameters()), strict=True
    ):
        parameter.data -= 0.1 * gradient
    second = loss(-discriminator(fake)).mean()
    for parameter, gradient in zip(
        generator.parameters(), torch.autograd.grad(second, generator.parameters()), strict=True
    ):
        parameter.data -= 0.1 * gradient
    loop.step(0, [batch])
    for name, module in players.items():
        for key, parameter in module.named_parameters():
            torch.testing.assert_close(weights(loop)[f"{name}.{key}"], parameter.detach())


def test_gradient_caching_equals_the_plain_gradient():
    loop = make_loop("contrastive")
    (batch,) = batches(1, 8)
    model = modules("contrastive")["model"]
    plain = contrastive_loss(model(batch["x"]), normalize(batch["y"], dim=-1)) / 8
    gradients = torch.autograd.grad(plain, model.parameters())
    logs = loop.step(0, [batch])
    for (name, parameter), gradient in zip(model.named_parameters(), gradients, strict=True):
        torch.testing.assert_close(weights(loop)[f"model.{name}"], parameter.detach() - 0.1 * gradient)
    assert logs["loss"] == pytest.approx(plain.item(), rel=1e-5)


def test_clipping_bounds_the_step():
    loop = make_loop("regression", section=replace(SGD, clip=0.01))
    before = weights(loop)
    logs = loop.step(0, batches(1, 8))
    moved = torch.cat([(after - before[name]).flatten() for name, after in weights(loop).items()]).norm()
    assert logs["gradient_norm"] > 0.01
    assert moved.item() == pytest.approx(0.1 * 0.01, rel=1e-3)


@pytest.mark.parametrize(("nesterov", "moves"), [(False, [1.0, 1.9]), (True, [1.9, 2.71])])
def test_nesterov_adds_the_momentum_to_come(nesterov, moves):
    """Under a gradient of 1 throughout, momentum is 1, then 1 + 0.9."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = optimizer_of([weight], replace(SGD, momentum=0.9, nesterov=nesterov))
    for move in moves:
        before = weight.item()
        weight.grad = torch.ones(1)
        optimizer.step()
        assert before - weight.item() == pytest.approx(0.1 * move)


def test_average_of_weights_follows_and_swaps_back():
    loop = make_loop("regression", section=replace(SGD, ema=0.9))
    player = loop.players["model"]
    expected = {name: value.clone() for name, value in player.average.state_dict().items()}
    for step, batch in enumerate(batches(3, 8)):
        loop.step(step, [batch])
        decay = min(0.9, (1 + step) / (10 + step))
        for name, parameter in player.module.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * parameter.detach()
    torch.testing.assert_close(player.average.state_dict(), expected)
    trained = weights(loop)
    player.average.swap()
    torch.testing.assert_close({name.removeprefix("model."): value for name, value in weights(loop).items()}, expected)
    player.average.swap()
    torch.testing.assert_close(weights(loop), trained)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_before_the_step_and_names_the_examples(poison):
    loop = make_loop("regression", accumulation=2)
    good, bad = batches(2, 4)
    bad["y"][1, 0] = poison
    before = weights(loop)
    with pytest.raises(DivergedError, match=r"step 6 .*toy-1-0, toy-1-1") as caught:
        loop.step(5, [good, bad])
    assert caught.value.exit_code == 5
    torch.testing.assert_close(weights(loop), before)


def test_a_gradient_that_is_not_finite_stops_before_the_step():
    loop = make_loop("regression")
    before = weights(loop)
    (batch,) = batches(1, 4)
    loop.players["model"].module[0].weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(DivergedError, match="gradient of step 1"):
        loop.step(0, [batch])
    torch.testing.assert_close(weights(loop), before)


def test_random_choices_of_a_step_depend_on_nothing_before_it():
    first = make_loop("regression")
    first.players["model"].module.append(torch.nn.Dropout(0.5))
    second = make_loop("regression")
    second.players["model"].module.append(torch.nn.Dropout(0.5))
    steps = batches(4, 8)
    for step, batch in enumerate(steps):
        first.step(step, [batch])
    for step, batch in enumerate(steps):
        torch.rand(step + 3)  # whatever else drew numbers meanwhile
        second.step(step, [batch])
    assert all(torch.equal(value, weights(second)[name]) for name, value in weights(first).items())


def test_keyed_seeds_differ_by_every_part():
    seeds = {keyed_seed(*parts) for parts in [(0, 1, 2), (0, 12), (1, 0, 2), ("0", 1, 3), (0, 1, 2, 0)]}
    assert len(seeds) == 5
    assert keyed_seed(0, 1, 2) == keyed_seed(0, 1, 2) < 2**63
