"""Layer normalization: the table of invariances, and the recurrent layers against their equations written again."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence

from hfmm.models.alignment.layer_norm_ranking.recurrence_layer_norm_ranking import (
    RECURRENCES,
    LayerNormGRU,
    LayerNormLSTM,
    LayerNormRNN,
)
from tests.testing import seeded

WORD, HIDDEN = 4, 5
LENGTHS = torch.tensor([3, 6, 1])


def words():
    return torch.randn(len(LENGTHS), 6, WORD, generator=torch.Generator().manual_seed(1))


def layer(kind, layer_norm):
    """With gains and biases that are not 1 and 0."""
    with seeded():
        made = kind(WORD, HIDDEN, layer_norm)
        for norm in made.modules():
            if isinstance(norm, nn.LayerNorm):
                nn.init.normal_(norm.weight, 1.0, 0.5)
                nn.init.normal_(norm.bias, std=0.5)
    return made


def last_states(recurrence, inputs=None, lengths=LENGTHS):
    inputs = words() if inputs is None else inputs
    return recurrence(pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False))


# Table 1 of the paper -----------------------------------------------------------------------------------------------

NORMS = {  # of the summed inputs that weights (H, D) give to cases (N, D)
    "batch": lambda weight, cases: functional.batch_norm(cases @ weight.T, None, None, training=True, eps=1e-30),
    "weight": lambda weight, cases: cases @ functional.normalize(weight, dim=1).T,
    "layer": lambda weight, cases: functional.layer_norm(cases @ weight.T, [len(weight)], eps=0.0),
}
SHIFT = torch.linspace(-1, 2, 6, dtype=torch.double)
CHANGES = {
    "weight matrix re-scaling": lambda weight, cases: (weight * 3.0, cases),
    "weight matrix re-centering": lambda weight, cases: (weight + SHIFT, cases),  # W + 1 gamma^T
    "weight vector re-scaling": lambda weight, cases: (weight * torch.tensor([[3.0], *[[1.0]] * 4]), cases),
    "dataset re-scaling": lambda weight, cases: (weight, cases * 3.0),
    "dataset re-centering": lambda weight, cases: (weight, cases + SHIFT),
    "single case re-scaling": lambda weight, cases: (weight, cases * torch.tensor([[3.0], *[[1.0]] * 6])),
}
INVARIANT = {
    "batch": {
        "weight matrix re-scaling",
        "weight vector re-scaling",
        "dataset re-scaling",
        "dataset re-centering",
    },
    "weight": {"weight matrix re-scaling", "weight vector re-scaling"},
    "layer": {
        "weight matrix re-scaling",
        "weight matrix re-centering",
        "dataset re-scaling",
        "single case re-scaling",
    },
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("norm", NORMS)
def test_the_table_of_invariances(norm, change):
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        weight = torch.randn(5, 6, dtype=torch.double, generator=generator)
        cases = torch.randn(7, 6, dtype=torch.double, generator=generator)
        before, after = (NORMS[norm](*given) for given in ((weight, cases), CHANGES[change](weight, cases)))
        assert torch.allclose(before, after, rtol=0, atol=1e-9) == (change in INVARIANT[norm])


def test_a_normalized_case_has_the_mean_of_the_bias_and_the_variance_of_the_gain():
    norm = nn.LayerNorm(1000)
    nn.init.constant_(norm.weight, 1.5)
    nn.init.constant_(norm.bias, -0.25)
    cases = norm(torch.randn(4, 1000, generator=torch.Generator().manual_seed(0)) * 7 + 3)
    torch.testing.assert_close(cases.mean(1), torch.full((4,), -0.25))
    torch.testing.assert_close(cases.var(1, correction=0), torch.full((4,), 1.5**2), rtol=1e-4, atol=0)


# Batches ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer_norm", ["separate", "sum", "none"])
@pytest.mark.parametrize("name", RECURRENCES)
@torch.no_grad()
def test_a_caption_does_not_depend_on_the_others_of_its_batch(name, layer_norm):
    recurrence = layer(RECURRENCES[name], layer_norm)
    together = last_states(recurrence)
    assert together.shape == (3, HIDDEN)
    for row, length in enumerate(LENGTHS):
        alone = last_states(recurrence, words()[row : row + 1, :length], LENGTHS[row : row + 1])
        torch.testing.assert_close(alone[0], together[row])


# Equations written again --------------------------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normalized(x, norm):
    """The released code's layer norm: biased variance, 1e-5 inside the root."""
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    return norm.weight.detach().double().numpy() * x + norm.bias.detach().double().numpy()


def arrays(recurrence):
    values = {name: value.detach().double().numpy() for name, value in recurrence.named_parameters()}
    return values["input_gates.weight"].T, values.get("input_gates.bias"), values["recurrent_gates.weight"].T


