"""Exact objects and exact scene: whether a caption of a built-in picture is right, judged by its grammar."""

import json
from typing import Any

from hfmm.data.scenes import grammar
from hfmm.errors import DataError

from .base import InMemoryMetric, Scores, joined, mean


def exact(predictions: list[str], objects: list[list[dict[str, Any]]]) -> Scores:
    """The shares of captions whose objects are exactly the picture's, and whose every statement is true besides.

    Args:
        predictions: One caption a picture.
        objects: The objects of each picture, with `shape`, `color` and `place`, and `size` where sizes are judged.
    """
    verdicts = [grammar.judge(caption, truth) for caption, truth in zip(predictions, objects, strict=True)]
    return mean(
        {
            "exact_objects": [verdict.objects for verdict in verdicts],
            "exact_scene": [verdict.scene for verdict in verdicts],
        }
    )


def read_objects(text: Any, number: int) -> list[dict[str, Any]]:
    """The objects of one picture from JSON; one such text in a list is as good."""
    if isinstance(text, list | tuple) and len(text) == 1:
        text = text[0]
    try:
        objects = json.loads(text)
        valid = all(isinstance(thing[key], str) for thing in objects for key in ("shape", "color", "place"))
    except (TypeError, ValueError, KeyError):
        valid = False
    if not valid:
        raise DataError(
            f"reference {number} is no JSON list of objects with shape, color and place: {text!r:.60}"
            " (give json.dumps(example['objects']))"
        )
    return list(objects)


class ExactObjects(InMemoryMetric):
    """The share of captions that name every object of the picture with its color and shape, and nothing else.

    A reference is the picture's objects as JSON text. Captions are read by the grammar: `tokenizer` changes nothing.
    """

    keys = ("exact_objects",)

    def _checked_references(self, references: list[Any], first: int) -> list[Any]:
        return [read_objects(text, number) for number, text in enumerate(references, first)]

    def _compute(
        self,
        predictions: list[str],
        references: list[Any],
        tokenizer: str = "none",
        per_caption: bool = False,
    ) -> dict[str, Any]:
        total, each = exact(predictions, references)
        (key,) = self.keys
        return joined(({key: total[key]}, {key: each[key]}), per_caption)


class ExactScene(ExactObjects):
    """The share of captions with exact objects of which every stated place, relation and size is true."""

    keys = ("exact_scene",)
