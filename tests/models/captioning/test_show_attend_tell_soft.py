"""Show, Attend and Tell: soft attention equation by equation, and its hand-written gradient."""

import logging

import pytest
import torch

from hfmm.models.captioning.show_attend_tell import modeling_show_attend_tell as modeling
from hfmm.models.captioning.show_attend_tell.modeling_show_attend_tell import doubly_stochastic_penalty, read_expected
from hfmm.models.captioning.show_attend_tell.recurrence_show_attend_tell import RecurrenceInputs, recur
from hfmm.models.captioning.show_attend_tell.soft_recurrence_show_attend_tell import recur_soft
from hfmm.nn.captioning import IGNORED
from tests.models.captioning.tiny_show_attend_tell import LENGTHS, LOCATIONS, captioner, captions, read
from tests.testing import seeded


def gradients(model, output):
    model.zero_grad()
    output.loss.backward()
    return {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


def recurrence_inputs(sizes, selector=True, dtype=torch.double):
    generator = torch.Generator().manual_seed(0)
    words, captions_, places, depth, meeting, width = sum(sizes), sizes[0], 3, 2, 4, 2
    shapes = [
        (words, 4 * width), (captions_, places, depth), (captions_, places, meeting), (captions_, width),
        (captions_, width), (4 * width + meeting + selector, width), (4 * width, depth), (meeting,), (1,),
        (int(selector),),
    ]  # fmt: skip
    tensors = [torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]
    return RecurrenceInputs(*tensors)


# Soft attention


@pytest.mark.parametrize("attention_type", ["soft", "hard"])
def test_attention_adds_up_to_one_and_the_selector_is_a_share(attention_type):
    output = read(captioner(attention_type=attention_type))
    words = captions() != IGNORED
    sums = output.cross_attentions[0].sum(2)
    torch.testing.assert_close(sums[words], torch.ones(sum(LENGTHS)), rtol=0, atol=1e-6)
    assert not sums[~words].any()
    assert ((output.betas[words] > 0) & (output.betas[words] < 1)).all()


@pytest.mark.parametrize("selector", [True, False])
def test_the_context_is_beta_times_the_expected_annotation(selector):
    inputs = recurrence_inputs([3, 2], selector)
    outputs = recur(inputs, [3, 2], read_expected)
    seen = torch.cat([inputs.annotations, inputs.annotations[:2]])
    expected = (outputs.alphas[:, :, None] * seen).sum(1)
    torch.testing.assert_close(outputs.context, outputs.betas * expected)
    assert selector or (outputs.betas == 1).all()


def test_uniform_attention_reads_the_mean_annotation():
    inputs = recurrence_inputs([3, 2])
    inputs = inputs._replace(energy_weight=torch.zeros_like(inputs.energy_weight))
    for outputs in (recur(inputs, [3, 2], read_expected), recur_soft(inputs, [3, 2])):
        mean = torch.cat([inputs.annotations, inputs.annotations[:2]]).mean(1)
        torch.testing.assert_close(outputs.context, outputs.betas * mean)


def test_the_recurrence_of_one_word_by_hand():  # Eqs. 1 to 6, with numbers that can be followed
    one, zero = torch.ones(1, 1), torch.zeros(1, 1)
    inputs = RecurrenceInputs(
        word_gates=torch.tensor([[0.0, 0.0, 0.0, 1.0]]),  # i, f, o, g
        annotations=torch.tensor([[[1.0], [3.0]]]),
        projected=torch.tensor([[[0.0], [100.0]]]),  # tanh 0 and 1
        hidden=zero,
        cell=one,
        hidden_weight=torch.zeros(6, 1),
        context_weight=torch.tensor([[0.0], [0.0], [0.0], [0.5]]),
        energy_weight=torch.tensor([3.0]).log(),  # energies 0 and log 3: alpha 1/4 and 3/4
        energy_bias=torch.tensor([7.0]),
        selector_bias=torch.zeros(1),  # beta 1/2
    )
    candidate = torch.tanh(torch.tensor(1.0 + 0.5 * 1.25))  # z = (1/4 + 9/4) / 2
    cell = 0.5 + 0.5 * candidate
    for outputs in (recur(inputs, [1], read_expected), recur_soft(inputs, [1])):
        torch.testing.assert_close(outputs.alphas, torch.tensor([[0.25, 0.75]]))
        torch.testing.assert_close(outputs.context, torch.tensor([[1.25]]))
        torch.testing.assert_close(outputs.cell[0, 0], cell)
        torch.testing.assert_close(outputs.hidden[0, 0], 0.5 * cell.tanh())


# Its fast form


@pytest.mark.parametrize("selector", [True, False])
def test_the_hand_written_gradient_is_the_derivative(selector):
    inputs = recurrence_inputs([3, 2, 2], selector)
    used = tuple(inputs) if selector else tuple(inputs[:-1])
    empty = () if selector else (inputs[-1].detach(),)
    assert torch.autograd.gradcheck(lambda *given: recur_soft(RecurrenceInputs(*given, *empty), [3, 2, 2])[:5], used)


@pytest.mark.parametrize("sizes", [[3], [3, 3], [4, 2, 2, 1]])
@pytest.mark.parametrize("selector", [True, False])
def test_the_fast_form_equals_the_loop(sizes, selector):
    inputs = recurrence_inputs(sizes, selector)
    found = []
    for outputs in (recur(inputs, sizes, read_expected), recur_soft(inputs, sizes)):
        loss = sum((part * part.cos()).sum() for part in outputs)
        found.append((outputs, torch.autograd.grad(loss, [part for part in inputs if part.numel()])))
    torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "fields", [{}, {"use_selector": False}, {"attention_layers": 1, "init_layers": 1}, {"dropout": 0.5}]
)
def test_the_model_learns_the_same_through_both_forms(fields, monkeypatch):
    model = captioner(**fields).train()
    with seeded(1):
        fast = read(model)
    expected = gradients(model, fast)
    monkeypatch.setattr(modeling, "recur_soft", lambda inputs, sizes: recur(inputs, sizes, read_expected))
    with seeded(1):
        slow = read(model)
    torch.testing.assert_close(fast.loss, slow.loss)
    torch.testing.assert_close(expected, gradients(model, slow), rtol=1e-5, atol=1e-5)


