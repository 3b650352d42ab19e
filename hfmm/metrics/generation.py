"""All scores of samples by one network, in one pass."""

from typing import Any

from .frechet import FrechetDistance, frechet_distance, frechet_key
from .recognition import inception_type_score, probabilities_of, recognized
from .vectors import VectorMetric, matrix

INPUTS = """
Args:
    predictions: the features of each sample, a list of numbers
    references: the features of each picture; as many numbers, of any number of pictures
    network: name of the network that gave the features, which becomes part of a key
    probabilities: what the network, a classifier, takes each sample for; a list of numbers each
Returns:
    frechet_<network>, and with probabilities inception_type_score, recognized, rarest_class, commonest_class
"""


class Generation(VectorMetric):
    """The Fréchet distance of samples from pictures, and where a classifier's `probabilities` of the samples are given,
    the inception-type score, the share of recognized samples and the smallest and greatest share of a class.

    See `frechet_distance`, `inception_score` and `recognized_samples`. All depend on the network, which is none of
    Inception's unless its features are given.
    """

    keys = ("frechet", "inception_type_score", "recognized", "rarest_class", "commonest_class")
    options = ("network", "probabilities")
    needs_references = True
    citation_text = FrechetDistance.citation_text
    inputs_text = INPUTS

    def _compute(
        self,
        predictions: list[Any],
        references: list[Any],
        network: str | None = None,
        probabilities: Any = None,
    ) -> dict[str, float]:
        features = matrix(predictions, "predictions"), matrix(references, "references")
        scores = {frechet_key(network): frechet_distance(*features)}
        if probabilities is None:
            return scores
        checked = [probabilities_of(row, f"probabilities {number}") for number, row in enumerate(probabilities)]
        found = matrix(checked, "probabilities")
        return {**scores, "inception_type_score": inception_type_score(found), **recognized(found)}
