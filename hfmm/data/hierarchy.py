"""A hierarchy of labels, such as WordNet's of ImageNet's classes, and word vectors of some of its nodes.

A folder holds `is_a.jsonl`, of each node `wnid`, `name` (terms with commas between them) and `parents`, and one parquet
file with the columns `wnid` and `vector`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hfmm.errors import DataError

IS_A = "is_a.jsonl"
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Hierarchy:
    """What is what.

    Attributes:
        parents: Of each node the nodes above it.
        terms: Of each node its names, the usual one first.
    """

    parents: dict[str, list[str]]
    terms: dict[str, list[str]]

    def nodes_of(self, label: str) -> list[str]:
        """The nodes whose usual name is the label, or, where there is none, those that have it among their names."""
        word = label.lower()
        called = [[term.lower() for term in terms] for terms in self.terms.values()]
        usual = [node for node, terms in zip(self.terms, called, strict=True) if terms[:1] == [word]]
        return usual or [node for node, terms in zip(self.terms, called, strict=True) if word in terms]

    def above(self, nodes: Iterable[str]) -> set[str]:
        """These nodes and all that they are."""
        found, waiting = set[str](), list(nodes)
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting += self.parents[node]
        return found

    def parents_of(self, labels: Sequence[str]) -> dict[str, list[str]]:
        """The part of the hierarchy that lies above some labels, which stand under the nodes that they name.

        Raises:
            DataError: A label names no node.
        """
        places = {label: self.nodes_of(label) for label in labels}
        for label, nodes in places.items():
            if not nodes:
                raise DataError(f"no node of the hierarchy is called '{label}'")
        kept = self.above(node for nodes in places.values() for node in nodes)
        return {node: self.parents[node] for node in sorted(kept)} | places


def read_hierarchy(folder: str | Path) -> Hierarchy:
    """Read `is_a.jsonl`.

    Raises:
        DataError: It is not there, or not one such object a line.
    """
    path = Path(folder) / IS_A
    try:
        rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return Hierarchy(
            {row["wnid"]: list(row["parents"]) for row in rows},
            {row["wnid"]: row["name"].split(", ") for row in rows},
        )
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there: say where it is, in a recipe as objective.hierarchy=FOLDER") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no hierarchy of `wnid`, `name` and `parents`: {error}") from error


def read_vectors(folder: str | Path) -> dict[str, Floats]:
    """The vectors of nodes, each (D,), from the parquet file of a folder.

    Raises:
        DataError: There is not one such file, or it has other columns.
    """
    import pyarrow.parquet as pq

    files = sorted(Path(folder).glob("*.parquet"))
    if len(files) != 1:
        raise DataError(f"{folder} holds {len(files)} parquet files, not one with the vectors of nodes")
    try:
        table = pq.read_table(files[0], columns=["wnid", "vector"])
        values = np.asarray(table["vector"].to_pylist(), np.float32)  # nodes D
    except (OSError, ValueError) as error:
        raise DataError(f"{files[0]} has no columns `wnid` and `vector`: {error}") from error
    return dict(zip(table["wnid"].to_pylist(), values, strict=True))


def pooled_vectors(labels: Sequence[str], hierarchy: Hierarchy, vectors: dict[str, Floats]) -> Floats:
    """The vector of each label: the mean of the unit vectors of all that it is above, its breeds and kinds.

    Args:
        labels: Names.
        hierarchy: In which they are looked for, see `nodes_of`.
        vectors: Of nodes.

    Returns:
        (labels, D), zeros where no kind of a label has a vector.
    """
    above = {node: hierarchy.above([node]) for node in vectors}
    rows = []
    for label in labels:
        named = set(hierarchy.nodes_of(label))
        units = [vector / np.linalg.norm(vector) for node, vector in vectors.items() if named & above[node]]
        rows.append(np.mean(units, 0) if units else np.zeros_like(next(iter(vectors.values()))))
    return np.stack(rows)


def heads(labels: Sequence[str]) -> dict[str, list[str]]:
    """The hierarchy that names themselves tell: a "red ring" is a "ring"; the last word is what it is."""
    parents: dict[str, list[str]] = {"": []}
    for label in labels:
        head = label.split()[-1]
        if head != label:
            parents[label] = [head]
        parents[head] = [""]
    return parents
