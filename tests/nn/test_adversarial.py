"""The losses of the adversarial game: by hand, by numpy, and what the theory says of their optimum."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from hfmm.nn.adversarial import discriminator_loss, generator_loss, gradient_penalty


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


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


def test_penalty_is_the_mean_squared_slope_and_can_be_differentiated_again():  # Mescheder et al. 2018, Eq. 9
    weight = torch.randn(6, dtype=torch.double, generator=generator(), requires_grad=True)
    pictures = torch.randn(4, 2, 3, dtype=torch.double, generator=generator(1), requires_grad=True)
    logits = (pictures.flatten(1) @ weight).square()  # B; its slope is 2 (w x) w
    penalty = gradient_penalty(logits, pictures)
    expected = (4 * (pictures.flatten(1) @ weight).square() * weight.square().sum()).mean()
    assert penalty.item() == pytest.approx(expected.item(), rel=1e-6)
    (found,) = torch.autograd.grad(penalty, weight)
    (wanted,) = torch.autograd.grad(expected, weight)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)


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
