"""The files of an index: Arrow, written a share at a time, that `datasets` opens as one memory-mapped data set."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import torch
from datasets.arrow_writer import ArrowWriter
from datasets.fingerprint import generate_fingerprint
from torch import Tensor

from hfmm.errors import DataError
from hfmm.files import write_atomically
from hfmm.retrieval.index import EMBEDDING


def shard_name(number: int, count: int) -> str:
    """As `datasets` calls it."""
    return f"data-{number:05d}-of-{count:05d}.arrow"


def _features(names: Sequence[str], width: int) -> datasets.Features:
    kinds = {name: datasets.Value("int64" if name == "row" else "string") for name in names}
    return datasets.Features({**kinds, EMBEDDING: datasets.List(datasets.Value("float32"), length=width)})


def write_shard(path: Path, columns: Mapping[str, list[Any]], embedded: Sequence[Tensor], width: int) -> None:
    """Write a file that is there whole or not at all.

    Args:
        path: Where to.
        columns: Values of the n rows by name; `row` is a number, others are texts.
        embedded: Their embeddings, (n, D) in parts.
        width: D.

    Raises:
        DataError: An embedding is not a number.
    """
    matrix = torch.cat([torch.empty(0, width), *embedded]).numpy()  # n D
    wrong = np.flatnonzero(np.isnan(matrix).any(1))
    if len(wrong):
        raise DataError(f"example {columns['id'][wrong[0]]}: the model embeds it as NaN, which cannot be searched")
    features = _features(list(columns), width)
    schema = features.arrow_schema
    arrays = [pa.array(values, schema.field(name).type) for name, values in columns.items()]
    arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), width))
    staged = path.with_suffix(".part")
    with ArrowWriter(features=features, path=str(staged), writer_batch_size=max(1, len(matrix))) as writer:
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        writer.finalize()
    with staged.open("rb") as written:
        os.fsync(written.fileno())
    staged.replace(path)


def finish(folder: Path, count: int) -> int:
    """Write what `datasets.load_from_disk` reads beside the files.

    Args:
        folder: With the files of a part.
        count: Of files.

    Returns:
        How many rows they hold.
    """
    files = [folder / shard_name(number, count) for number in range(count)]
    shards = [datasets.Dataset.from_file(str(file)) for file in files]
    shards[0].info.write_to_directory(str(folder))
    state = {
        "_data_files": [{"filename": file.name} for file in files],
        "_fingerprint": generate_fingerprint(datasets.concatenate_datasets(shards)),
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    write_atomically(folder / "state.json", json.dumps(state, indent=2) + "\n")
    return sum(map(len, shards))
