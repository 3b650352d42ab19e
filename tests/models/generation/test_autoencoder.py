"""Autoencoder: what the paper and the deck say; the shared contract comes from ModelTests."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import hfmm
from hfmm.models.generation.autoencoder.configuration_autoencoder import AutoencoderConfig
from hfmm.models.generation.autoencoder.modeling_autoencoder import AutoencoderModel, draw_bits
from tests.testing import ModelTests, descend, seeded
from tests.testing_pictures import DrawsPictures

TINY = {"image_size": 4, "hidden_sizes": [16], "latent_size": 4, "activation": "relu"}
BITS = {"latent_type": "binary", "reads_classes": True, "latent_size": 7, "hidden_sizes": [32]}


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def tiny(**fields):
    with seeded():
        return AutoencoderModel(AutoencoderConfig(**{**TINY, **fields})).eval()


class TestAutoencoder(ModelTests, DrawsPictures):
    architecture = "autoencoder"
    model_class = AutoencoderModel
    overfit_ratio = 0.2
    overfit_steps = 200

    def config(self):
        return AutoencoderConfig(**TINY)

    def inputs(self):
        return {"pixel_values": random(3, 1, 4, 4).round()}


class TestConvolutionalAutoencoder(TestAutoencoder):
    def config(self):
        sizes = {"num_channels": 3, "image_size": 8, "hidden_sizes": [8, 12], "latent_size": 6}
        return AutoencoderConfig(**sizes, layer_type="convolution", activation="relu", error="square")

    def inputs(self):
        return {"pixel_values": random(3, 3, 8, 8)}


class TestSevenBits(TestAutoencoder):
    def config(self):
        return AutoencoderConfig(**{**TINY, **BITS}, num_labels=3)

    def inputs(self):
        return {"pixel_values": random(3, 1, 4, 4).round(), "labels": torch.tensor([2, 0, 1])}


# What goes through the bottleneck


@torch.no_grad()
def test_it_is_the_composition_of_encoder_and_decoder_layer_by_layer():
    """x' = f_d(f_e(x)), logistic units but for the code, which is linear (Hinton and Salakhutdinov 2006)."""
    with seeded():
        model = AutoencoderModel(AutoencoderConfig(image_size=4, hidden_sizes=[12, 6], latent_size=3)).eval()
    pixels = random(5, 1, 4, 4)

    def layer(values, linear):
        return values @ linear.weight.double().numpy().T + linear.bias.double().numpy()

    def logistic(values):
        return 1 / (1 + np.exp(-values))

    first, second, code = model.encoder
    hidden = logistic(layer(logistic(layer(pixels.double().numpy().reshape(5, 16), first)), second))
    latents = layer(hidden, code)
    first, second, last = model.decoder
    expected = logistic(layer(logistic(layer(logistic(layer(latents, first)), second)), last))
    output = model(pixels)
    np.testing.assert_allclose(output.latents.numpy(), latents, atol=1e-5)
    np.testing.assert_allclose(output.reconstruction.flatten(1).numpy(), expected, atol=1e-5)
    torch.testing.assert_close(model.decode(model.encode(pixels)), output.reconstruction)


@torch.no_grad()
def test_cross_entropy_by_numpy():  # note 16 of the paper
    model, pixels = tiny(), random(3, 1, 4, 4)
    output = model(pixels)
    p, q = pixels.double().numpy(), output.reconstruction.double().numpy()
    expected = -(p * np.log(q) + (1 - p) * np.log(1 - q)).sum((1, 2, 3))
    assert output.loss.item() == pytest.approx(expected.mean(), rel=1e-5)


@torch.no_grad()
def test_squared_error_by_numpy():
    model, pixels = tiny(error="square"), random(3, 1, 4, 4)
    output = model(pixels)
    expected = np.square(pixels.numpy() - output.reconstruction.numpy()).sum((1, 2, 3)).mean()
    assert output.loss.item() == pytest.approx(float(expected), rel=1e-5)


def linear_autoencoder(latent_size, pixels, steps):
    """A net without hidden layers, trained on all pictures at once."""
    config = AutoencoderConfig(image_size=4, hidden_sizes=[], latent_size=latent_size, error="square")
    with seeded():
        model = AutoencoderModel(config)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=steps, history_size=20, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        value = model(pixels).loss
        value.backward()
        return value

    optimizer.step(loss)
    return model.eval()


def test_with_a_code_as_long_as_the_input_a_linear_net_loses_nothing():
    pixels = random(64, 1, 4, 4)
    with torch.no_grad():
        assert linear_autoencoder(16, pixels, 400)(pixels).loss < 1e-4


def test_a_linear_net_finds_the_principal_subspace():
    """Trained with squared error it is PCA: the decoder spans the directions of greatest variance."""
    scales = torch.tensor([3.0, 2.0, 1.5, *[0.2] * 13])
    basis = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(0))).Q
    values = torch.randn(200, 16, generator=torch.Generator().manual_seed(1)) * scales @ basis.T
    model = linear_autoencoder(3, values.view(200, 1, 4, 4), 300)
    principal = torch.linalg.svd(values - values.mean(0)).Vh[:3].T  # 16 3
    spanned = torch.linalg.qr(model.decoder[0].weight.detach()).Q  # 16 3
    cosines = torch.linalg.svdvals(principal.T @ spanned)  # of the principal angles
    torch.testing.assert_close(cosines, torch.ones(3), rtol=0, atol=1e-3)


