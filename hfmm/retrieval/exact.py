"""Exact search: for each query the rows of a collection that score best, in blocks, whatever the collection's size.

A block of rows is scored by one matrix product. Its scores are looked at in groups: the K groups with the greatest
maxima hold the K best rows, because each of these groups has a row that is at least as good as any row outside. So a
selection looks at one maximum a group and at K groups, not at every score.

Of equal scores the row that comes first is better, in every step, so that results do not depend on the blocks.

Axes: Q queries, N rows, D width, K wanted, G groups.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from hfmm.device import fast_matrix_products
from hfmm.errors import DataError

EXACT = "exact"  # beside the approximate kinds
GROUP = 64  # rows
BLOCK = 65_536  # rows scored at a time; their scores for QUERIES queries take 32 MiB
QUERIES = 128

Score = Callable[[Tensor, Tensor], Tensor]  # (Q, D), (N, D) -> (Q, N)


class Found(NamedTuple):
    """The best rows for each query, best first.

    Attributes:
        scores: (Q, K), falling.
        rows: (Q, K).
    """

    scores: Tensor
    rows: Tensor


def search(queries: Tensor, blocks: Iterable[Tensor], count: int, score: Score = linear) -> Found:
    """The best rows for each query.

    Args:
        queries: (Q, D).
        blocks: (n, D) each, the rows of the collection in order, see [`blocks_of`]; any n.
        count: K; all rows are returned where there are fewer.
        score: Higher is better; inner products by default.

    Raises:
        DataError: A query or a row gives scores that are no numbers, or they differ in width.
    """
    if queries.isnan().any():
        raise DataError("a query is not a number: the model that embedded it gave NaN")
    parts = queries.split(QUERIES)
    best = [Found(part.new_empty(len(part), 0), _no_rows(part)) for part in parts]
    first = 0
    with torch.inference_mode(), fast_matrix_products():
        for block in blocks:
            if block.shape[1] != queries.shape[1]:
                raise DataError(f"queries have a width of {queries.shape[1]}, the collection one of {block.shape[1]}")
            for number, part in enumerate(parts):
                best[number] = _better(best[number], best_of(score(part, block), count, first), count)
            first += len(block)
    return Found(torch.cat([found.scores for found in best]), torch.cat([found.rows for found in best]))


def blocks_of(matrix: Tensor, size: int = BLOCK) -> Iterator[Tensor]:
    """A matrix as blocks of rows, nothing copied."""
    return iter(matrix.split(size))


def _no_rows(queries: Tensor) -> Tensor:
    return torch.empty(len(queries), 0, dtype=torch.long, device=queries.device)


def _better(earlier: Found, later: Found, count: int) -> Found:
    """The best of the rows found so far and of those of the next block."""
    if not earlier.rows.shape[1]:
        return later
    scores, rows = (torch.cat(pair, dim=1) for pair in zip(earlier, later, strict=True))
    chosen = _top(scores, min(count, scores.shape[1]))
    return Found(scores.gather(1, chosen), rows.gather(1, chosen))


def best_of(scores: Tensor, count: int, first: int = 0) -> Found:
    """The best rows by scores that are there.

    Args:
        scores: (Q, N).
        count: K; all rows are returned where there are fewer.
        first: What the first row is called.

    Returns:
        K rows a query, called from `first` on.

    Raises:
        DataError: A score is no number.
    """
    num_rows = scores.shape[1]
    count = min(count, num_rows)
    if num_rows <= GROUP * (count + 1):  # most groups would be looked into
        _check(scores, first, 1)
        rows = _top(scores, count)
        return Found(scores.gather(1, rows), rows + first)
    padded = pad(scores, (0, -num_rows % GROUP), value=-torch.inf) if num_rows % GROUP else scores
    grouped = padded.unflatten(1, (-1, GROUP))  # Q G group
    maxima = grouped.amax(2)  # Q G
    _check(maxima, first, GROUP)
    groups = _top(maxima, count).sort(dim=1).values  # Q K; in order, so that rows in them are, too
    inside = grouped.gather(1, groups[:, :, None].expand(-1, -1, GROUP)).flatten(1)  # Q K*group
    places = _top(inside, count)  # Q K
    rows = groups.gather(1, places // GROUP) * GROUP + places % GROUP
    return Found(inside.gather(1, places), rows + first)


def _check(scores: Tensor, first: int, step: int) -> None:
    """Refuse NaN, which maxima hand on."""
    wrong = scores.isnan()
    if wrong.any():
        row = first + step * int(wrong.any(0).nonzero()[0])
        place = f"row {row}" if step == 1 else f"one of the rows {row} to {row + step - 1}"
        raise DataError(f"a score is not a number: {place} of the collection is damaged; index the data again")


def _top(scores: Tensor, count: int) -> Tensor:
    """Places of the greatest scores, greatest first, of equal ones the first. (Q, N) -> (Q, count)."""
    if count == scores.shape[1]:
        return scores.sort(dim=1, descending=True, stable=True).indices
    values, places = scores.topk(count + 1, dim=1)
    tied = values[:, -1] == values[:, -2]  # then topk takes any of the equal ones
    places = places[:, :count].sort(dim=1).values
    order = scores.gather(1, places).sort(dim=1, descending=True, stable=True).indices
    places = places.gather(1, order)
    if tied.any():
        places[tied] = scores[tied].sort(dim=1, descending=True, stable=True).indices[:, :count]
    return places
