"""Verification: whether two pictures show the same person, decided by a threshold on a similarity.

Accuracy follows the protocol of Labeled Faces in the Wild: pairs are parted into ten folds, the threshold is chosen on
nine and used on the tenth.
"""

from collections.abc import Sequence
from numbers import Real
from typing import Any, NamedTuple

import datasets
import numpy as np
from numpy.typing import NDArray

from hfmm.errors import DataError

from .base import InMemoryMetric

Floats = NDArray[np.float64]
FOLDS = 10
FALSE_ACCEPTS = 1e-3  # the rate at which `val` is read
INPUTS = """
Args:
    predictions: the similarity of each pair, such as a cosine: greater is more alike
    references: 1 (or True) where a pair shows the same person, 0 where it shows two
Returns:
    accuracy and its standard error over the folds, eer and its threshold, auc, val (at a false accept rate of 0.001)
"""


class Roc(NamedTuple):
    """What each threshold accepts, from the greatest threshold to the least, each (T,).

    The first threshold is infinite and accepts nothing; pairs are accepted from the threshold on.
    """

    thresholds: Floats
    false_accepts: Floats
    true_accepts: Floats


class Verification(InMemoryMetric):
    """`accuracy` by ten folds in order (`accuracy_error`: its standard error), `eer` where as many same pairs are
    refused as others accepted (`eer_threshold`: at which similarity), `auc` under the ROC curve, and `val`, the share
    of same pairs accepted where the other folds accept one in a thousand others.

    Fold i has the i-th tenth of the same pairs and the i-th tenth of the others, in the order given: the folds of
    LFW's `pairs.txt`. Fewer than ten pairs of a kind make fewer folds.
    """

    keys = ("accuracy", "accuracy_error", "eer", "eer_threshold", "auc", "val")
    of_captions = False
    citation_text = "Huang et al., Labeled Faces in the Wild, University of Massachusetts 07-49, 2007"
    inputs_text = INPUTS

    def _features(self) -> list[datasets.Features]:
        return [datasets.Features({"predictions": datasets.Value("float64"), "references": datasets.Value("int64")})]

    def _check_predictions(self, predictions: list[Any], first: int) -> None:
        for number, similarity in enumerate(predictions, first):
            if not isinstance(similarity, Real) or similarity != similarity:
                raise DataError(f"prediction {number} is {similarity!r}: give the similarity of the pair, a number")

    def _checked_references(self, references: list[Any], first: int) -> list[Any]:
        for number, same in enumerate(references, first):
            if same not in (0, 1):
                raise DataError(f"reference {number} is {same!r}: give 1 for the same person, 0 for two")
        return references

    def _compute(self, predictions: list[Any], references: list[Any]) -> dict[str, float]:
        similarities, same = np.asarray(predictions, np.float64), np.asarray(references, bool)
        folds = folds_of(same)
        curve = roc(similarities, same)
        rates = [fold_rates(similarities, same, folds == fold) for fold in range(int(folds.max()) + 1)]
        accuracy, accepted = np.array(rates).T  # folds each
        error, threshold = equal_error(curve)
        return {
            "accuracy": float(accuracy.mean()),
            "accuracy_error": float(accuracy.std(ddof=1) / len(accuracy) ** 0.5),
            "eer": error,
            "eer_threshold": threshold,
            "auc": float(np.trapezoid(curve.true_accepts, curve.false_accepts)),
            "val": float(accepted.mean()),
        }


def folds_of(same: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The fold of each pair (N,).

    Raises:
        DataError: There are not two pairs of each kind.
    """
    count = min(FOLDS, int(same.sum()), int((~same).sum()))
    if count < 2:
        raise DataError("verification needs at least two pairs of one person and two of different persons")
    folds = np.empty(len(same), np.int64)
    for kind in (same, ~same):
        folds[kind] = np.arange(kind.sum()) * count // kind.sum()
    return folds


def roc(similarities: Floats, same: NDArray[np.bool_]) -> Roc:
    """Rates of accepting at every similarity that occurs. (N,), (N,) -> (T,) each."""
    order = np.argsort(-similarities, kind="stable")
    ordered, hits = similarities[order], same[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)  # of each run of equal similarities
    true, false = (np.concatenate([[0], kind.cumsum()[last] / kind.sum()]) for kind in (hits, ~hits))
    return Roc(np.concatenate([[np.inf], ordered[last]]), false, true)


def fold_rates(similarities: Floats, same: NDArray[np.bool_], held_out: NDArray[np.bool_]) -> tuple[float, float]:
    """Accuracy on the pairs held out, and the share of their same pairs accepted, by the other pairs' thresholds."""
    curve = roc(similarities[~held_out], same[~held_out])
    alike, apart = same[~held_out].sum(), (~same[~held_out]).sum()
    right = np.rint(alike * curve.true_accepts + apart * (1 - curve.false_accepts))  # T; pairs
    best = between(curve.thresholds, int(right.argmax()))
    strict = between(curve.thresholds, int(np.flatnonzero(curve.false_accepts <= FALSE_ACCEPTS)[-1]))
    accepted, truth = similarities[held_out], same[held_out]
    return float(((accepted >= best) == truth).mean()), float((accepted[truth] >= strict).mean())


def between(thresholds: Floats, index: int) -> float:
    """A threshold halfway to the next similarity below, which accepts the same pairs."""
    if not np.isfinite(thresholds[index]) or index + 1 == len(thresholds):
        return float(thresholds[index])
    return float(thresholds[index : index + 2].mean())


def equal_error(curve: Roc) -> tuple[float, float]:
    """The rate at which false accepts equal false refusals, on the straight line between two thresholds, and where."""
    surplus = curve.false_accepts - (1 - curve.true_accepts)  # T; rises from -1 to 1
    after = int(np.argmax(surplus >= 0))
    before = after - 1
    share = -surplus[before] / (surplus[after] - surplus[before])
    rate = curve.false_accepts[before] + share * (curve.false_accepts[after] - curve.false_accepts[before])
    return float(rate), float(curve.thresholds[after])


def all_pairs(embeds: Floats, labels: Sequence[Any]) -> tuple[Floats, NDArray[np.bool_]]:
    """Cosines of every two of some unit vectors, and whether they show the same person. (M, D), M -> (N,), (N,)."""
    first, second = np.triu_indices(len(embeds), k=1)
    names = np.asarray(labels)
    return (embeds @ embeds.T)[first, second], names[first] == names[second]
