"""Contrastive training: one loss over all processes, cached gradients, and a temperature that is held."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import normalize

from hfmm.errors import UsageError
from hfmm.training.objectives.base import StepContext
from hfmm.training.objectives.contrastive import Contrastive, hold_temperature, pair_loss
from tests.training.launching import launch
from tests.training.pairs import STEP, clip, make_loop, one_step, pairs
from tests.training.toys import part_of

ROOT = Path(__file__).resolve().parents[2]


def assert_same(found, expected):
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_a_step_is_the_gradient_of_upstreams_loss():
    model, batch = clip(), pairs()
    inputs = {name: value for name, value in batch.items() if name != "example_ids"}
    loss = model(**inputs, return_loss=True).loss
    expected = dict(zip(dict(model.named_parameters()), torch.autograd.grad(loss, model.parameters()), strict=True))
    assert_same(one_step(make_loop(clip()), [batch]), expected | {"loss": loss.detach()})


@pytest.mark.parametrize("cache", [0, 3])
def test_two_processes_of_four_pairs_are_one_of_eight(cache, tmp_path):
    """Loss and gradient, that of the temperature included."""
    target = tmp_path / "found.safetensors"
    launch("tests/training/pairs.py", target, cache)
    found = load_file(target)
    assert found["logit_scale"] != 0
    assert_same(found, one_step(make_loop(clip()), [pairs()]))


@pytest.mark.parametrize("cache", [1, 3, 4, 8, 100])
def test_cached_gradients_are_those_of_the_whole_batch(cache):
    assert_same(one_step(make_loop(clip(), cache=cache), [pairs()]), one_step(make_loop(clip()), [pairs()]))


@pytest.mark.parametrize("cache", [{}, {"cache": 2}])
def test_micro_batches_are_averaged(cache):
    """Each has its own negatives; the temperature's gradient is the mean, too."""
    halves = [part_of(pairs(), 2, index) for index in range(2)]
    found = one_step(make_loop(clip(), accumulation=2, **cache), halves)
    first, second = (one_step(make_loop(clip()), [half]) for half in halves)
    assert_same(found, {name: (first[name] + second[name]) / 2 for name in first})


class Noisy(nn.Module):
    """Embeddings under dropout; `seen` are those of each call."""

    def __init__(self):
        super().__init__()
        self.tower, self.dropout = nn.Linear(4, 6), nn.Dropout(0.5)
        self.logit_scale = nn.Parameter(torch.tensor(1.0))
        self.seen = []

    def forward(self, pixel_values, input_ids):
        both = [normalize(self.dropout(self.tower(value)), dim=-1) for value in (pixel_values, input_ids)]
        self.seen.append([value.detach() for value in both])
        return type("Output", (), dict(zip(("image_embeds", "text_embeds"), both, strict=True)))


def test_the_second_pass_draws_what_the_first_drew():
    context = StepContext(0, torch.Generator(), lambda tensor: tensor, lambda module: module)
    model = Noisy()
    batch = {"pixel_values": torch.randn(6, 4), "input_ids": torch.randn(6, 4), "example_ids": list("abcdef")}
    for turn in Contrastive({"model": model}, settings={"cache": 2}).turns(batch, context):
        torch.rand(7)  # whatever else is drawn between turns
        turn.loss.backward()
    assert len(model.seen) == 6
    for first, second in zip(model.seen[:3], model.seen[3:], strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert not torch.equal(model.seen[0][0], model.seen[1][0])


@pytest.mark.parametrize("start", [4.6, 4.7, 9.0])
def test_cosines_are_multiplied_by_a_hundred_at_most(start):
    model = clip(logit_scale_init_value=start)
    loop = make_loop(model)
    loop.players["model"].section = replace(STEP, learning_rate=1e-4)
    for step in range(3):
        loop.step(step, [pairs()])
        assert model.logit_scale.exp().item() <= 100 * (1 + 1e-9)


def test_below_the_highest_scale_the_temperature_learns():
    model = clip()
    before = model.logit_scale.item()
    hold_temperature(model)
    assert model.logit_scale.item() == before
    one_step(make_loop(model), [pairs()])
    assert model.logit_scale.item() != before


def test_a_models_own_loss_is_taken():
    class Own(nn.Linear):
        def pair_loss(self, image_embeds, text_embeds):
            return (image_embeds - text_embeds).square().mean()

    wrapped = nn.Sequential(nn.Identity(), Own(2, 2))  # as adapters wrap a model
    assert pair_loss(wrapped, torch.ones(3, 2), torch.zeros(3, 2)) == 1


def test_what_cannot_be_trained_so_is_told():
    with pytest.raises(UsageError, match="Linear has no loss of pairs"):
        pair_loss(nn.Linear(2, 2), torch.ones(3, 2), torch.ones(3, 2))