def test_the_gru_equals_the_released_code_written_again():
    """As in Theano: every caption takes every step, and a masked step copies the state."""
    recurrence = layer(LayerNormGRU, "separate")
    w, b, u = arrays(recurrence)
    (ln1, ln2), (ln3, ln4) = recurrence.input_norms, recurrence.recurrent_norms
    inputs, n = words().double().numpy(), HIDDEN
    mask = np.arange(6)[:, None] < LENGTHS.numpy()
    h = np.zeros((3, n))
    for step in range(6):
        x_ = normalized(inputs[:, step] @ w[:, : 2 * n] + b[: 2 * n], ln1)
        xx_ = normalized(inputs[:, step] @ w[:, 2 * n :] + b[2 * n :], ln2)
        preact = sigmoid(normalized(h @ u[:, : 2 * n], ln3) + x_)
        r, z = preact[:, :n], preact[:, n:]
        candidate = np.tanh(r * normalized(h @ u[:, 2 * n :], ln4) + xx_)
        m = mask[step][:, None]
        h = m * (z * h + (1 - z) * candidate) + (1 - m) * h
    torch.testing.assert_close(last_states(recurrence), torch.tensor(h).float())


def test_the_gru_without_norms_is_torch_s_with_no_hidden_bias():
    recurrence = layer(LayerNormGRU, "none")
    reference = nn.GRU(WORD, HIDDEN, batch_first=True)
    with torch.no_grad():
        for name, given in (("ih", recurrence.input_gates), ("hh", recurrence.recurrent_gates)):
            getattr(reference, f"weight_{name}_l0").copy_(given.weight)  # r, z, n there; r, u, candidate here
        reference.bias_ih_l0.copy_(recurrence.input_gates.bias)
        reference.bias_hh_l0.zero_()
    packed = pack_padded_sequence(words(), LENGTHS, batch_first=True, enforce_sorted=False)
    torch.testing.assert_close(recurrence(packed), reference(packed)[1][0])


def test_unit_gains_and_no_biases_are_not_the_plain_gru():
    with seeded():
        normalized_layer = LayerNormGRU(WORD, HIDDEN, "separate")
    plain = LayerNormGRU(WORD, HIDDEN, "none")
    plain.load_state_dict(normalized_layer.state_dict(), strict=False)
    assert not torch.allclose(last_states(normalized_layer), last_states(plain), atol=1e-2)


@pytest.mark.parametrize("layer_norm", ["separate", "none"])
def test_the_lstm_equals_its_equations(layer_norm):
    recurrence = layer(LayerNormLSTM, layer_norm)
    w, b, u = arrays(recurrence)
    if layer_norm == "none":
        of_input = of_state = of_cell = lambda x: x
    else:
        norms = recurrence.input_norms[0], recurrence.recurrent_norms[0], recurrence.cell_norm
        of_input, of_state, of_cell = (lambda x, norm=norm: normalized(x, norm) for norm in norms)
    inputs = words().double().numpy()
    for row, length in enumerate(LENGTHS):
        h = c = np.zeros((1, HIDDEN))
        for step in range(length):
            gates = of_state(h @ u) + of_input(inputs[row : row + 1, step] @ w + b)
            i, f, o, g = np.split(gates, 4, 1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(of_cell(c))
        torch.testing.assert_close(last_states(recurrence)[row], torch.tensor(h[0]).float())


def test_the_rnn_normalizes_the_sum():
    recurrence = layer(LayerNormRNN, "sum")
    w, bias, u = arrays(recurrence)
    assert bias is None  # b of Eq. 4 is the norm's
    inputs = words().double().numpy()
    for row, length in enumerate(LENGTHS):
        h = np.zeros((1, HIDDEN))
        for step in range(length):
            h = np.tanh(normalized(h @ u + inputs[row : row + 1, step] @ w, recurrence.sum_norms[0]))
        torch.testing.assert_close(last_states(recurrence)[row], torch.tensor(h[0]).float())


@torch.no_grad()
def test_weights_a_thousand_times_larger_leave_the_normalized_state_as_it_is():
    for layer_norm in ("sum", "none"):
        recurrence = layer(LayerNormRNN, layer_norm)
        if layer_norm == "none":
            recurrence.input_gates.bias.zero_()
        before = last_states(recurrence)
        recurrence.input_gates.weight.mul_(1000)
        recurrence.recurrent_gates.weight.mul_(1000)
        after = last_states(recurrence)
        if layer_norm == "sum":
            torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)
        else:
            assert (after.abs() > 0.999).float().mean() > 0.9  # saturated: no gradient comes back
