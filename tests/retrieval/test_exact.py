"""Exact search: equal to sorting everything, whatever the blocks, with ties, and with the precision left as it was."""

import numpy as np
import pytest
import torch

from hfmm.device import fast_matrix_products
from hfmm.errors import DataError
from hfmm.retrieval import exact


def whole(queries, rows, count):
    """All scores sorted, of equal ones the first row first."""
    scores = queries.double().numpy() @ rows.double().numpy().T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(scores, order, 1), order


def integers(count, width, most=3, seed=0):
    """Vectors of small whole numbers: their products are exact in fp32, and many are equal."""
    return torch.randint(-most, most + 1, (count, width), generator=torch.Generator().manual_seed(seed)).float()


@pytest.mark.parametrize("block", [1, 63, 64, 1000, 5000])
@pytest.mark.parametrize(("num_rows", "count"), [(1, 10), (10, 10), (63, 5), (700, 10), (3001, 10), (3001, 200)])
def test_it_is_sorting_everything_with_ties(num_rows, count, block):
    queries, rows = integers(5, 4), integers(num_rows, 4, seed=1)
    found = exact.search(queries, exact.blocks_of(rows, block), count)
    scores, order = whole(queries, rows, count)
    assert found.rows.tolist() == order.tolist()
    assert found.scores.double().numpy().tolist() == scores.tolist()


@pytest.mark.parametrize("block", [100, 2048, 65536])
def test_it_is_sorting_everything_of_real_numbers(block):
    draw = torch.Generator().manual_seed(0)
    queries, rows = torch.randn(300, 32, generator=draw), torch.randn(5000, 32, generator=draw)
    found = exact.search(queries, exact.blocks_of(rows, block), 10)  # more queries than are scored at a time
    scores, order = whole(queries, rows, 10)
    assert (found.rows.numpy() == order).mean() > 0.999  # but for scores that round to the same fp32
    np.testing.assert_allclose(found.scores.numpy(), scores, atol=1e-4)


def test_equal_rows_come_in_their_order():
    rows = torch.ones(10_000, 3)
    for block in (100, 4096, 65536):
        found = exact.search(torch.ones(2, 3), exact.blocks_of(rows, block), 7)
        assert found.rows.tolist() == [list(range(7))] * 2


def test_a_tie_across_groups_and_blocks_goes_to_the_first():
    scores = torch.zeros(1, 6400)
    scores[0, [70, 500, 3000, 6399]] = 5
    scores[0, [4000]] = 6
    assert exact.best_of(scores, 3).rows.tolist() == [[4000, 70, 500]]
    rows = scores.T.contiguous()
    for block in (64, 1000, 6400):
        assert exact.search(torch.ones(1, 1), exact.blocks_of(rows, block), 3).rows.tolist() == [[4000, 70, 500]]


def test_scores_of_minus_infinity_are_scores():
    scores = torch.full((1, 1000), -torch.inf)
    scores[0, 999] = 0
    assert exact.best_of(scores, 3).rows.tolist() == [[999, 0, 1]]


def test_a_score_of_its_own_is_taken():
    def distance(queries, rows):
        return -torch.cdist(queries, rows)

    rows = integers(500, 3, most=9)
    found = exact.search(rows[[17]], exact.blocks_of(rows, 100), 1, distance)
    assert rows[found.rows[0, 0]].tolist() == rows[17].tolist()
    assert found.scores.tolist() == [[0]]


@pytest.mark.parametrize(("num_rows", "wrong"), [(10, 3), (5000, 4321)])
def test_what_is_not_a_number_is_refused(num_rows, wrong):
    rows = torch.ones(num_rows, 2)
    rows[wrong, 1] = torch.nan
    with pytest.raises(DataError, match=r"a score is not a number: (row 3 |one of the rows 4288 to 4351 )"):
        exact.search(torch.ones(1, 2), exact.blocks_of(rows), 3)
    with pytest.raises(DataError, match="a query is not a number"):
        exact.search(torch.full((1, 2), torch.nan), exact.blocks_of(torch.ones(3, 2)), 3)


def test_other_widths_are_refused():
    with pytest.raises(DataError, match="queries have a width of 3, the collection one of 2"):
        exact.search(torch.ones(1, 3), exact.blocks_of(torch.ones(4, 2)), 3)


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_the_precision_of_products_is_restored(precision):
    torch.set_float32_matmul_precision(precision)
    exact.search(torch.ones(1, 2), exact.blocks_of(torch.ones(4, 2)), 3)
    assert torch.get_float32_matmul_precision() == precision
    with pytest.raises(DataError):
        exact.search(torch.ones(1, 2), exact.blocks_of(torch.full((4, 2), torch.nan)), 3)
    assert torch.get_float32_matmul_precision() == precision
    with pytest.raises(RuntimeError), fast_matrix_products():
        raise RuntimeError
    assert torch.get_float32_matmul_precision() == precision
