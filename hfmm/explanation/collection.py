"""How a model sees a collection of pictures: a map of their codes, and of some pictures the nearest others.

Axes: N pictures, K neighbors.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from hfmm.data.examples import Examples
from hfmm.explanation.base import Explanation
from hfmm.explanation.codes import extract_codes, knn_purity, nearest_neighbors
from hfmm.explanation.drawing import FONT_SIZE, INK, MARGIN, PAPER, below, beside, font
from hfmm.explanation.maps import grid, neighbor_rows, point_map
from hfmm.explanation.tsne import NEIGHBORS, grid_places, tsne

NEAREST = 6  # beside a query
QUERIES = 8  # with their neighbors, at most


def explain_collection(model: Any, processor: Any, examples: Examples) -> Explanation:
    """Map pictures by what a model makes of them, and show which are nearest to which.

    Args:
        model: A classifier, a detector, an embedding model or a backbone, see [`extract_codes`].
        processor: Its image processor.
        examples: Four or more, with an `image` column.

    Returns:
        The map with the pictures themselves on it, the map as points colored by class where there are classes, and
        rows of a picture and its nearest. `data` has for each picture `ids`, `labels`, `codes`, `points` on the map,
        `places` in the grid (row, column), `nearest` (rows) and `distances`, and of the map `perplexity`, `divergence`
        (nats), `trustworthiness`, `purity` and `purity_of_codes` (None without classes).

    Raises:
        UsageError: The model has no codes, or they cannot be mapped.
    """
    read = list(examples)
    pictures = [example["image"] for example in read]
    labels = [example.get("label") for example in read]
    names = examples.label_names or ()
    codes = extract_codes(model, processor, pictures)
    found = tsne(codes)
    nearest, distances = nearest_neighbors(codes, NEAREST)
    data = {
        "ids": [example["id"] for example in read],
        "labels": [None if label is None else names[label] for label in labels],
        **_numbers(codes=codes, points=torch.from_numpy(found.points), distances=distances),
        "places": grid_places(found.points).tolist(),
        "nearest": nearest.tolist(),
        "perplexity": found.perplexity,
        "divergence": found.divergence,
        "trustworthiness": found.trustworthiness,
        "purity": knn_purity(torch.from_numpy(found.points), labels, NEIGHBORS),
        "purity_of_codes": knn_purity(codes, labels, NEIGHBORS),
    }
    maps = beside([grid(pictures, data["places"]), point_map(found.points, labels, names)])
    title = _title(data)
    return Explanation(title, below([_headline(title), maps, _neighbors(pictures, labels, data)]), data)


def _numbers(**tensors: Tensor) -> dict[str, Any]:
    return {name: tensor.double().numpy().round(6).tolist() for name, tensor in tensors.items()}


def _title(data: dict[str, Any]) -> str:
    purity = data["purity"]
    pure = "" if purity is None else f", {purity:.0%} of neighbors on the map of the same class"
    return f"{len(data['ids']):,} pictures{pure}, trustworthiness {data['trustworthiness']:.3f}"


def _headline(title: str) -> Image.Image:
    size = FONT_SIZE + 2
    head = Image.new("RGB", (int(font(size).getlength(title)) + 2 * MARGIN, size + 2 * MARGIN), PAPER)
    ImageDraw.Draw(head).text((MARGIN, MARGIN), title, INK, font(size))
    return head


def _neighbors(pictures: Sequence[Image.Image], labels: Sequence[int | None], data: dict[str, Any]) -> Image.Image:
    """Rows of a picture and its nearest, in two columns."""
    classes = [name or "" for name in data["labels"]]
    said = [
        [f"{classes[row]} {distance:.2f}".strip() for row, distance in zip(rows, far, strict=True)]
        for rows, far in zip(data["nearest"], data["distances"], strict=True)
    ]
    shown = queries(labels)
    half = ceil(len(shown) / 2)
    columns = [shown[:half], shown[half:]]
    return beside([neighbor_rows(pictures, rows, data["nearest"], said) for rows in columns])


def queries(labels: Sequence[int | None]) -> list[int]:
    """Rows to show neighbors of: the first of each class, or evenly spaced ones where there are no classes."""
    firsts = {label: row for row, label in reversed(list(enumerate(labels))) if label is not None}
    rows = sorted(firsts.values()) if len(firsts) > 1 else list(range(len(labels)))
    return [rows[int(place)] for place in np.linspace(0, len(rows) - 1, min(QUERIES, len(rows)))]
