"""Hierarchical precision: whether the best labels are right, or at least near to what is right in a hierarchy.

For each k the labels that count as right are the true one and those nearest to it: the radius around it grows until at
least k labels lie inside (Frome et al., NIPS 2013, appendix).

Axes: none; labels are names.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import datasets

from hfmm.errors import DataError

from .base import InMemoryMetric, mean

DEPTHS = (1, 2, 5, 10, 20)
INPUTS = """
Args:
    predictions: of each example the names of all labels, the likeliest first
    references: the name of the true label
    parents: of each node of the hierarchy the nodes above it, by name; labels are nodes
Returns:
    hierarchical_precision_1, _2, _5, _10 and _20, as far as there are so many labels
"""


class HierarchicalPrecision(InMemoryMetric):
    """Share of the k likeliest labels that are in the set of the k labels nearest to the true one, or more in a tie.

    Nearness is the length of the shortest path over the hierarchy's edges. Predictions are rankings of one and the
    same list of labels; `parents` says what each node is, `{"dog": ["animal"], ...}`.
    """

    keys = tuple(f"hierarchical_precision_{depth}" for depth in DEPTHS)
    options = ("parents",)
    of_captions = False
    citation_text = "Frome et al., DeViSE: A deep visual-semantic embedding model, NIPS 2013"
    inputs_text = INPUTS

    def _features(self) -> list[datasets.Features]:
        names = datasets.Sequence(datasets.Value("string"))
        return [datasets.Features({"predictions": names, "references": datasets.Value("string")})]

    def _check_predictions(self, predictions: list[Any], first: int) -> None:
        for number, ranking in enumerate(predictions, first):
            named = isinstance(ranking, Sequence) and not isinstance(ranking, str)
            if not named or not all(isinstance(name, str) for name in ranking) or not ranking:
                raise DataError(
                    f"prediction {number} is {ranking!r:.60}: give the names of all labels, likeliest first"
                )

    def _checked_references(self, references: list[Any], first: int) -> list[Any]:
        for number, name in enumerate(references, first):
            if not isinstance(name, str):
                raise DataError(f"reference {number} is {name!r:.60}: give the name of the true label")
        return references

    def _compute(
        self, predictions: list[Any], references: list[Any], parents: Mapping[str, Sequence[str]]
    ) -> dict[str, float]:
        labels = sorted(predictions[0])
        for number, ranking in enumerate(predictions):
            if sorted(ranking) != labels:
                raise DataError(f"prediction {number} ranks other labels than prediction 0")
        neighbors = edges(parents)
        lost = sorted({*labels, *references} - neighbors.keys())
        if lost:
            raise DataError(f"label '{lost[0]}' is not in the hierarchy")

        @cache
        def near(truth: str, depth: int) -> frozenset[str]:
            return correct_set(truth, labels, neighbors, depth)

        shares: dict[str, list[float]] = {}
        for depth in DEPTHS:
            if depth <= len(labels):
                shares[f"hierarchical_precision_{depth}"] = [
                    len(near(truth, depth).intersection(ranking[:depth])) / depth
                    for ranking, truth in zip(predictions, references, strict=True)
                ]
        return mean(shares)[0]


def edges(parents: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """Of each node those that it has an edge with, above and below."""
    neighbors: dict[str, set[str]] = {node: set() for node in parents}
    for node, above in parents.items():
        for parent in above:
            neighbors[node].add(parent)
            neighbors.setdefault(parent, set()).add(node)
    return neighbors


def correct_set(truth: str, labels: Sequence[str], neighbors: Mapping[str, set[str]], size: int) -> frozenset[str]:
    """The labels within the smallest radius around the true one that holds at least `size` of them.

    Args:
        truth: A node, a label or not.
        labels: What counts.
        neighbors: See [`edges`].
        size: k, at most the number of labels; where fewer can be reached, all that can.
    """
    valid, seen, edge = set(labels), {truth}, {truth}
    inside = valid & edge
    while len(inside) < size and edge:
        edge = {other for node in edge for other in neighbors[node]} - seen
        seen |= edge
        inside |= valid & edge
    return frozenset(inside)
