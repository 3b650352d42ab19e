"""CLIP's loss: the deck's pseudo-code in numpy, and what must hold of it."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from hfmm.nn.contrastive import contrastive_loss

N, WIDE, NARROW, JOINT = 7, 10, 6, 5


def l2_normalize(values, axis):
    return values / np.linalg.norm(values, axis=axis, keepdims=True)


def cross_entropy_loss(logits, labels, axis):
    """The mean over the other axis of - log softmax, normalized over `axis`, at the labels."""
    shifted = logits - logits.max(axis=axis, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    places = (labels, np.arange(len(labels))) if axis == 0 else (np.arange(len(labels)), labels)
    return -log_probabilities[places].mean()


def pseudo_code(I_f, T_f, W_i, W_t, t):
    """Figure 3, line by line, after the two encoders."""
    I_e = l2_normalize(np.dot(I_f, W_i), axis=1)
    T_e = l2_normalize(np.dot(T_f, W_t), axis=1)
    logits = np.dot(I_e, T_e.T) * np.exp(t)
    labels = np.arange(len(I_f))
    loss_i = cross_entropy_loss(logits, labels, axis=0)
    loss_t = cross_entropy_loss(logits, labels, axis=1)
    return (loss_i + loss_t) / 2, loss_i, loss_t


def drawn():
    generator = np.random.default_rng(0)
    shapes = [(N, WIDE), (N, NARROW), (WIDE, JOINT), (NARROW, JOINT)]
    return [generator.normal(size=shape) for shape in shapes]


def embedded(I_f, T_f, W_i, W_t):
    return [normalize(torch.from_numpy(features @ weight), dim=-1) for features, weight in ((I_f, W_i), (T_f, W_t))]


def scale(value):
    return torch.tensor(value, dtype=torch.double)


@pytest.mark.parametrize("t", [-2.0, 0.0, 2.6593, 4.6052])
def test_it_is_the_decks_pseudo_code(t):
    found = contrastive_loss(*embedded(*drawn()), scale(t)).item()
    assert found == pytest.approx(pseudo_code(*drawn(), t)[0], rel=1e-6)


def test_pictures_and_texts_may_change_places():
    image_embeds, text_embeds = embedded(*drawn())
    expected = contrastive_loss(image_embeds, text_embeds, scale(1.5))
    torch.testing.assert_close(contrastive_loss(text_embeds, image_embeds, scale(1.5)), expected)


def test_axis_0_normalizes_over_pictures():
    """So the figure's loss_i asks of each text which picture is its own, as one direction of the loss does."""
    features = drawn()
    _, loss_i, loss_t = pseudo_code(*features, 1.0)
    image_embeds, text_embeds = embedded(*features)
    logits = image_embeds @ text_embeds.T * math.e
    labels = torch.arange(N)
    assert loss_i == pytest.approx(torch.nn.functional.cross_entropy(logits.T, labels).item())
    assert loss_t == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item())
    assert loss_i != pytest.approx(loss_t)


def test_without_a_scale_every_pair_is_as_likely():
    assert contrastive_loss(*embedded(*drawn()), scale(-1e9)).item() == pytest.approx(math.log(N))


def test_aligned_pairs_lose_nothing():
    embeds = torch.eye(N, dtype=torch.double)
    assert contrastive_loss(embeds, embeds, scale(math.log(100))).item() == pytest.approx(0, abs=1e-12)


def test_the_length_of_features_does_not_matter():
    I_f, T_f, W_i, W_t = drawn()
    expected = contrastive_loss(*embedded(I_f, T_f, W_i, W_t), scale(1.0))
    torch.testing.assert_close(contrastive_loss(*embedded(17 * I_f, 0.3 * T_f, W_i, W_t), scale(1.0)), expected)


def test_the_best_logits_are_pointwise_mutual_information():
    """Pairs drawn from a joint distribution: no logits have a lower expected loss than log p(x, y) / p(x) p(y)."""
    joint = torch.rand(4, 4, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    joint /= joint.sum()
    information = (joint / (joint.sum(1, keepdim=True) * joint.sum(0))).log()

    def expected_loss(logits):
        """Over all batches of two pairs, exactly."""
        total = 0.0
        pairs = [(x, y) for x in range(4) for y in range(4)]
        for first in pairs:
            for second in pairs:
                rows, columns = torch.tensor([first[0], second[0]]), torch.tensor([first[1], second[1]])
                block, labels = logits[rows][:, columns], torch.arange(2)
                both = sum(torch.nn.functional.cross_entropy(side, labels) for side in (block, block.T)) / 2
                total = total + joint[first] * joint[second] * both
        return total

    logits = information.clone().requires_grad_()
    best = expected_loss(logits)
    best.backward()
    torch.testing.assert_close(logits.grad, torch.zeros(4, 4, dtype=torch.double), rtol=0, atol=1e-12)
    assert expected_loss(information + 0.1 * torch.randn(4, 4, dtype=torch.double)) > best.detach()
