"""Scores models that compare faces: of every two pictures, whether they show the same person."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hfmm import metrics
from hfmm.data.examples import Example, Examples
from hfmm.errors import UsageError
from hfmm.evaluation.base import Asked, Outcome, check_metric
from hfmm.evaluation.reading import answers
from hfmm.explanation.verification import embed
from hfmm.metrics.verification import all_pairs

MOST = 2000  # pictures, which are two million pairs


def embed_examples(
    model: Any, processor: Any, examples: Examples, processes: tuple[int, int] = (1, 0)
) -> tuple[NDArray[np.float64], list[Example]]:
    """The embedding of every example once, each process its share; the whole list on every process.

    Args:
        model: On its device.
        processor: Its image processor.
        examples: With an `image` column.
        processes: (how many share the work, which one this is).

    Returns:
        (M, D), unit length, and the examples (without pictures), in the order of `examples`.
    """

    def embedded(pictures: list[Image.Image]) -> list[NDArray[np.float64]]:
        return list(embed(model, processor, pictures))

    found, read = answers(model, processor, examples, embedded, processes)
    return np.stack(found), read


def score_verifier(model: Any, processor: Any, examples: Examples, asked: Asked) -> Outcome:
    """Score every two pictures by `verification`, the task's own metric; pictures without a label do not count.

    Raises:
        UsageError: Another metric is asked for, or there are more than MOST pictures.
        DataError: Too few pairs of one person, or of two.
    """
    check_metric(asked, "verification", "verifier")
    if len(examples) > MOST:
        raise UsageError(f"{len(examples):,} pictures make too many pairs: score at most {MOST:,} with --limit {MOST}")
    embeds, read = embed_examples(model, processor, examples, asked.processes)
    known = [row for row, example in enumerate(read) if example["label"] is not None]
    similarities, same = all_pairs(embeds[known], [read[row]["label"] for row in known])
    scores = metrics.load("verification").compute(predictions=similarities.tolist(), references=same.tolist())
    names = examples.label_names
    return Outcome(scores, [nearest(embeds, row, read, names) for row in range(len(read))], read)


def nearest(embeds: NDArray[np.float64], row: int, read: list[Example], names: tuple[str, ...] | None) -> str:
    """Who is on the picture that is most like one, and how like it is, in words."""
    similarity = embeds @ embeds[row]  # M
    similarity[row] = -np.inf
    other = int(similarity.argmax())
    label = read[other]["label"]
    return f"like {names[label] if names and label is not None else label}, {similarity[other]:.2f}"
