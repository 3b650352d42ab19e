"""Show, Attend and Tell: hard attention, Eqs. 9 to 12."""

import itertools

import pytest
import torch

from hfmm.models.captioning.show_attend_tell import modeling_show_attend_tell as modeling
from hfmm.models.captioning.show_attend_tell.modeling_show_attend_tell import (
    attention_entropy,
    read_sampled,
    reinforce_loss,
    sample_log_probability,
    update_baseline,
)
from hfmm.nn.captioning import IGNORED
from tests.models.captioning.tiny_show_attend_tell import END, annotations, captioner, captions, read
from tests.testing import seeded


def hard(**fields):
    return captioner(**{"attention_type": "hard", "semi_sampling_p": 0.0, **fields})


def exhaustive(monkeypatch, baseline):
    """All nine places that two words can look at, of three: each one's output, log p(s | a) and log p(y | s, a)."""
    places, labels = 3, torch.tensor([[5, END]])
    model = hard(reinforce_lambda=1.0, entropy_lambda=0.0).double().train()
    for sequence in itertools.product(range(places), repeat=2):
        left = list(sequence)

        def look(alphas, left=left):
            return torch.eye(places, dtype=alphas.dtype)[[left.pop(0)]]

        monkeypatch.setattr(modeling, "read_sampled", look)
        seen = annotations(1, places).double()
        output = model(
            encoder_outputs=(seen,), labels=labels, sample_attention=True, baseline=baseline, num_items_in_batch=1
        )
        log_probability = sample_log_probability(output.cross_attentions[0], output.attention_samples)[0]
        log_likelihood = output.logits.log_softmax(-1).gather(-1, labels[..., None]).sum()
        yield model, output, log_probability, log_likelihood


@pytest.mark.parametrize("baseline", [None, 0.0, -3.7])
def test_the_expected_gradient_of_hard_attention_is_reinforce(monkeypatch, baseline):
    exact, expected, total = 0.0, {}, 0.0
    for model, output, log_probability, log_likelihood in exhaustive(monkeypatch, baseline):
        probability = log_probability.exp()
        exact = exact + probability * log_likelihood  # L_s, Eq. 10
        total += probability.item()
        parameters = dict(model.named_parameters())
        found = torch.autograd.grad(output.loss, list(parameters.values()), retain_graph=True, allow_unused=True)
        for name, gradient in zip(parameters, found, strict=True):
            if gradient is not None:
                expected[name] = expected.get(name, 0) - probability.detach() * gradient
    assert abs(total - 1) < 1e-12
    parameters = {name: value for name, value in model.named_parameters() if name in expected}
    derivative = torch.autograd.grad(exact, list(parameters.values()))
    for name, gradient in zip(parameters, derivative, strict=True):
        torch.testing.assert_close(expected[name], gradient, rtol=1e-5, atol=1e-12)


def test_the_bound_lies_below_the_log_likelihood(monkeypatch):  # Jensen, Eq. 10
    cases = [(p, y) for _, _, p, y in exhaustive(monkeypatch, None)]
    bound = sum(p.exp() * y for p, y in cases)
    assert bound < torch.logsumexp(torch.stack([p + y for p, y in cases]), 0)


def test_the_reinforce_and_entropy_terms_from_what_is_returned():
    model = hard(reinforce_lambda=0.3, entropy_lambda=0.2).train()
    output = read(model, baseline=-2.0, num_items_in_batch=1)
    alphas, samples = output.cross_attentions[0], output.attention_samples
    words = captions() != IGNORED
    chosen = torch.where(words, (alphas * samples).sum(2), 1.0).log().sum(1)
    reinforce = -0.3 * ((output.log_likelihood + 2.0) * chosen).sum()
    torch.testing.assert_close(output.losses["reinforce"], reinforce)
    entropies = torch.distributions.Categorical(alphas[words]).entropy()
    torch.testing.assert_close(output.losses["entropy"], -0.2 * entropies.sum())


def test_samples_are_one_place_each_drawn_by_their_probability():
    output = read(hard().train())
    words = captions() != IGNORED
    assert (output.attention_samples[words].sum(1) == 1).all()
    assert ((output.attention_samples == 0) | (output.attention_samples == 1)).all()
    alphas = torch.tensor([[0.1, 0.2, 0.0, 0.7]]).expand(20_000, -1)
    torch.testing.assert_close(read_sampled(alphas).mean(0), alphas[0], rtol=0, atol=0.02)


def test_a_share_of_the_training_batches_reads_the_expectation():
    always, never = hard(semi_sampling_p=1.0).train(), hard(semi_sampling_p=0.0).train()
    assert read(always).attention_samples is None
    assert "reinforce" not in read(always).losses
    assert "reinforce" in read(never).losses
    soft = captioner(doubly_stochastic_lambda=0.0).train()
    soft.load_state_dict(always.state_dict())
    torch.testing.assert_close(read(always).logits, read(soft).logits)
    torch.testing.assert_close(read(never, sample_attention=False).logits, read(soft).logits)
    half = hard(semi_sampling_p=0.5).train()
    with seeded(0):
        sampled = [read(half).attention_samples is not None for _ in range(40)]
    assert 10 < sum(sampled) < 30


def test_hard_attention_reads_the_likeliest_place_or_the_expectation_where_it_does_not_sample():
    likeliest, expected = hard(), hard(hard_decoding="expected")
    output = read(likeliest)
    words = captions() != IGNORED
    assert torch.equal(output.attention_samples[words].argmax(1), output.cross_attentions[0][words].argmax(1))
    assert "reinforce" not in output.losses
    assert read(expected).attention_samples is None
    with seeded():
        assert "reinforce" in read(likeliest, sample_attention=True).losses


def test_hard_equals_soft_where_one_place_stands_out():
    soft, sharp = captioner(doubly_stochastic_lambda=0.0), hard()
    with torch.no_grad():
        soft.model.decoder.recurrence.energy_weight.mul_(1e4)
    sharp.load_state_dict(soft.state_dict())
    output = read(soft)
    words = captions() != IGNORED
    assert output.cross_attentions[0].amax(2)[words].min() > 0.9999
    torch.testing.assert_close(read(sharp).logits, output.logits)
    torch.testing.assert_close(read(sharp, sample_attention=True).logits, output.logits)


def test_terms_stay_finite_where_a_probability_is_zero():
    alphas = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]], requires_grad=True)
    samples = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    entropy, log_probability = attention_entropy(alphas), sample_log_probability(alphas, samples)
    torch.testing.assert_close(entropy, torch.tensor([2.0]).log())
    torch.testing.assert_close(log_probability, torch.tensor([0.5]).log())
    (entropy + reinforce_loss(torch.tensor([-3.0]), log_probability)).sum().backward()
    assert alphas.grad.isfinite().all()


def test_the_baseline_follows_the_log_likelihood():
    baseline, seen = 0.0, []
    for log_likelihood in (-10.0, -20.0, -5.0):
        baseline = update_baseline(baseline, log_likelihood, decay=0.9)
        seen.append(baseline)
    assert seen == pytest.approx([-1.0, -2.9, -3.11])
    assert hard(baseline_decay=0.5).next_baseline(-4.0, -2.0) == pytest.approx(-3.0)


def test_soft_attention_does_not_sample():
    with pytest.raises(ValueError, match="attention_type='hard'"):
        read(captioner(), sample_attention=True)
