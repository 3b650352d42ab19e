"""Variational autoencoder: what the paper says, equation by equation; the shared contract comes from ModelTests."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

import hfmm
from hfmm.models.generation.vae.configuration_vae import VaeConfig
from hfmm.models.generation.vae.modeling_vae import VaeModel
from hfmm.nn.gaussians import kl_to_standard_normal, log_normal, sample_normal
from tests.testing import ModelTests, seeded
from tests.testing_pictures import DrawsPictures

TINY = {"image_size": 4, "hidden_sizes": [16], "latent_size": 4, "initializer_range": None}
COLOR = {"num_channels": 3, "image_size": 8, "layer_type": "convolution", "hidden_sizes": [8, 12]}


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def tiny(**fields):
    with seeded():
        return VaeModel(VaeConfig(**TINY, **fields)).eval()


class TestVae(ModelTests, DrawsPictures):
    architecture = "vae"
    model_class = VaeModel
    overfit_ratio = 0.75  # of the bound, which the entropy of the posterior keeps from falling to zero

    def config(self):
        return VaeConfig(**TINY)

    def inputs(self):
        return {"pixel_values": random(3, 1, 4, 4).round()}


class TestConvolutionalGaussianVae(TestVae):
    def config(self):
        fields = {"activation": "relu", "likelihood": "gaussian", "latent_size": 3, "initializer_range": None}
        return VaeConfig(**COLOR, **fields)

    def inputs(self):
        return {"pixel_values": random(3, 3, 8, 8)}


# The closed forms


def test_kl_is_that_of_torch_and_zero_at_the_prior():  # appendix B
    mean, log_variance = torch.randn(5, 7, generator=generator()), torch.randn(5, 7, generator=generator(1))
    posterior = Normal(mean, (0.5 * log_variance).exp())
    expected = kl_divergence(posterior, Normal(torch.zeros(5, 7), torch.ones(5, 7))).sum(-1)
    torch.testing.assert_close(kl_to_standard_normal(mean, log_variance), expected)
    assert not kl_to_standard_normal(torch.zeros(2, 3), torch.zeros(2, 3)).any()


def test_kl_by_hand():
    # -1/2 (1 + log 4 - 1 - 4) = 1/2 (4 - log 4)
    found = kl_to_standard_normal(torch.tensor([1.0]), torch.tensor([math.log(4.0)]))
    assert found.item() == pytest.approx(0.5 * (4 - math.log(4)))


def test_density_is_that_of_torch():  # appendix C.2
    value, mean, log_variance = (torch.randn(4, 6, generator=generator(seed)) for seed in range(3))
    expected = Normal(mean, (0.5 * log_variance).exp()).log_prob(value).sum(-1)
    torch.testing.assert_close(log_normal(value, mean, log_variance), expected)


def test_gradient_passes_through_the_sample():  # section 2.4: z = mu + sigma epsilon
    def value(mean, log_variance):
        return sample_normal(mean, log_variance, generator()).pow(3).sum()

    mean, log_variance = (torch.randn(4, dtype=torch.double, generator=generator(seed)) for seed in (1, 2))
    assert torch.autograd.gradcheck(value, (mean.requires_grad_(), log_variance.requires_grad_()))


# The bound


def test_bernoulli_decoder_by_numpy():  # appendix C.1: sum of x log y + (1 - x) log(1 - y)
    model, pixels = tiny(), random(3, 1, 4, 4).round()
    with torch.no_grad():
        output = model(pixels)
        found = model.log_likelihood_given(pixels, output.logits)
    x, y = pixels.double().numpy(), output.reconstruction.double().numpy()
    expected = (x * np.log(y) + (1 - x) * np.log(1 - y)).sum((1, 2, 3))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    assert output.losses["reconstruction"].item() == pytest.approx(-expected.mean(), rel=1e-5)


def test_gaussian_decoder_is_that_of_torch():  # appendix C.2, its mean in (0, 1)
    model, pixels = tiny(likelihood="gaussian"), random(3, 1, 4, 4)
    logits = model(pixels).logits
    density = Normal(logits[:, :1].sigmoid(), (0.5 * logits[:, 1:]).exp()).log_prob(pixels).sum((1, 2, 3))
    torch.testing.assert_close(model.log_likelihood_given(pixels, logits), density)


def test_loss_is_the_negative_bound_and_its_parts_add_up():  # Eq. 10
    model, pixels = tiny(), random(6, 1, 4, 4).round()
    output = model(pixels, sample_posterior=True, generator=generator(3))
    torch.testing.assert_close(output.loss, sum(output.losses.values()))
    torch.testing.assert_close(output.loss, -model.bound(pixels, generator(3)).mean())
    weighted = tiny(kl_weight=4)(pixels, sample_posterior=True, generator=generator(3))
    torch.testing.assert_close(weighted.loss, output.losses["reconstruction"] + 4 * output.losses["kl"])


def exact(model, pixels, edge=8.0, points=4001):
    """log p(x) of a model with one latent, by integrating over it."""
    latents = torch.linspace(-edge, edge, points, dtype=torch.double)[:, None]
    logits = model.decoder(latents).flatten(1)  # points pixels
    given = Bernoulli(logits=logits[:, None]).log_prob(pixels.flatten(1)[None]).sum(-1)  # points B
    joint = given + Normal(0.0, 1.0).log_prob(latents)
    return joint.logsumexp(0) + math.log(2 * edge / (points - 1))


@torch.no_grad()
def test_bounds_rise_with_the_number_of_samples_to_the_marginal_likelihood():
    with seeded():
        model = VaeModel(VaeConfig(image_size=4, hidden_sizes=[12], latent_size=1, initializer_range=1.0)).double()
    pixels = random(4, 1, 4, 4).round().double()
    repeated = pixels.repeat(400, 1, 1, 1)

    def mean(values):
        return values.view(400, 4).mean().item()

    bound = mean(model.bound(repeated, generator()))
    rising = [mean(model.importance_bound(repeated, count, generator())) for count in (1, 5, 50)]
    truth = exact(model, pixels).mean().item()
    assert bound < rising[1] < rising[2] < truth + 0.05
    assert rising[0] < rising[1]
    assert abs(rising[2] - truth) < abs(bound - truth)


@torch.no_grad()
def test_without_kl_and_noise_it_is_an_autoencoder():
    model, pixels = tiny(kl_weight=0), random(3, 1, 4, 4).round()
    with torch.no_grad():
        model.encoder[-1].weight[4:], model.encoder[-1].bias[4:] = 0, -200  # sigma is e^-100
    sampled = model(pixels, sample_posterior=True)
    assert torch.equal(sampled.logits, model(pixels, sample_posterior=False).logits)
    torch.testing.assert_close(sampled.loss, sampled.losses["reconstruction"])


@torch.no_grad()
def test_latents_are_drawn_in_training_and_on_request():
    model, pixels = tiny(), random(2, 1, 4, 4).round()
    assert torch.equal(model(pixels).logits, model(pixels, sample_posterior=False).logits)
    assert not torch.equal(model(pixels).logits, model(pixels, sample_posterior=True).logits)
    model.train()
    assert not torch.equal(model(pixels).logits, model(pixels).logits)


def test_one_picture_for_all_of_them_is_their_average():
    """Reconstruction losses average: of birds of two colors a decoder that cannot tell them apart paints the middle."""
    red, blue = torch.tensor([0.9, 0.1, 0.1]), torch.tensor([0.1, 0.1, 0.9])
    birds = torch.stack([red, blue, blue, red])[:, :, None, None].expand(-1, -1, 8, 8)
    with seeded():
        model = VaeModel(VaeConfig(**COLOR, activation="relu", latent_size=2, initializer_range=None))
    optimizer = torch.optim.Adam(model.decoder.parameters(), lr=2e-2)
    for _ in range(400):
        loss = (model.decode(torch.ones(4, 2)) - birds).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    painted = model.decode(torch.ones(1, 2))
    torch.testing.assert_close(painted, birds.mean(0, keepdim=True), rtol=0, atol=0.02)


# Sizes, pictures, mistakes


@pytest.mark.parametrize(("hidden", "count"), [(500, 815_824), (400, 652_824)])
def test_parameter_counts(hidden, count):
    with torch.device("meta"):
        model = VaeModel(VaeConfig(hidden_sizes=[hidden]))
    assert model.num_parameters() == count


def test_generated_images_are_decoded_latents_of_the_prior():
    model = tiny()
    images = model.generate_images(5, generator=generator(2))
    latents = torch.randn(5, 4, generator=generator(2))
    torch.testing.assert_close(images, model.decode(latents))
    assert images.shape == (5, 1, 4, 4)
    assert 0 < images.min() < images.max() < 1


def test_pictures_are_drawn_anew_by_seed_and_alike_without():
    processor = hfmm.create_processor("vae")
    pictures = [hfmm.load_data("digits", split="test")[row]["image"] for row in (0, 0)]
    levels = processor(pictures, do_binarize=False, return_tensors="pt")["pixel_values"]
    assert levels.shape == (2, 1, 8, 8)
    torch.testing.assert_close(levels[0, 0], torch.tensor(np.asarray(pictures[0])[::4, ::4, 0] / 255).float())
    one, other = processor(pictures, return_tensors="pt")["pixel_values"]
    assert torch.equal(one, other)
    draws = processor(pictures[:1] * 500, seeds=range(500), return_tensors="pt")["pixel_values"]
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    assert (draws.mean(0) - levels[0]).abs().max() < 0.1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layer_type": "convolution", "hidden_sizes": [8, 8, 8]}, "image_size is 28, which cannot be halved 3 times"),
        ({"hidden_sizes": []}, "must be positive"),
        ({"latent_size": 0}, "must be positive"),
        ({"likelihood": "laplace"}, "likelihood"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        VaeConfig(**fields)
