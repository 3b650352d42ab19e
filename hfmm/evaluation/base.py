"""What every scorer is given and what it gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hfmm.data.examples import Example


@dataclass(frozen=True)
class Asked:
    """How a model is to be scored.

    Attributes:
        metrics: Names; the task's own by default.
        generation: Arguments of `generate`, where the task generates.
        processes: (how many share the work, which one this is); each example counts once.
        training: Texts of the training data, for novelty.
    """

    metrics: Sequence[str] = ()
    generation: Mapping[str, Any] = field(default_factory=dict)
    processes: tuple[int, int] = (1, 0)
    training: Sequence[str] = ()


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