def test_gradients_can_be_taken_twice_and_pass_a_frozen_encoder_by():
    sizes, inputs = [3, 2], recurrence_inputs([3, 2])
    frozen = inputs._replace(annotations=inputs.annotations.detach())
    loss = recur_soft(frozen, sizes).hidden.sum()
    others = [part for name, part in frozen._asdict().items() if name != "annotations"]
    first = torch.autograd.grad(loss, others, retain_graph=True)
    assert all(torch.equal(*pair) for pair in zip(first, torch.autograd.grad(loss, others), strict=True))


def test_saturated_attention_stays_finite():
    inputs = recurrence_inputs([3, 2])
    inputs = inputs._replace(projected=(1e4 * inputs.projected).detach().requires_grad_())
    outputs = recur_soft(inputs, [3, 2])
    torch.testing.assert_close(outputs, recur(inputs, [3, 2], read_expected))
    assert all(part.isfinite().all() for part in torch.autograd.grad(outputs.hidden.sum(), inputs[:8]))


def test_half_precision_comes_near():
    sizes = [4, 2, 2, 1]
    inputs = recurrence_inputs(sizes, dtype=torch.bfloat16)
    outputs = recur_soft(inputs, sizes)
    exact = recur_soft(RecurrenceInputs(*(part.detach().double() for part in inputs)), sizes)
    torch.testing.assert_close(outputs.hidden.double(), exact.hidden, rtol=0, atol=0.03)
    outputs.hidden.sum().backward()
    assert all(part.grad.isfinite().all() for part in inputs)


# Doubly stochastic attention, Eq. 14


@pytest.mark.parametrize("tau", [1.0, 2.5])
def test_the_doubly_stochastic_term_from_the_returned_attention(tau):
    output = read(captioner(doubly_stochastic_lambda=0.7, doubly_stochastic_tau=tau), num_items_in_batch=1)
    (alphas,) = output.cross_attentions
    expected = sum(
        (tau - sum(alphas[row, word, place] for word in range(length))) ** 2
        for row, length in enumerate(LENGTHS)
        for place in range(LOCATIONS)
    )
    torch.testing.assert_close(output.losses["doubly_stochastic"], 0.7 * expected)


def test_the_doubly_stochastic_term_is_zero_where_every_place_gets_its_share():
    alphas = torch.eye(LOCATIONS)[None]  # each word looks at a place of its own
    assert doubly_stochastic_penalty(alphas, tau=1.0) == 0
    assert doubly_stochastic_penalty(alphas / 2, tau=0.5) == 0
    assert doubly_stochastic_penalty(alphas, tau=0.0) == LOCATIONS


def test_a_tau_below_the_papers_bound_is_told(caplog):
    modeling.logger.warning_once.cache_clear()
    logger = logging.getLogger("transformers")
    logger.addHandler(caplog.handler)
    read(captioner(doubly_stochastic_tau=0.2))  # L / D = 4 / 16
    assert "doubly_stochastic_tau is 0.2 but the paper asks for at least L / D = 0.25" in caplog.text
    caplog.clear()
    read(captioner(doubly_stochastic_tau=0.3))
    logger.removeHandler(caplog.handler)
    assert caplog.text == ""


def test_hard_attention_has_no_doubly_stochastic_term():
    assert set(read(captioner(attention_type="hard")).losses) == {"negative_log_likelihood", "entropy"}
