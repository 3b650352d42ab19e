"""PMI retrieval: theta, counted and learned, slide by slide."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from hfmm.models.alignment.pmi_retrieval.configuration_pmi_retrieval import PmiRetrievalConfig
from hfmm.models.alignment.pmi_retrieval.modeling_pmi_retrieval import (
    PmiRetrievalModel,
    association,
    color_grid,
    discriminative_loss,
    nearest_center,
)
from tests.testing import seeded

TINY = {"num_bins": 8, "vocab_size": 12}
BOUNDED = ("cooccurrence", "dice", "jaccard", "image_given_text", "text_given_image")


def colors(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def tiny(**fields):
    with seeded():
        return PmiRetrievalModel(PmiRetrievalConfig(**TINY | fields)).eval()


def toy_counts():
    """The lecture's pairs: (dog, "terrier"), (dog, "husky"), (guitar, "play"), (frisbee, "play")."""
    seen = one_hot(torch.tensor([0, 0, 1, 2]), 3).float()  # dog, guitar, frisbee
    said = one_hot(torch.tensor([0, 1, 2, 2]), 3).float()  # terrier, husky, play
    return seen.T @ said, seen.sum(0), said.sum(0), torch.tensor(4.0)


# theta


def test_theta_of_the_toy():
    theta = association(*toy_counts(), "cooccurrence")
    torch.testing.assert_close(theta[1, 2], torch.tensor(1 / 3))  # guitar, "play"
    torch.testing.assert_close(theta[0, 0], torch.tensor(1 / 3))  # dog, "terrier"
    torch.testing.assert_close(theta[2, 2], torch.tensor(1 / 3))  # frisbee, "play"
    assert theta[1, 0] == 0
    pairs, pictures, words, total = toy_counts()
    torch.testing.assert_close(association(pairs.T, words, pictures, total, "cooccurrence"), theta.T)


def test_guitar_given_play_is_not_play_given_guitar():
    pairs, pictures, words, total = toy_counts()
    image_given_text = association(pairs, pictures, words, total, "image_given_text")[1, 2]
    text_given_image = association(pairs, pictures, words, total, "text_given_image")[1, 2]
    assert image_given_text == 0.5  # P(guitar | "play")
    assert text_given_image == 1.0  # P("play" | guitar)
    p_play, p_guitar = words[2] / total, pictures[1] / total
    assert (p_play, p_guitar) == (0.5, 0.25)  # the slide has P("play") = .25, with which the identity does not hold
    assert image_given_text * p_play == text_given_image * p_guitar == 0.25


def test_conditionals_and_marginals_agree_everywhere():
    model = tiny()
    with seeded(4):
        model.count(colors(40, 3, 2, 2), torch.randint(4, 12, (40, 3)))
    counts = model.pair_counts, model.picture_counts, model.word_counts, model.num_pairs
    left = association(*counts, "image_given_text") * model.word_counts / model.num_pairs
    right = association(*counts, "text_given_image") * model.picture_counts[:, None] / model.num_pairs
    torch.testing.assert_close(left, right)


def test_theta_is_at_most_a_half_and_that_where_two_always_occur_together():
    pairs, pictures, words, total = toy_counts()
    with_twins = torch.tensor([[3.0]]), torch.tensor([3.0]), torch.tensor([3.0]), torch.tensor(5.0)
    assert association(*with_twins, "cooccurrence") == 0.5
    theta = association(pairs, pictures, words, total, "cooccurrence")
    assert (theta >= 0).all()
    assert (theta < 0.5).all()  # no two of the toy are twins
    assert all((association(pairs, pictures, words, total, name) <= 1).all() for name in BOUNDED)


def test_other_measures_are_functions_of_the_same_counts():
    pairs, pictures, words, total = toy_counts()
    theta = association(pairs, pictures, words, total, "cooccurrence")
    torch.testing.assert_close(association(pairs, pictures, words, total, "dice"), 2 * theta)
    torch.testing.assert_close(association(pairs, pictures, words, total, "jaccard"), theta / (1 - theta))
    information = association(pairs, pictures, words, total, "pmi")
    assert information[1, 2] == pytest.approx(math.log(1 * 4 / (1 * 2)))
    assert information[1, 0] == 0  # never together: nothing is known
    few = torch.tensor([[1.0]]), torch.tensor([3.0]), torch.tensor([3.0]), torch.tensor(4.0)
    assert association(*few, "pmi") == pytest.approx(math.log(4 / 9))
    assert association(*few, "ppmi") == 0


def test_scores_are_bilinear():
    model = tiny()
    a, b = colors(4, 8), colors(5, 12, seed=1)
    expected = torch.einsum("in,mn,tm->it", a, model.theta.weight, b)
    torch.testing.assert_close(model.score(model.theta(a), b), expected)
    torch.testing.assert_close(model.score(model.theta(3 * a), b), 3 * expected)
    summed = model.score(model.theta(a[:1] + a[1:2]), b)
    torch.testing.assert_close(summed, expected[:1] + expected[1:2])