# Seven bits


def test_bits_are_drawn_with_their_probability_and_pass_its_gradient():
    logits = torch.tensor([[-2.0, 0.0, 2.0]]).expand(20_000, -1).clone().requires_grad_()
    with seeded():
        bits = draw_bits(logits, draws=True)
    assert set(bits.detach().round(decimals=5).unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(bits.mean(0), torch.tensor([-2.0, 0.0, 2.0]).sigmoid(), rtol=0, atol=0.02)
    (gradient,) = torch.autograd.grad(bits.sum(), logits)
    chances = logits.detach().sigmoid()
    torch.testing.assert_close(gradient, chances * (1 - chances))
    assert draw_bits(torch.tensor([[-0.1, 0.1]]), draws=False).tolist() == [[0.0, 1.0]]


def test_ten_digits_get_ten_codes_of_seven_bits():
    """The deck's experiment: only the cross-entropy of the ten classes is asked for, and a display code emerges."""
    digits = hfmm.load_data("digits", split="train").select(range(300))
    processor = hfmm.create_processor("autoencoder", "seven_bits")
    pictures = [digits[row] for row in range(300)]
    pixels = processor([picture["image"] for picture in pictures], return_tensors="pt")["pixel_values"]
    labels = torch.tensor([picture["label"] for picture in pictures])
    with seeded():
        model = hfmm.create_model("autoencoder", "seven_bits").train()
        descend(model, {"pixel_values": pixels, "labels": labels}, lambda output: output.loss, 300, 3e-3)
    with torch.no_grad():
        output = model.eval()(pixels)
    assert (output.logits.argmax(1) == labels).float().mean() > 0.95
    codes = [output.latents[labels == digit].mean(0).round() for digit in range(10)]
    assert len({tuple(code.tolist()) for code in codes}) == 10


def test_labels_need_a_model_that_reads_classes():
    with pytest.raises(ValueError, match="reads_classes is false"):
        tiny()(random(2, 1, 4, 4), labels=torch.tensor([0, 1]))


# Random codes


def test_random_codes_have_the_moments_of_the_codes_of_training():
    model = tiny()
    pixels = random(64, 1, 4, 4)
    with torch.no_grad():
        codes = model.encode(pixels)
        model.train()
        for _ in range(2000):
            model(pixels)
        model.eval()
    torch.testing.assert_close(model.code_mean, codes.mean(0), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(model.code_variance, codes.var(0, unbiased=False), rtol=1e-3, atol=1e-3)
    images = model.generate_images(5, generator=torch.Generator().manual_seed(1))
    noise = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(images, model.decode(model.code_mean + model.code_variance.sqrt() * noise))


def test_random_bits_are_as_frequent_as_in_training():
    model = tiny(**BITS, num_labels=3)
    model.code_mean.copy_(torch.linspace(0, 1, 7))
    drawn = []
    model.decode = lambda latents: drawn.append(latents) or torch.zeros(1)
    model.generate_images(5000, generator=torch.Generator().manual_seed(0))
    assert set(drawn[0].unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(drawn[0].mean(0), torch.linspace(0, 1, 7), rtol=0, atol=0.03)


def test_codes_of_pictures_on_a_curve_decode_and_random_ones_do_not():
    """Why a plain autoencoder is no generator: pictures of one bright pixel on a circle have one degree of freedom."""
    pixels = torch.eye(16).view(16, 1, 4, 4)
    with seeded():
        model = AutoencoderModel(AutoencoderConfig(image_size=4, hidden_sizes=[64], latent_size=4, activation="relu"))
        descend(model, {"pixel_values": pixels}, lambda output: output.loss, 400, 5e-3)

    def error(images):
        """Mean distance to the nearest of all pictures there are."""
        return torch.cdist(images.flatten(1), pixels.flatten(1)).amin(1).mean().item()

    with torch.no_grad():
        given_back = error(model.eval()(pixels).reconstruction)
        at_random = error(model.generate_images(200, generator=torch.Generator().manual_seed(0)))
    assert given_back < 0.05
    assert at_random > 5 * given_back


# Sizes and mistakes


def test_parameter_count_of_the_paper():
    """Weights and biases of 784-1000-500-250-30 and of the same backwards."""
    widths = [784, 1000, 500, 250, 30]
    expected = sum(2 * a * b + a + b for a, b in pairwise(widths))
    with torch.device("meta"):
        model = AutoencoderModel(AutoencoderConfig())
    assert model.num_parameters() == expected == 2_837_314
    assert [type(layer) for layer in model.encoder] == [nn.Linear] * 4


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"layer_type": "convolution", "hidden_sizes": [8, 8, 8]},
            "image_size is 28, which convolutions cannot halve 3",
        ),
        ({"layer_type": "convolution", "hidden_sizes": []}, "cannot halve 0 times"),
        ({"latent_size": 0}, "must be positive"),
        ({"error": "absolute"}, "error"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        AutoencoderConfig(**fields)
