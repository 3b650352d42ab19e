"""What a classifier says of samples: whether it is sure of each, and whether it sees every class.

Axes: N samples, K classes.
"""

from collections.abc import Sequence
from math import exp
from typing import Any

import numpy as np

from hfmm.errors import DataError

from .vectors import Floats, VectorMetric, matrix, vector_of

CONFIDENCE = 0.9
TOLERANCE = 1e-3  # of the sum of probabilities in half precision
INPUTS = """
Args:
    predictions: the probabilities of the classes of each sample, a list of numbers
{further}Returns:
    {returns}
"""


class ProbabilityMetric(VectorMetric):
    """A metric of the probabilities that a classifier gives to samples."""

    @staticmethod
    def read(given: Any, name: str) -> Floats:
        """The probabilities of one sample, checked."""
        return probabilities_of(given, name)


def probabilities_of(given: Any, name: str) -> Floats:
    """Probabilities of the classes as an array (K,).

    Raises:
        DataError: They are none.
    """
    expected = "a list of probabilities that add up to 1"
    values = vector_of(given, name, expected)
    if (values < 0).any() or abs(values.sum() - 1) > TOLERANCE:
        raise DataError(f"{name} is not {expected}: {given!r:.60}")
    return values


class InceptionScore(ProbabilityMetric):
    """exp of the mean KL divergence from the classes of a sample to those of all samples, `inception_type_score`.

    From 1 (all samples look alike, or the classifier is never sure) to the number of classes. It depends on the
    classifier: only with Inception's probabilities is it the Inception score. It is taken over all samples at once.
    """

    keys = ("inception_type_score",)
    citation_text = "Salimans et al., Improved techniques for training GANs, NIPS 2016"
    inputs_text = INPUTS.format(further="", returns="inception_type_score")

    def _compute(self, predictions: list[Any], references: list[Any]) -> dict[str, float]:
        return {"inception_type_score": inception_type_score(matrix(predictions, "predictions"))}


def inception_type_score(probabilities: Floats) -> float:
    """Exp E_x KL(p(y given x) to p(y)) (Salimans et al. 2016, section 4). (N, K) -> 1 to K."""
    marginal = np.broadcast_to(probabilities.mean(0), probabilities.shape)  # N K
    seen = probabilities > 0  # 0 log 0 is 0
    terms = np.zeros_like(probabilities)
    terms[seen] = probabilities[seen] * np.log(probabilities[seen] / marginal[seen])
    return exp(terms.sum(1).mean())


class RecognizedSamples(ProbabilityMetric):
    """`recognized`, the share of samples of whose likeliest class the classifier is sure, with a probability of at
    least `confidence`; `rarest_class` and `commonest_class`, the smallest and greatest share of all samples that a
    class has, each sample in its likeliest one.
    """

    keys = ("recognized", "rarest_class", "commonest_class")
    options = ("confidence", "per_class")
    citation_text = "Shmelkov et al., How good is my GAN?, ECCV 2018, for judging samples by a trained classifier"
    inputs_text = INPUTS.format(
        further=(
            "    confidence: the least probability of a class for a sample to be recognized, 0.9\n"
            "    per_class: whether to add the share of each class, a list, under class_shares\n"
        ),
        returns="recognized, rarest_class, commonest_class",
    )

    def _compute(
        self, predictions: list[Any], references: list[Any], confidence: float = CONFIDENCE, per_class: bool = False
    ) -> dict[str, Any]:
        return recognized(matrix(predictions, "predictions"), confidence, per_class)


def recognized(probabilities: Floats, confidence: float = CONFIDENCE, per_class: bool = False) -> dict[str, Any]:
    """See [`RecognizedSamples`]. Probabilities are (N, K)."""
    shares = class_shares(probabilities)
    scores = {
        "recognized": float((probabilities.max(1) >= confidence).mean()),
        "rarest_class": min(shares),
        "commonest_class": max(shares),
    }
    return {**scores, "class_shares": list(shares)} if per_class else scores


def class_shares(probabilities: Floats) -> Sequence[float]:
    """How many samples have each class as their likeliest, as shares. (N, K) -> K."""
    counts = np.bincount(probabilities.argmax(1), minlength=probabilities.shape[1])
    found: list[float] = (counts / len(probabilities)).tolist()
    return found
