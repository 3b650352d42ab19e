"""DRAW: the whole forward pass again in numpy, one picture and one filter at a time."""

import numpy as np
import pytest
import torch

from tests.models.generation.test_draw import WHOLE, normal, random, tiny


def array(tensor):
    return tensor.detach().double().numpy()


def sigmoid(value):
    return 1 / (1 + np.exp(-value))


def affine(layer, value):
    return array(layer.weight) @ value + array(layer.bias)


def lstm(weight, bias, inputs, state):
    enters, stays, leaves, candidate = np.split(weight @ np.concatenate([*inputs, state[0]]) + bias, 4)
    memory = sigmoid(stays) * state[1] + sigmoid(enters) * np.tanh(candidate)
    return sigmoid(leaves) * np.tanh(memory), memory


def window_by_hand(raw, number, size):
    """(g_X, g_Y, delta, sigma^2, gamma), F_Y and F_X, one filter at a time."""
    center_x, center_y = (size + 1) / 2 * (raw[0] + 1), (size + 1) / 2 * (raw[1] + 1)
    variance, delta, gamma = np.exp(raw[2]), (size - 1) / (number - 1) * np.exp(raw[3]), np.exp(raw[4])
    rows, columns = np.zeros((number, size)), np.zeros((number, size))
    for bank, center in ((rows, center_y), (columns, center_x)):
        for i in range(1, number + 1):
            mean = center + (i - number / 2 - 0.5) * delta
            for a in range(1, size + 1):
                bank[i - 1, a - 1] = np.exp(-((a - mean) ** 2) / (2 * variance))
            bank[i - 1] /= bank[i - 1].sum()
    return np.array([center_x, center_y, delta, variance, gamma]), rows, columns


def read_by_hand(model, picture, error, hidden):
    """What the encoder reads beside the decoder's state, and the window; Eqs. 17 and 27."""
    if model.config.read_size is None:
        return [picture.ravel(), error.ravel()], None
    raw = affine(model.windows.projection, hidden)[:5]
    values, rows, columns = window_by_hand(raw, model.config.read_size, model.config.image_size)
    return [(values[4] * rows @ plane @ columns.T).ravel() for plane in (*picture, *error)], values


def write_by_hand(model, hidden, shape):
    """What is added to the canvas, and the window; Eqs. 18, 28 and 29."""
    patch, number = affine(model.patch, hidden), model.config.write_size
    if number is None:
        return patch.reshape(shape), None
    values, rows, columns = window_by_hand(affine(model.windows.projection, hidden)[5:], number, shape[-1])
    planes = patch.reshape(shape[0], number, number)
    return np.stack([rows.T @ plane @ columns / values[4] for plane in planes]), values


def restated(model, picture, noise):
    """One picture (C, H, W) through the equations: its canvases, windows, KL of each step and reconstruction cost."""
    canvas, encoder, decoder = (array(part) for part in (model.first_canvas, model.first_encoder, model.first_decoder))
    encoder, decoder = (encoder, 0 * encoder), (decoder, 0 * decoder)
    weight = array(model.encoder.gates.weight)
    if model.picture is not None:
        weight = np.concatenate([array(model.picture.weight), weight], 1)
    canvases, windows, costs = [], [], []
    for draw in noise:
        seen, reads = read_by_hand(model, picture, picture - sigmoid(canvas), decoder[0])
        encoder = lstm(weight, array(model.encoder.gates.bias), [*seen, decoder[0]], encoder)
        mean, log_deviation = np.split(affine(model.posterior, encoder[0]), 2)
        costs.append(0.5 * (mean**2 + np.exp(2 * log_deviation) - 2 * log_deviation - 1).sum())
        latents = mean + np.exp(log_deviation) * draw
        decoder = lstm(array(model.decoder.gates.weight), array(model.decoder.gates.bias), [latents], decoder)
        added, writes = write_by_hand(model, decoder[0], canvas.shape)
        canvas = canvas + added
        canvases.append(canvas)
        windows.append((reads, writes))
    cost = -(picture * np.log(sigmoid(canvas)) + (1 - picture) * np.log(sigmoid(-canvas))).sum()
    return np.stack(canvases), windows, np.array(costs), cost


@pytest.mark.parametrize("fields", [{}, WHOLE], ids=["attention", "whole pictures"])
def test_the_forward_pass_is_that_of_numpy(fields):
    model, pictures, noise = tiny(num_channels=2, **fields), random(3, 2, 6, 6), normal(3, 3, 4, seed=1)
    with torch.no_grad():
        for part in model.parameters():
            part.add_(0.1 * normal(*part.shape, seed=part.numel()))
        output = model(pictures, noise=noise)
    total = []
    for row, picture in enumerate(array(pictures)):
        canvases, windows, kl, cost = restated(model, picture, array(noise[:, row]))
        np.testing.assert_allclose(output.canvases[:, row], canvases, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(output.kl_per_step[row], kl, rtol=1e-4)
        if model.windows is not None:
            both = output.read_windows, output.write_windows
            for found, expected in zip(both, zip(*windows, strict=True), strict=True):
                np.testing.assert_allclose(found[:, row], np.stack(expected), rtol=1e-4)
        total.append((cost, kl.sum()))
    expected = np.mean(total, 0)
    assert output.losses["reconstruction"].item() == pytest.approx(expected[0], rel=1e-4)
    assert output.losses["kl"].item() == pytest.approx(expected[1], rel=1e-4)
    assert output.loss.item() == pytest.approx(expected.sum(), rel=1e-4)
