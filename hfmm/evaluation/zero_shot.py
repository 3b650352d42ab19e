"""Scores models that choose among labels of which some were never seen.

Frome et al. (2013) rank unseen labels alone (DeViSE-0, here `unseen_`), and among all (DeViSE+1K, `unseen_among_all_`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from PIL import Image

from hfmm import metrics
from hfmm.data.examples import Examples
from hfmm.errors import DataError
from hfmm.evaluation.base import Asked, Outcome, check_metric
from hfmm.evaluation.prompted import score_prompted
from hfmm.evaluation.reading import answers

DEPTHS = (1, 5)  # of the parts


@runtime_checkable
class HasLabels(Protocol):
    """A model with labels of its own, by name in its configuration."""

    def unseen_labels(self) -> list[str]:
        """Names of those that it saw no picture of, also of some that it cannot name."""

    def label_hierarchy(self) -> dict[str, list[str]]:
        """A node to the nodes above it; empty where there is none."""


def score_zero_shot(model: Any, processor: Any, examples: Examples, asked: Asked) -> Outcome:
    """Score a model that has labels, see [`score_labels`], or one that reads theirs, see [`score_prompted`].

    Raises:
        UsageError: It has none and reads none.
    """
    own = isinstance(model, HasLabels)
    return (score_labels if own else score_prompted)(model, processor, examples, asked)


def score_labels(model: Any, processor: Any, examples: Examples, asked: Asked) -> Outcome:
    """Score a model that has labels by `zero_shot`: all labels, and the seen and unseen ones apart.

    Examples without a class, or of a class that the model knows nothing of, do not count.

    Raises:
        UsageError: Another metric is asked for.
        DataError: No example is of the model's labels.
    """
    check_metric(asked, "zero_shot", "zero-shot classifier")

    def logits(pictures: list[Image.Image]) -> list[list[float]]:
        inputs = processor(images=pictures, return_tensors="pt").to(model.device)
        found: list[list[float]] = model(**inputs).logits_per_image.float().tolist()
        return found

    found, read = answers(model, processor, examples, logits, asked.processes)
    names = list(model.config.id2label.values())
    rankings = [sorted_names(names, scores) for scores in found]
    own = examples.label_names or ()
    truths = [own[example["label"]] if example["label"] is not None else None for example in read]
    unseen = set(model.unseen_labels())
    counted = [row for row, truth in enumerate(truths) if truth in unseen or truth in names]
    if not counted:
        raise DataError(f"no example of {examples.name} {examples.split} has one of the model's {len(names)} labels")
    scores = scores_of_parts(
        [rankings[row] for row in counted], [str(truths[row]) for row in counted], unseen, model.label_hierarchy()
    )
    return Outcome(scores, [ranking[0] for ranking in rankings], read)


def sorted_names(names: Sequence[str], scores: Sequence[float]) -> list[str]:
    """Names by falling score; of equal ones the first comes first."""
    return [names[number] for number in sorted(range(len(names)), key=lambda number: -scores[number])]


def scores_of_parts(
    rankings: Sequence[Sequence[str]],
    truths: Sequence[str],
    unseen: set[str],
    parents: Mapping[str, Sequence[str]],
) -> dict[str, float]:
    """Hits and hierarchical precision of all examples among all labels, and hits of parts of them.

    Args:
        rankings: Of each example all labels, the likeliest first.
        truths: The label of each.
        unseen: Labels without training pictures.
        parents: The hierarchy, or nothing.

    Returns:
        Keys of `zero_shot`; with unseen labels, where there are examples, `seen_` among the seen labels, `unseen_`
        among the unseen ones, and `unseen_among_all_`.
    """
    scores = _scores(rankings, truths, parents)
    if not unseen:
        return scores
    for prefix, wanted in (("seen", False), ("unseen", True)):
        rows = [row for row, truth in enumerate(truths) if (truth in unseen) == wanted]
        alone = [[name for name in rankings[row] if (name in unseen) == wanted] for row in rows]
        parts = {prefix: alone} | ({"unseen_among_all": [rankings[row] for row in rows]} if wanted else {})
        for name, part in parts.items():
            if rows and part[0]:
                found = _scores(part, [truths[row] for row in rows], {})
                scores |= {f"{name}_{key}": value for key, value in found.items() if int(key[4:]) in DEPTHS}
    return scores


def _scores(
    rankings: Sequence[Sequence[str]], truths: Sequence[str], parents: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    found: dict[str, float] = metrics.load("zero_shot").compute(
        predictions=rankings, references=truths, parents=parents or None
    )
    return found
