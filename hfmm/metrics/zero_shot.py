"""Zero-shot classification: whether the true label is among the k likeliest, and how near these are in a hierarchy."""

from collections.abc import Mapping, Sequence
from typing import Any

from .base import mean
from .hierarchical_precision import DEPTHS, HierarchicalPrecision

INPUTS = """
Args:
    predictions: of each example the names of all labels, the likeliest first
    references: the name of the true label; one that is not among the labels is never found
    parents: of each node of a hierarchy the nodes above it, by name; labels are nodes. Without, there are hits alone
Returns:
    hit_1, _2, _5, _10 and _20, as far as there are so many labels, and as many of hierarchical_precision
"""


class ZeroShot(HierarchicalPrecision):
    """`hit_k`, the share of examples whose label is among the k likeliest, and `hierarchical_precision_k`."""

    keys = (*(f"hit_{depth}" for depth in DEPTHS), *HierarchicalPrecision.keys)
    inputs_text = INPUTS

    def _compute(
        self, predictions: list[Any], references: list[Any], parents: Mapping[str, Sequence[str]] | None = None
    ) -> dict[str, float]:
        hits = {
            f"hit_{depth}": [truth in ranking[:depth] for ranking, truth in zip(predictions, references, strict=True)]
            for depth in DEPTHS
            if depth <= min(map(len, predictions))
        }
        near = super()._compute(predictions, references, parents) if parents else {}
        return mean(hits)[0] | near
