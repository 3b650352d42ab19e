"""Fréchet distance between pictures and samples, as a network sees them (Heusel et al. 2017, arXiv 1706.08500).

Axes: N samples, M pictures, D features, R rank.
"""

from typing import Any

import numpy as np

from hfmm.errors import DataError

from .vectors import Floats, VectorMetric, matrix, same_width

INPUTS = """
Args:
    predictions: the features of each sample, a list of numbers
    references: the features of each picture; as many numbers, of any number of pictures
    network: name of the network that gave the features, which becomes part of the key
Returns:
    frechet, or frechet_<network>
"""


class FrechetDistance(VectorMetric):
    """Squared Fréchet distance of two Gaussians, |m - n|^2 + Tr(S + T - 2 (S T)^(1/2)), fitted to the features of
    samples and of pictures.

    It depends on the network that gave the features, and falls with the number of samples: figures compare only with
    those of the same network, the same pictures and as many samples. With Inception's features it is the FID.
    """

    keys = ("frechet",)
    options = ("network",)
    needs_references = True
    citation_text = "Heusel et al., GANs trained by a two time-scale update rule, NIPS 2017"
    inputs_text = INPUTS

    def _compute(self, predictions: list[Any], references: list[Any], network: str | None = None) -> dict[str, float]:
        found = frechet_distance(matrix(predictions, "predictions"), matrix(references, "references"))
        return {frechet_key(network): found}


def frechet_key(network: str | None) -> str:
    """The name of the score, which says whose features it compares."""
    return "frechet" if network is None else f"frechet_{network}"


def frechet_distance(samples: Floats, pictures: Floats) -> float:
    """Between the Gaussians of two sets of features (N, D) and (M, D), Eq. 6.

    With X and Y the centered features over the root of their number less one, S = X^T X and T = Y^T Y, and the trace of
    (S T)^(1/2) is the sum of the singular values of X Y^T: no root of a matrix is taken, and no rank is too low.

    Raises:
        DataError: Fewer than two rows, or rows of unlike lengths.
    """
    same_width(samples, pictures)
    if min(len(samples), len(pictures)) < 2:
        raise DataError("the Fréchet distance needs at least two samples and two pictures")
    first, second = _root(samples), _root(pictures)
    between = np.square(samples.mean(0) - pictures.mean(0)).sum()
    shared = np.linalg.svd(first @ second.T, compute_uv=False).sum()
    return float(max(0.0, between + np.square(first).sum() + np.square(second).sum() - 2 * shared))


def _root(features: Floats) -> Floats:
    """A matrix whose square A^T A is the covariance of features. (N, D) -> (R, D)."""
    centered = (features - features.mean(0)) / (len(features) - 1) ** 0.5
    return np.asarray(np.linalg.qr(centered, mode="r"))
