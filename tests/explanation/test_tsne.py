"""Maps of codes: what t-SNE keeps, and the grid."""

import time

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from hfmm.errors import UsageError
from hfmm.explanation.codes import knn_purity
from hfmm.explanation.tsne import grid_places, tsne


def gaussians(count, distance, width=64):
    """Three of them, and which each point is of."""
    generator = torch.Generator().manual_seed(0)
    labels = [row % 3 for row in range(count)]
    means = distance * torch.randn(3, width, generator=generator)
    return means[labels] + torch.randn(count, width, generator=generator), labels


def test_three_gaussians_stay_apart_in_time():
    codes, labels = gaussians(300, distance=3)
    began = time.process_time()
    found = tsne(codes)
    assert time.process_time() - began < 30
    assert knn_purity(torch.from_numpy(found.points), labels, 5) > 0.95
    assert found.perplexity == 30
    assert found.trustworthiness > 0.8


def test_the_divergence_is_that_of_the_printed_equations():
    """P of the sheet by bisection, Q of the points: KL(P || Q) again in numpy."""
    codes, _ = gaussians(40, distance=2, width=10)
    found = tsne(codes, perplexity=8)
    squared = cdist(codes.numpy(), codes.numpy(), "sqeuclidean")
    rows = np.zeros((40, 40))
    for i in range(40):
        low, high = 1e-6, 1e3
        others = np.delete(squared[i], i)
        for _ in range(100):
            beta = (low + high) / 2
            p = np.exp(-beta * (others - others.min()))
            p /= p.sum()
            entropy = -(p * np.log2(np.maximum(p, 1e-300))).sum()
            low, high = (beta, high) if entropy > np.log2(8) else (low, beta)
        assert 2**entropy == pytest.approx(8, abs=1e-3)
        rows[i] = np.insert(p, i, 0)
    p = (rows + rows.T) / 80
    q = 1 / (1 + cdist(found.points, found.points, "sqeuclidean"))
    np.fill_diagonal(q, 0)
    q /= q.sum()
    there = p > 0
    assert p.sum() == pytest.approx(1)
    assert (p[there] * np.log(p[there] / q[there])).sum() == pytest.approx(found.divergence, rel=0.01)


def test_a_map_is_the_same_again():
    codes, _ = gaussians(20, distance=2)
    assert np.array_equal(tsne(codes, seed=3).points, tsne(codes, seed=3).points)


def test_few_codes_are_mapped_at_a_perplexity_that_they_allow():
    codes, _ = gaussians(4, distance=2)
    found = tsne(codes)
    assert found.perplexity == 1
    assert np.isfinite(found.points).all()
    assert np.isfinite(tsne(torch.tensor([[1.0], [2.0], [4.0], [9.0]])).points).all()  # codes of one number


def test_what_cannot_be_mapped_is_told():
    with pytest.raises(UsageError, match="4 pictures or more, not 3"):
        tsne(torch.randn(3, 5))
    with pytest.raises(UsageError, match="the same code"):
        tsne(torch.ones(6, 5))


def test_no_two_pictures_share_a_place():
    points = np.random.default_rng(0).normal(size=(23, 2))
    places = grid_places(points)
    assert len({tuple(place) for place in places.tolist()}) == 23
    assert places.min() >= 0
    assert places.max() < 5


def test_points_on_a_grid_keep_their_places():
    rows, columns = np.divmod(np.arange(9), 3)
    points = np.stack([columns * 7.0 - 3, rows * 2.0 + 40], 1)  # x to the right, y down
    assert np.array_equal(grid_places(points), np.stack([rows, columns], 1))
