"""DRAW: what the paper says, equation by equation; the shared contract comes from ModelTests."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits

import hfmm
from hfmm import factory
from hfmm.models.generation.draw.configuration_draw import DrawConfig
from hfmm.models.generation.draw.modeling_draw import DrawModel, filterbank, read, write
from tests.testing import ModelTests, descend, seeded
from tests.testing_pictures import DrawsPictures

TINY = {
    "image_size": 6,
    "num_glimpses": 3,
    "encoder_hidden_size": 12,
    "decoder_hidden_size": 10,
    "latent_size": 4,
    "read_size": 2,
    "write_size": 3,
}
WHOLE = {"read_size": None, "write_size": None}


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed))


def tiny(**fields):
    with seeded():
        return DrawModel(DrawConfig(**TINY | fields)).eval()


class TestDraw(ModelTests, DrawsPictures):
    architecture = "draw"
    model_class = DrawModel
    overfit_ratio = 0.75  # of the bound, which the entropy of the posteriors keeps from falling to zero
    steps_first = ("canvases", "read_windows", "write_windows")

    def config(self):
        return DrawConfig(**TINY)

    def inputs(self):
        return {"pixel_values": random(3, 1, 6, 6).round()}


class TestDrawWithoutAttention(TestDraw):
    def config(self):
        return DrawConfig(**TINY | WHOLE, num_channels=3)

    def inputs(self):
        return {"pixel_values": random(3, 3, 6, 6)}


# Windows and filters


PIXELS = torch.arange(1.0, 29)


def test_filters_sum_to_one():  # Eqs. 25 and 26
    centers = torch.linspace(1, 28, 40)
    for variance in (0.1, 1.0, 30.0):
        filters = filterbank(centers, torch.full_like(centers, variance), PIXELS)
        torch.testing.assert_close(filters.sum(-1), torch.ones(40), atol=1e-5, rtol=0)
        expected = np.exp(-((np.arange(1, 29) - centers[:, None].numpy()) ** 2) / (2 * variance))
        np.testing.assert_allclose(filters, expected / expected.sum(-1, keepdims=True), atol=1e-6)


def test_a_filter_far_outside_still_sums_to_one():
    filters = filterbank(torch.tensor([-500.0, 900.0]), torch.tensor([1.0, 1.0]), PIXELS)
    torch.testing.assert_close(filters[:, [0, -1]], torch.eye(2))


def set_windows(model, reads, writes):
    """Give both windows fixed raw values: g~_X, g~_Y, log sigma^2, log delta~, log gamma."""
    with torch.no_grad():
        model.windows.projection.weight.zero_()
        model.windows.projection.bias.copy_(torch.tensor([*reads, *writes]))
    return model.windows(torch.zeros(1, model.config.decoder_hidden_size))


def planes_last(picture):
    """(B, C, H, W) -> (B, H, C, W), as `read` takes them."""
    return picture.transpose(1, 2)


def test_two_filters_as_far_apart_as_the_picture_is_wide_lie_on_its_first_and_last_pixel():  # Eqs. 19 to 24
    values, reads, _ = set_windows(tiny(image_size=28), [0, 0, -8, 0, 0], [0, 0, -8, 0, 0])
    torch.testing.assert_close(values[0, :, [0, 1, 3]], torch.tensor([[14.5, 14.5, 27.0], [14.5, 14.5, 13.5]]))
    torch.testing.assert_close(reads.columns[0].argmax(-1) + 1, torch.tensor([1, 28]))


def test_the_middle_filter_of_an_odd_number_is_at_the_center():  # 1-based, (A + 1) / 2
    writes = set_windows(tiny(image_size=7), [0] * 5, [0, 0, -6, -1, 0]).writes
    torch.testing.assert_close(writes.rows[0, 1].argmax(), torch.tensor(3))
    torch.testing.assert_close(writes.columns[0, 1] @ torch.arange(1.0, 8), torch.tensor(4.0))


def test_g_moves_the_window_x_along_the_width_and_y_along_the_height():  # Eqs. 22 and 23
    values, reads, _ = set_windows(tiny(image_size=9), [0.6, -0.4, -8, -9, 0], [0] * 5)
    torch.testing.assert_close(values[0, 0, :2], torch.tensor([8.0, 3.0]))
    picture = torch.zeros(1, 1, 9, 9)
    picture[0, 0, 2, 7] = 1  # the third row, the eighth column
    torch.testing.assert_close(read(planes_last(picture), reads), torch.ones(1, 1, 2, 2))


def test_a_single_filter_has_the_distance_of_the_whole_picture():
    assert set_windows(tiny(read_size=1), [0] * 5, [0] * 5).values[0, 0, 3] == 6


def test_a_sharp_window_over_the_whole_picture_reads_and_writes_it_unchanged():
    sharp = [0, 0, -8, 0, 0]
    windows = set_windows(tiny(read_size=6, write_size=6), sharp, sharp)
    torch.testing.assert_close(windows.reads.columns[0], torch.eye(6))
    picture = random(1, 2, 6, 6)
    torch.testing.assert_close(read(planes_last(picture), windows.reads), picture)
    torch.testing.assert_close(write(picture, windows.writes), picture)


def test_writing_is_the_adjoint_of_reading():  # <F_Y x F_X^T, w> = <x, F_Y^T w F_X>
    filters = set_windows(tiny(), [0] * 5, [0.2, -0.3, 0.5, -0.4, 0]).writes
    picture, patch = random(1, 2, 6, 6), random(1, 2, 3, 3, seed=1)
    found, written = read(planes_last(picture), filters), write(patch, filters)
    torch.testing.assert_close((found * patch).sum(), (picture * written).sum())


def test_gamma_scales_what_is_read_and_divides_what_is_written():  # Eqs. 27 and 29
    model, picture, patch = tiny(), random(1, 2, 6, 6), random(1, 2, 3, 3, seed=1)
    plain = set_windows(model, [0, 0, 1, -1, 0], [0, 0, 1, -1, 0])
    loud = set_windows(model, [0, 0, 1, -1, np.log(3)], [0, 0, 1, -1, np.log(3)])
    picture = planes_last(picture)
    torch.testing.assert_close(read(picture, loud.reads), 3 * read(picture, plain.reads))
    torch.testing.assert_close(write(patch, loud.writes), write(patch, plain.writes) / 3)


# The bound


def test_kl_of_each_step_is_that_of_torch_and_zero_at_the_prior():  # Eqs. 10 and 11, with the true constant
    model, pictures = tiny(), random(5, 1, 6, 6).round()
    seen = []
    model.posterior.register_forward_hook(lambda *call: seen.append(call[-1].chunk(2, -1)))
    output = model(pictures, sample_posterior=True, generator=generator())
    prior = Normal(torch.zeros(4), torch.ones(4))
    expected = [kl_divergence(Normal(mean, log_deviation.exp()), prior).sum(-1) for mean, log_deviation in seen]
    torch.testing.assert_close(output.kl_per_step, torch.stack(expected, 1))
    with torch.no_grad():
        model.posterior.weight.zero_()
        model.posterior.bias.zero_()
    assert not model(pictures).kl_per_step.any()


def test_loss_is_the_negative_bound_and_its_parts_add_up():  # Eqs. 9 and 12
    model, pictures = tiny(), random(5, 1, 6, 6).round()
    output = model(pictures, sample_posterior=True, generator=generator(3))
    torch.testing.assert_close(output.loss, sum(output.losses.values()))
    torch.testing.assert_close(output.loss, -model.log_likelihood(pictures, generator(3)).mean())
    cost = binary_cross_entropy_with_logits(output.canvases[-1], pictures, reduction="sum") / 5
    torch.testing.assert_close(output.losses["reconstruction"], cost)
    torch.testing.assert_close(output.losses["kl"], output.kl_per_step.sum(1).mean())


def test_latents_are_drawn_in_training_and_on_request():
    model, pictures = tiny(), random(2, 1, 6, 6).round()
    quiet = model(pictures).canvases
    assert torch.equal(quiet, model(pictures, noise=torch.zeros(3, 2, 4)).canvases)
    assert not torch.equal(quiet, model(pictures, sample_posterior=True).canvases)
    model.train()
    assert not torch.equal(model(pictures).canvases, model(pictures).canvases)


def test_one_step_without_attention_is_a_variational_autoencoder():
    model, pictures = tiny(num_glimpses=1, **WHOLE), random(4, 1, 6, 6).round()
    output = model(pictures, sample_posterior=True, generator=generator())
    x, first = pictures.flatten(1), model.first_canvas.flatten()
    start = [vector.expand(4, -1) for vector in (model.first_encoder, model.first_decoder)]
    seen = [x - first.sigmoid(), start[1]]
    code, _ = model.encoder(seen, (start[0], torch.zeros(4, 12)), model.picture(x))
    mean, log_deviation = model.posterior(code).chunk(2, -1)
    posterior = Normal(mean, log_deviation.exp())
    latents = mean + log_deviation.exp() * torch.randn(1, 4, 4, generator=generator())[0]
    hidden, _ = model.decoder([latents], (start[1], torch.zeros(4, 10)))
    cost = binary_cross_entropy_with_logits(first + model.patch(hidden), x, reduction="sum") / 4
    kl = kl_divergence(posterior, Normal(0.0, 1.0)).sum(-1).mean()
    torch.testing.assert_close(output.loss, cost + kl)


# Canvases and pictures


@pytest.mark.parametrize("fields", [{}, WHOLE], ids=["attention", "whole pictures"])
def test_canvases_add_up(fields):  # c_T = c_0 + sum of write(h_t)
    model = tiny(**fields)
    writes = []
    write = model.write
    model.write = lambda *given: writes.append(write(*given)) or writes[-1]
    for run in (lambda: model(random(2, 1, 6, 6)), lambda: model.generate(2, generator())):
        writes.clear()
        torch.testing.assert_close(run().canvases, model.first_canvas + torch.stack(writes).cumsum(0))


def test_gradient_reaches_every_number_of_both_windows():
    model = tiny()
    model(random(3, 1, 6, 6), sample_posterior=True, generator=generator()).loss.backward()
    assert model.windows.projection.bias.grad.all()
    assert model.windows.projection.weight.grad.any(1).all()


def test_drawing_needs_no_encoder():
    model = tiny()
    output = model.generate(3, generator())
    assert output.loss is output.read_windows is None
    assert output.canvases.shape == (3, 3, 1, 6, 6)
    assert output.write_windows.shape == (3, 3, 5)
    output.canvases[-1].sigmoid().sum().backward()
    reached = {name.split(".")[0] for name, part in model.named_parameters() if part.grad is not None}
    assert reached == {"windows", "patch", "decoder", "first_canvas", "first_decoder"}


def test_generated_images_are_the_last_canvas():  # Eq. 16
    model = tiny()
    images = model.generate_images(5, generator=generator(2))
    torch.testing.assert_close(images, model.generate(5, generator(2)).canvases[-1].sigmoid())
    assert 0 < images.min() < images.max() < 1


def test_without_learned_states_everything_begins_at_zero():
    model = tiny(learn_initial_state=False)
    state, encoder = model.first_states(2)
    assert not any(part.any() for part in (state.canvas, *state.decoder, *encoder))
    assert sum("first" in name for name, _ in tiny().named_parameters()) == 3


def test_learning_begins_with_a_dark_canvas_and_two_wide_windows():
    model = tiny()
    assert (model.first_canvas == -2).all()
    expected = [0, 0, 1, -1, 0, 0, 0, 1, -0.5, 0]
    torch.testing.assert_close(model.windows.projection.bias, torch.tensor(expected))


def test_loss_falls_on_digits():
    digits = hfmm.load_data("digits", split="train")
    with seeded():
        model = hfmm.create_model("draw").train()
    pictures = hfmm.create_processor("draw")([digits[row]["image"] for row in range(64)], return_tensors="pt")
    with seeded(1):
        first, *_, last = descend(model, pictures, lambda output: output.loss, steps=60, learning_rate=5e-3)
    assert last < 0.75 * first


# Sizes and mistakes

STATES = {"paper": 784 + 512, "no_attention": 784 + 512, "svhn": 8748 + 1600, "cifar10": 3072 + 800}


@pytest.mark.parametrize(
    ("preset", "count"),
    [("paper", 959_467), ("no_attention", 2_749_400), ("svhn", 11_285_442), ("cifar10", 2_677_685)],
)
def test_parameter_counts(preset, count):
    """With one vector of biases an LSTM, and the learned first states beside."""
    with torch.device("meta"):
        model = DrawModel(factory.create_config("draw", preset))
        fixed = DrawModel(factory.create_config("draw", preset, learn_initial_state=False))
    assert fixed.num_parameters() == count
    assert model.num_parameters() == count + STATES[preset]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"read_size": None}, "read_size is None but write_size is 5"),
        ({"num_glimpses": 0}, "must be positive"),
        ({"write_size": 0}, "must be positive"),
        ({"latent_size": 0}, "must be positive"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        DrawConfig(**fields)
