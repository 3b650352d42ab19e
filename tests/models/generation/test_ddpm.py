"""DDPM through diffusers' classes: what the paper says, equation by equation, of the schedulers and of what is ours."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

import hfmm
from hfmm.errors import UsageError
from hfmm.models.generation.ddpm.modeling_ddpm import discrete_log_likelihood, posterior
from hfmm.nn.diffusion import clean_of, signal_and_noise, target_of
from tests.models.generation.tiny_ddpm import SMALL, levels_of_gray, random, scheduler, tiny
from tests.models.vision.upstream import parameters
from tests.testing import seeded
from tests.testing_diffusion import Diffuses, generator

PREDICTIONS = ("epsilon", "v_prediction", "sample")


class TestDdpm(Diffuses):
    architecture = "ddpm"

    def overrides(self):
        return {"unet": SMALL}

    def inputs(self):
        return {"pixel_values": random(4, 1, 8, 8)}


class TestDdpmWithClasses(TestDdpm):
    def overrides(self):
        return {"unet": {**SMALL, "num_class_embeds": 4}}

    def inputs(self):
        return {"pixel_values": random(4, 1, 8, 8), "class_labels": torch.tensor([0, 1, 2, 0])}

    def drawing(self):
        return {"num_inference_steps": 3, "class_labels": torch.tensor([0, 2]), "guidance_scale": 2.0}


# The forward process


def test_many_small_steps_are_the_marginal():  # Eqs. 2 and 4
    forward = scheduler(num_train_timesteps=1000)
    clean, count, last = 0.7, 40_000, 400
    values = torch.full((count,), clean)
    draws = generator()
    for beta in forward.betas[: last + 1]:
        values = (1 - beta).sqrt() * values + beta.sqrt() * torch.randn(count, generator=draws)
    like = torch.zeros(1, 1, 1, 1)
    signal, noise = signal_and_noise(forward, torch.tensor([last]), like)
    assert values.mean().item() == pytest.approx(signal.item() * clean, abs=0.02)
    assert values.var().item() == pytest.approx(noise.item() ** 2, rel=0.03)
    expected = signal * clean + noise * 0.3
    torch.testing.assert_close(forward.add_noise(like + clean, like + 0.3, torch.tensor([last])), expected)


def test_nothing_is_left_at_the_last_level():
    kept = scheduler().alphas_cumprod
    assert kept[-1].item() == pytest.approx(4.036e-5, rel=1e-2)
    ratio = kept / (1 - kept)
    assert (ratio.diff() < 0).all()
    assert tiny().prior_nats(random(2, 1, 8, 8)).max() < 64 * 2.1e-5


@pytest.mark.parametrize("level", [1, 10, 500, 999])
def test_posterior_is_that_of_bayes(level):  # Eqs. 6 and 7
    """The product of two Gaussians in x_(t-1): q(x_t given x_(t-1)) and q(x_(t-1) given x_0)."""
    forward = scheduler()
    clean, noisy, levels = random(2, 1, 2, 2).double(), random(2, 1, 2, 2, seed=1).double(), torch.tensor([level] * 2)
    beta, before = forward.betas[level].double(), forward.alphas_cumprod[level - 1].double()
    precision = (1 - beta) / beta + 1 / (1 - before)
    expected = ((1 - beta).sqrt() / beta * noisy + before.sqrt() / (1 - before) * clean) / precision
    mean, variance = posterior(forward, clean, noisy, levels)
    torch.testing.assert_close(mean, expected, rtol=1e-3, atol=1e-4)  # upstream's products are float32
    torch.testing.assert_close(variance, torch.full_like(variance, 1 / precision), rtol=2e-3, atol=0)


def test_both_forms_of_the_posterior_mean_are_equal():  # Eq. 11
    forward, levels = scheduler(), torch.tensor([3, 700])
    clean, noise = random(2, 1, 4, 4), torch.randn(2, 1, 4, 4, generator=generator())
    noisy = forward.add_noise(clean, noise, levels)
    beta, kept = (values[levels][:, None, None, None] for values in (forward.betas, forward.alphas_cumprod))
    expected = (noisy - beta / (1 - kept).sqrt() * noise) / (1 - beta).sqrt()
    torch.testing.assert_close(posterior(forward, clean, noisy, levels)[0], expected, rtol=1e-3, atol=1e-4)


# What is predicted


@pytest.mark.parametrize("kind", PREDICTIONS)
def test_the_picture_comes_back_from_the_true_noise(kind):  # Eq. 15, and what v and the picture itself mean
    forward, levels = scheduler(prediction_type=kind), torch.tensor([0, 200, 800])
    clean, noise = random(3, 1, 4, 4), torch.randn(3, 1, 4, 4, generator=generator())
    target = target_of(forward, clean, noise, levels)
    torch.testing.assert_close(
        clean_of(forward, target, forward.add_noise(clean, noise, levels), levels), clean, rtol=0, atol=1e-4
    )
    if kind == "v_prediction":
        torch.testing.assert_close(target, forward.get_velocity(clean, noise, levels))


@pytest.mark.parametrize("kind", PREDICTIONS)
def test_pictures_are_cut_off_where_the_scheduler_does(kind):
    forward = scheduler(prediction_type=kind, clip_sample=True, clip_sample_range=0.5)
    prediction, noisy = torch.randn(2, 1, 2, 2, generator=generator()) * 9, random(2, 1, 2, 2)
    assert clean_of(forward, prediction, noisy, torch.tensor([50, 900])).abs().max() == 0.5
    stepped = forward.step(prediction[:1], 50, noisy[:1]).pred_original_sample
    torch.testing.assert_close(clean_of(forward, prediction, noisy, torch.tensor([50, 50]))[:1], stepped)


def test_loss_is_the_error_of_the_noise():  # Eq. 14
    model, clean = tiny(), random(3, 1, 8, 8)
    with seeded(1):
        found = model(clean, generator=generator()).loss
    levels = torch.randint(1000, (3,), generator=generator())
    with seeded(1):
        noise = torch.randn(3, 1, 8, 8)
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0)[levels][:, None, None, None]
    noisy = kept.sqrt() * clean + (1 - kept).sqrt() * noise
    torch.testing.assert_close(found, (model.unet(noisy, levels).sample - noise).square().mean())


# The bound


def whole_bound(model, clean):
    """L with every term, its noise from one seed."""
    return -model.log_likelihood(clean, generator(), num_levels=None)


@pytest.mark.parametrize("variance_type", ["fixed_large", "fixed_small"])
@pytest.mark.parametrize("kind", PREDICTIONS)
def test_a_term_of_the_bound_is_the_divergence_of_what_the_scheduler_steps_to(kind, variance_type):  # Eq. 8
    model = tiny(scheduler={"prediction_type": kind, "variance_type": variance_type})
    clean, noise, level = levels_of_gray(1, 1, 8, 8), torch.randn(1, 1, 8, 8, generator=generator()), 300
    noisy = model.scheduler.add_noise(clean, noise, torch.tensor([level]))
    with torch.no_grad():
        prediction = model.unet(noisy, level).sample
        found = model.step_nats(clean, noisy, torch.tensor([level]))
        steps = torch.cat(
            [model.scheduler.step(prediction, level, noisy, generator=generator(seed)).prev_sample for seed in (7, 7)]
        )
    drawn = torch.randn(1, 1, 8, 8, generator=generator(7))
    deviation = model.scheduler._get_variance(level).sqrt()
    own = Normal((steps - deviation * drawn)[:1], deviation)
    mean, variance = posterior(model.scheduler, clean, noisy, torch.tensor([level]))
    expected = kl_divergence(Normal(mean, variance.sqrt()), own).sum()
    torch.testing.assert_close(found[0], expected, rtol=2e-3, atol=1e-4)


def test_both_variances_are_the_schedulers():  # section 3.2
    for kind in ("fixed_large", "fixed_small"):
        model, levels = tiny(scheduler={"variance_type": kind}), torch.tensor([1, 40, 999])
        of_posterior = posterior(model.scheduler, torch.zeros(3, 1, 1, 1), torch.zeros(3, 1, 1, 1), levels)[1]
        expected = torch.stack([model.scheduler._get_variance(int(level)) for level in levels])
        torch.testing.assert_close(model.variance(levels, of_posterior).flatten(), expected, rtol=2e-3, atol=0)
    smallest = model.variance(torch.tensor([0]), torch.zeros(1, 1, 1, 1)).item()
    assert smallest == pytest.approx(model.scheduler._get_variance(1).item(), rel=1e-3)


def test_the_decoder_gives_all_levels_together_one():  # Eq. 13
    every = (torch.arange(256).float() / 127.5 - 1)[:, None, None, None]
    for mean, deviation in ((0.3, 0.02), (-1.0, 0.05), (0.0, 3.0)):
        nats = discrete_log_likelihood(every, torch.full((1,), mean), torch.tensor(deviation))
        assert nats.double().exp().sum().item() == pytest.approx(1, abs=1e-4)
    inner = Normal(0.3, 0.5).cdf(torch.tensor([0.1 + 1 / 255, 0.1 - 1 / 255]))
    found = discrete_log_likelihood(torch.full((1, 1, 1, 1), 0.1), torch.tensor(0.3), torch.tensor(0.5))
    assert found.item() == pytest.approx(math.log(inner[0] - inner[1]), rel=1e-4)


def test_the_bound_with_few_levels_is_the_whole_bound_in_the_mean():  # Eq. 5
    model, clean = tiny(scheduler={"num_train_timesteps": 30}), levels_of_gray(2, 1, 8, 8)
    repeated = clean.repeat(40, 1, 1, 1)
    whole = whole_bound(model, repeated).view(40, 2).mean(0)
    few = -model.log_likelihood(repeated, generator(1), num_levels=3).view(40, 2).mean(0)
    torch.testing.assert_close(few, whole, rtol=0.1, atol=0)


def test_a_model_that_knows_the_picture_pays_for_its_noise_alone():
    """With the clean picture as prediction and the posterior's variance, only L_0 and L_T are left."""
    model, clean = (
        tiny(scheduler={"prediction_type": "sample", "variance_type": "fixed_small"}),
        levels_of_gray(1, 1, 8, 8),
    )
    model.predict = lambda *_: lambda noisy, levels: clean
    deviation = model.scheduler._get_variance(1).sqrt()
    expected = model.prior_nats(clean) - discrete_log_likelihood(clean, clean, deviation)
    torch.testing.assert_close(-model.log_likelihood(clean, generator(), num_levels=10), expected, rtol=1e-3, atol=1e-2)


# Sizes, pictures, mistakes


def test_parameter_counts():  # appendix B
    counts = parameters("ddpm")
    assert counts["paper"] == 35_746_307
    assert counts["lsun"] == 113_673_219


def test_pixels_are_between_minus_one_and_one():
    picture = hfmm.load_data("digits", split="test")[0]["image"]
    pixel_values = hfmm.create_processor("ddpm")([picture], return_tensors="pt")["pixel_values"]
    expected = torch.tensor(np.asarray(picture)[::4, ::4, 0] / 127.5 - 1).float()
    torch.testing.assert_close(pixel_values[0, 0], expected)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"unett": {}}, "unknown part of ddpm 'unett'"),
        ({"unet": {"block_out_chanels": [8, 8]}}, "unknown key of ddpm.unet 'block_out_chanels'"),
        ({"unet": {"block_out_channels": [8, 8, 8]}}, "ddpm.unet: Must provide the same number"),
    ],
)
def test_impossible_parts_are_refused(overrides, message):
    with pytest.raises(UsageError, match=message):
        hfmm.create_model("ddpm", **overrides)