def counted(pictures, words, **fields):
    model = tiny(**fields)
    for picture, word in zip(pictures, words, strict=True):
        model.count(picture, word)
    model.settle()
    return model


def test_counts_are_of_documents_or_of_tokens():
    pictures = torch.zeros(2, 3, 2, 2)
    pictures[0, 0] = 1.0  # red, and a black one
    words = torch.tensor([[5, 5, 6], [6, 7, 3]])
    grid = nearest_center(torch.tensor([[1.0, 0, 0], [0, 0, 0]]), color_grid(2))
    documents = counted([pictures], [words], bins="grid")
    assert documents.pair_counts[grid][:, [5, 6, 7]].tolist() == [[1, 1, 0], [0, 1, 1]]
    assert documents.word_counts[[3, 5, 6, 7]].tolist() == [0, 1, 2, 1]
    tokens = counted([pictures], [words], bins="grid", count="tokens")
    assert tokens.pair_counts[grid][:, [5, 6, 7]].tolist() == [[2, 1, 0], [0, 1, 1]]
    assert documents.num_pairs == tokens.num_pairs == 2


def test_counting_is_additive_and_knows_no_order():
    pictures = colors(20, 3, 2, 2)
    words = torch.randint(4, 12, (20, 3), generator=torch.Generator().manual_seed(0))
    whole = counted([pictures], [words])
    halves = counted(pictures.split(10), words.split(10))
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    shuffled = counted([pictures[order]], [words[order]])
    for name, value in whole.state_dict().items():
        assert torch.equal(value, halves.state_dict()[name]), name
        assert torch.equal(value, shuffled.state_dict()[name]), name


def test_another_measure_can_be_taken_after_loading(tmp_path):
    model = counted([colors(20, 3, 2, 2)], [torch.randint(4, 12, (20, 3))])
    model.save_pretrained(tmp_path)
    loaded = PmiRetrievalModel.from_pretrained(tmp_path)
    assert torch.equal(loaded.theta.weight, model.theta.weight)
    for each in (loaded, model):
        each.settle("ppmi")
    assert torch.equal(loaded.theta.weight, model.theta.weight)
    assert loaded.config.measure == "ppmi"


def test_word_vectors_are_not_counted():
    model = tiny(text_features="word_vectors", word_size=6)
    with pytest.raises(ValueError, match="word vectors cannot be counted"):
        model.count(colors(2, 3, 2, 2), torch.full((2, 1), 5))


# ImSearch: theta that is learned


def test_losses_are_cross_entropies_over_pictures_and_over_texts():
    scores, truth = colors(4, 4), torch.tensor([2, 0, 3, 1])
    of_pictures = torch.stack([-scores[:, text].log_softmax(0)[truth[text]] for text in range(4)]).mean()
    of_texts = torch.stack([-scores[truth[text]].log_softmax(0)[text] for text in range(4)]).mean()
    torch.testing.assert_close(discriminative_loss(scores, truth, "image_given_text"), of_pictures)
    torch.testing.assert_close(discriminative_loss(scores, truth, "text_given_image"), of_texts)
    torch.testing.assert_close(discriminative_loss(scores, truth, "joint"), (of_pictures + of_texts) / 2)
    hinges = [
        max(0.0, 1 - scores[truth[text], text] + scores[other, text])
        for text in range(4)
        for other in range(4)
        if other != truth[text]
    ]
    torch.testing.assert_close(discriminative_loss(scores, truth, "hinge"), torch.stack(hinges).sum() / 4)


def position_only(shuffle):
    """The loss of a predictor that knows where a candidate stands and nothing of it, after training on noise."""
    generator = torch.Generator().manual_seed(0)
    by_position = torch.zeros(8, 8, requires_grad=True)  # pictures by texts
    optimizer = torch.optim.Adam([by_position], lr=0.05)
    losses = []
    for _ in range(400):
        truth = torch.randperm(8, generator=generator) if shuffle else torch.arange(8)
        loss = discriminative_loss(by_position, truth, "image_given_text")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses[-100:]) / 100


def test_shuffle_these_or_else():
    assert position_only(shuffle=False) < 0.01
    assert position_only(shuffle=True) == pytest.approx(math.log(8), abs=0.15)


def test_the_joint_loss_with_a_temperature_is_clips_with_linear_towers():
    model = tiny(learn_temperature=True)
    torch.nn.init.constant_(model.logit_scale, 0.7)
    a, b = colors(5, 8), colors(5, 12, seed=1)
    towers = a @ model.theta.weight.T, b  # W_i = theta, W_t = I, without normalization
    logits = math.exp(0.7) * towers[0] @ towers[1].T
    labels = torch.arange(5)
    clip = (cross_entropy(logits, labels) + cross_entropy(logits.T, labels)) / 2
    torch.testing.assert_close(model.pair_loss(*towers), clip)
