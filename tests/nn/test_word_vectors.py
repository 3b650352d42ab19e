"""Word vectors by counting (Levy and Goldberg, NIPS 2014)."""

import math

import pytest
import torch
from torch.nn.functional import logsigmoid

import hfmm
from hfmm.data.scenes.grammar import COLORS, SIZES
from hfmm.nn.word_vectors import cooccurrences, factor, learn_word_vectors, mean_of_words, shifted_pmi

SENTENCES = [[0, 1, 2], [0, 2], [1]]


def test_cooccurrences_by_hand():
    one = cooccurrences(SENTENCES, 4, window=1)
    assert one.tolist() == [[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert cooccurrences(SENTENCES, 4, window=2)[0].tolist() == [0, 1, 2, 0]  # no window crosses the end of a sentence
    assert cooccurrences([[5, 5]], 6, window=3)[5, 5] == 2  # a word beside itself, from both sides


def test_pmi_by_hand():
    counts = torch.tensor([[0.0, 3.0], [3.0, 2.0]])
    expected = [math.log(3 * 8 / (3 * 5)), math.log(2 * 8 / 25)]
    found = shifted_pmi(counts, positive=False)
    assert found[0, 0] == -math.inf
    assert found[0, 1] == pytest.approx(expected[0])
    assert found[1, 1] == pytest.approx(expected[1])
    assert shifted_pmi(counts).tolist() == [[0, pytest.approx(expected[0])], [pytest.approx(expected[0]), 0]]
    shifted = shifted_pmi(counts, shift=5, positive=False)
    torch.testing.assert_close(shifted[0, 1], found[0, 1] - math.log(5))


def test_skip_gram_with_negative_samples_has_its_optimum_at_the_shifted_pmi():
    """The exact expectation of the loss, full rank, three words: v.v' is PMI - log k (Levy and Goldberg, section 3)."""
    counts = torch.tensor([[4.0, 6.0, 2.0], [6.0, 3.0, 5.0], [2.0, 5.0, 7.0]])
    k = 2
    product = torch.zeros(3, 3, requires_grad=True)
    negatives = k * counts.sum(1, keepdim=True) * counts.sum(0, keepdim=True) / counts.sum()
    optimizer = torch.optim.LBFGS([product], max_iter=200, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        value = -(counts * logsigmoid(product) + negatives * logsigmoid(-product)).sum()
        value.backward()
        return value

    optimizer.step(loss)
    torch.testing.assert_close(product.detach(), shifted_pmi(counts, k, positive=False), atol=1e-3, rtol=0)


def test_all_dimensions_give_the_matrix_back():
    matrix = shifted_pmi(torch.rand(6, 6, generator=torch.Generator().manual_seed(0)) + 0.1)
    left, right = factor(matrix, 6), factor(matrix.T, 6)
    torch.testing.assert_close((left @ left.T) @ (left @ left.T), matrix @ matrix.T, atol=1e-4, rtol=1e-4)
    assert left.shape == right.shape
    assert factor(matrix, 2).shape == (6, 2)
    torch.testing.assert_close(factor(matrix, 6, power=0.0).T @ factor(matrix, 6, power=0.0), torch.eye(6))


def test_the_nearest_words_of_a_color_are_colors_and_sizes():
    """The lecture's caveat: such words share contexts, not appearance."""
    processor = hfmm.create_processor("devise")
    scenes = hfmm.load_data("scenes", size=2000, fields=["captions"])
    captions = [caption for own in scenes.column("captions") for caption in own]
    sentences = [[word for word in ids if word > 3] for ids in processor.tokenizer(captions)["input_ids"]]
    vectors = learn_word_vectors(sentences, len(processor.tokenizer), 16)
    colors = processor.tokenizer.convert_tokens_to_ids(["red", "green", "blue", "yellow", "black"])
    for color in colors:
        near = (vectors @ vectors[color]).argsort(descending=True)[1:4].tolist()
        names = processor.tokenizer.convert_ids_to_tokens(near)
        assert {*COLORS, *SIZES} >= set(names)
    assert not vectors[0].any()  # unknown words stand nowhere


def test_a_text_is_the_mean_of_the_words_it_knows():
    vectors = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    found = mean_of_words(torch.tensor([[1, 2, 0], [0, 0, 0]]), vectors)
    assert found.tolist() == [[0.5, 1.0], [0.0, 0.0]]
