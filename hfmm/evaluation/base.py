"""What every scorer is given and what it gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hfmm.data.examples import Example, Examples
from hfmm.errors import DataError, unknown
from hfmm.loading import Loaded


@dataclass(frozen=True)
class Asked:
    """How a model is to be scored.

    Attributes:
        metrics: Names; the task's own by default.
        generation: Arguments of `generate`, where the task generates.
        processes: (how many share the work, which one this is); each example counts once.
        training: Texts of the training data, for novelty.
        network: The classifier that looks at samples of a generator.
        training_pictures: What a generator was trained on, as far as it can be read.
        planned: Metrics that the recipe of a generator names, scored beside its own where none are asked for.
        own: Pictures of the same kind that it has not seen, where it is asked about others.
        views: Of a picture, by name, over which a classifier's probabilities are averaged.
    """

    metrics: Sequence[str] = ()
    generation: Mapping[str, Any] = field(default_factory=dict)
    processes: tuple[int, int] = (1, 0)
    training: Sequence[str] = ()
    network: Loaded | None = None
    training_pictures: Examples | None = None
    planned: Sequence[str] = ()
    own: Examples | None = None
    views: str | None = None


class Outcome(NamedTuple):
    """What scoring a model gave.

    Attributes:
        scores: Metric to value.
        predictions: One for each example; of a generator of pictures, pictures that belong to none.
        examples: What was predicted on, without pictures.
    """

    scores: dict[str, float]
    predictions: list[Any]
    examples: list[Example]


def check_metric(asked: Asked, own: str, kind: str) -> None:
    """Refuse other metrics than the one that a task has.

    Args:
        asked: What may name metrics.
        own: The task's.
        kind: Of model, in words.

    Raises:
        UsageError: Another is asked for.
    """
    for name in asked.metrics:
        if name != own:
            raise unknown(f"metric of a {kind}", name, (own,))


def check_classes(model: Any, examples: Examples) -> None:
    """Refuse data whose classes are not the model's.

    Raises:
        DataError: They are not.
    """
    names = list(model.config.id2label.values())
    if examples.label_names is not None and list(examples.label_names) != names:
        raise DataError(f"the model's {len(names)} classes are not the {len(examples.label_names)} of the data")
