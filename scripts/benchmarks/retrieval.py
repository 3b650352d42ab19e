"""Speed of exact search against faiss and numpy, at equal results.

    OMP_NUM_THREADS=1 python scripts/benchmarks/retrieval.py [--rows 1000000] [--repeats 3] [--json FILE]

The ten best of a million rows of width 512 for a hundred queries, by inner products in fp32: `hfmm.retrieval.exact`
over rows in memory and over an index as `hfmm index` writes it, memory-mapped, against `faiss.IndexFlatIP`, and against
numpy by a matrix product and `argpartition`; in turns in one process, in CPU seconds of the process. Rows have unit
length and lie about 2,000 centers; queries lie near rows. Results are compared with numpy's: the share of the ten best
that are found.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from numpy.typing import NDArray

from hfmm.device import hardware
from hfmm.retrieval import exact
from hfmm.retrieval.build import SHARE
from hfmm.retrieval.index import embeddings
from hfmm.retrieval.shards import finish, shard_name, write_shard

WIDTH, QUERIES, COUNT = 512, 100, 10
CENTERS, DRAWN = 2000, 100_000  # rows drawn at once
Rows = NDArray[np.float32]
Search = Callable[[], NDArray[np.int64]]


def draw(count: int) -> tuple[Rows, Rows]:
    """Rows (N, D) about centers, and queries (Q, D) near some of them, of unit length."""
    random = np.random.default_rng(0)
    centers = random.standard_normal((CENTERS, WIDTH), dtype=np.float32)
    rows = np.empty((count, WIDTH), np.float32)
    for first in range(0, count, DRAWN):
        part = rows[first : first + DRAWN]
        part[:] = random.standard_normal(part.shape, dtype=np.float32)
        part *= 0.8
        part += centers[random.integers(0, CENTERS, len(part))]
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    queries = rows[random.integers(0, count, QUERIES)]
    queries = queries + 0.05 * random.standard_normal(queries.shape, dtype=np.float32)
    return rows, queries / np.linalg.norm(queries, axis=1, keepdims=True)


def on_disk(rows: Rows, folder: Path) -> datasets.Dataset:
    """The rows as a part of an index."""
    count = -(-len(rows) // SHARE)
    for number in range(count):
        part = torch.from_numpy(rows[number * SHARE : (number + 1) * SHARE])
        numbers = list(range(number * SHARE, number * SHARE + len(part)))
        write_shard(folder / shard_name(number, count), {"row": numbers}, [part], WIDTH)
    finish(folder, count)
    return datasets.load_from_disk(str(folder))


def searches(rows: Rows, queries: Rows, mapped: datasets.Dataset) -> dict[str, Search]:
    """What is raced; numpy first, whose results are the truth."""

    def by_numpy() -> NDArray[np.int64]:
        scores = queries @ rows.T
        best = np.argpartition(-scores, COUNT, axis=1)[:, :COUNT]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1)
        return np.take_along_axis(best, order, 1)

    asked, matrix = torch.from_numpy(queries), torch.from_numpy(rows)
    found: dict[str, Search] = {
        "numpy": by_numpy,
        "hfmm": lambda: exact.search(asked, exact.blocks_of(matrix), COUNT).rows.numpy(),
        "hfmm on disk": lambda: exact.search(asked, embeddings(mapped), COUNT).rows.numpy(),
    }
    try:
        import faiss
    except ImportError:
        print('faiss is not installed: pip install "hfmm[retrieval]"', file=sys.stderr)
        return found
    faiss.omp_set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    index = faiss.IndexFlatIP(WIDTH)
    index.add(rows)
    return found | {"faiss": lambda: index.search(queries, COUNT)[1]}


def main() -> None:
    """Race them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="how many (default 1000000)")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each (default 3)")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    rows, queries = draw(arguments.rows)
    print(f"{hardware()}; {len(rows):,} x {WIDTH}, {QUERIES} queries, top {COUNT}, median of {arguments.repeats}")
    with tempfile.TemporaryDirectory() as folder:
        runners = searches(rows, queries, on_disk(rows, Path(folder)))
        seconds: dict[str, list[float]] = {name: [] for name in runners}
        truth: Any = None
        recall = {}
        for turn in range(arguments.repeats + 1):  # the first does not count
            for name, search in runners.items():
                started = time.process_time()
                found = search()
                if turn:
                    seconds[name].append(time.process_time() - started)
                truth = found if truth is None else truth
                same = [len(set(a) & set(b)) / COUNT for a, b in zip(found.tolist(), truth.tolist(), strict=True)]
                recall[name] = float(np.mean(same))
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, times in seconds.items():
        ratio = medians[name] / medians["hfmm"]
        spread = f"({min(times):.2f} to {max(times):.2f})"
        print(
            f"{name:14} {medians[name]:7.2f} s {spread:18} recall {recall[name]:.4f}  hfmm is {ratio:.1f} times as fast"
        )
    if arguments.json:
        figures = {"hardware": hardware(), "rows": len(rows), "seconds": medians, "turns": seconds, "recall": recall}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
