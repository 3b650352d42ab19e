"""All scores of samples by one network, in one pass."""

from collections.abc import Sequence
from typing import Any

from hfmm.errors import UsageError

from .frechet import FrechetDistance, frechet_distance, frechet_key
from .recognition import inception_type_score, probabilities_of, recognized
from .reconstruction import compared
from .vectors import VectorMetric, matrix

INPUTS = """
Args:
    predictions: the features of each sample, a list of numbers
    references: the features of each picture; as many numbers, of any number of pictures
    network: name of the network that gave the features, which becomes part of a key
    probabilities: what the network, a classifier, takes each sample for; a list of numbers each
    reconstructions: pictures of 8 bits that the model gave back
    originals: the pictures that these should be, of the same sizes
Returns:
    frechet_<network>; with probabilities inception_type_score, recognized, rarest_class, commonest_class; with
    reconstructions and originals psnr and ssim
"""


class Generation(VectorMetric):
    """The Fréchet distance of samples from pictures, and where a classifier's `probabilities` of the samples are given,
    the inception-type score, the share of recognized samples and the smallest and greatest share of a class.

    See `frechet_distance`, `inception_score` and `recognized_samples`. All depend on the network, which is none of
    Inception's unless its features are given. Where `reconstructions` and their `originals` are given, `reconstruction`
    of these is there, too.
    """

    keys = ("frechet", "inception_type_score", "recognized", "rarest_class", "commonest_class", "psnr", "ssim")
    options = ("network", "probabilities", "reconstructions", "originals")
    needs_references = True
    citation_text = FrechetDistance.citation_text
    inputs_text = INPUTS

    def _compute(
        self,
        predictions: list[Any],
        references: list[Any],
        network: str | None = None,
        probabilities: Any = None,
        reconstructions: Sequence[Any] | None = None,
        originals: Sequence[Any] | None = None,
    ) -> dict[str, float]:
        if (reconstructions is None) != (originals is None):
            raise UsageError("reconstructions are compared with their originals: give both, or none")
        features = matrix(predictions, "predictions"), matrix(references, "references")
        scores = {frechet_key(network): frechet_distance(*features)}
        if probabilities is not None:
            checked = [probabilities_of(row, f"probabilities {number}") for number, row in enumerate(probabilities)]
            found = matrix(checked, "probabilities")
            scores |= {"inception_type_score": inception_type_score(found), **recognized(found)}
        if reconstructions is not None and originals is not None:
            scores |= compared(reconstructions, originals)
        return scores
