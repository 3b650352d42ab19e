"""Approximate search by faiss, for collections that are too large to look at whole: IVF and HNSW over cosines.

IVF parts the rows into cells and looks at the cells nearest to a query; HNSW walks a graph of near rows. Both find most
of the best rows, not always all; among those found, order and ties are as in exact search.
"""

from collections.abc import Callable, Iterable
from importlib import import_module
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hfmm.errors import DataError, UsageError
from hfmm.retrieval.exact import Found

KINDS = ("ivf", "hnsw")
POINTS_PER_CELL = 39  # that faiss wants to fit a cell
LOOKED_INTO = 32  # cells that a query looks into
NEIGHBORS, WIDTH_OF_BUILD, WIDTH_OF_SEARCH = 32, 80, 128  # of a row in the graph; candidates kept
MOST_POINTS = 200_000  # that the cells are fitted to

Blocks = Callable[[], Iterable[Tensor]]  # (n, D) each, the same again whenever it is called


def faiss() -> Any:
    """The package.

    Raises:
        UsageError: It is not installed.
    """
    try:
        return import_module("faiss")
    except ImportError as error:
        raise UsageError(
            'approximate search needs faiss: pip install "hfmm[retrieval]", or take --kind exact'
        ) from error


def build(kind: str, blocks: Blocks, count: int, width: int, path: Path) -> None:
    """Build an index of rows, a block at a time, and write it.

    Args:
        kind: One of KINDS.
        blocks: The rows, unit length.
        count: N.
        width: D.
        path: Where to.
    """
    library = faiss()
    if kind == "hnsw":
        index = library.IndexHNSWFlat(width, NEIGHBORS, library.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction, index.hnsw.efSearch = WIDTH_OF_BUILD, WIDTH_OF_SEARCH
    else:
        cells = max(1, min(4 * isqrt(count), count // POINTS_PER_CELL))
        index = library.IndexIVFFlat(library.IndexFlatIP(width), width, cells, library.METRIC_INNER_PRODUCT)
        index.train(_sample(blocks(), count).numpy())
        index.nprobe = min(LOOKED_INTO, cells)
    for block in blocks():
        index.add(block.numpy())
    library.write_index(index, str(path))


def _sample(blocks: Iterable[Tensor], count: int) -> Tensor:
    """Evenly spaced rows, MOST_POINTS at most."""
    step = -(-count // MOST_POINTS)
    return torch.cat([block[::step] for block in blocks])


def search(path: Path, queries: Tensor, count: int) -> Found:
    """The best rows that are found; row -1, with a score of minus infinity, where there are fewer.

    Args:
        path: Of an index that [`build`] wrote.
        queries: (Q, D).
        count: K.

    Raises:
        UsageError: faiss is not installed.
        DataError: The file is not there, or damaged.
    """
    library = faiss()
    try:
        index = library.read_index(str(path))
    except RuntimeError as error:
        raise DataError(f"{path} cannot be read: index the data again") from error
    scores, rows = (torch.from_numpy(found) for found in index.search(queries.numpy(), min(count, index.ntotal)))
    scores = scores.masked_fill(rows < 0, -torch.inf)
    by_row = rows.sort(dim=1)
    order = scores.gather(1, by_row.indices).sort(dim=1, descending=True, stable=True)
    return Found(order.values, by_row.values.gather(1, order.indices))
