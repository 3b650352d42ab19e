"""Whether a picture is of the kind that a generator learned, by its log-likelihood.

A strange picture should be unlikely. Yet a density is often greatest where no data lie: a picture of one color is
likelier than any photograph, under a model of photographs (Nalisnick et al., ICLR 2019, arXiv 1810.09136). The
typicality of a picture asks whether it is as likely as pictures of the model's kind are, neither less nor more
(Nalisnick et al. 2019, arXiv 1906.02994, of single pictures).

Axes: N pictures.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hfmm.errors import DataError

Floats = NDArray[np.float64]


def surprise(log_likelihoods: Sequence[float]) -> Floats:
    """-log p of each picture, in nats: greater is stranger. (N,)."""
    return -np.asarray(log_likelihoods, np.float64)


def atypicality(log_likelihoods: Sequence[float], entropy: float) -> Floats:
    """How far -log p of each picture is from `entropy`, its mean over pictures of the model's kind. (N,)."""
    return np.abs(surprise(log_likelihoods) - entropy)


def auroc(own: Floats, others: Floats) -> float:
    """How often one of the others is stranger than one of the model's own kind, ties counting half.

    Args:
        own: (N,), greater is stranger.
        others: (M,).

    Raises:
        DataError: One of them is empty.
    """
    if not len(own) or not len(others):
        raise DataError("pictures of the model's own kind and others are needed, one at least of each")
    ordered = np.sort(own)
    below, not_above = (np.searchsorted(ordered, others, side=side) for side in ("left", "right"))
    return float((below + not_above).mean() / (2 * len(own)))


def out_of_distribution(own: Sequence[float], others: Sequence[float]) -> dict[str, float]:
    """How well a model's log-likelihoods tell pictures of its own kind, which it has not seen, from others.

    The entropy of typicality is the mean over every second one of its own kind, and the others of these are scored.

    Args:
        own: (N,), nats.
        others: (M,), nats.

    Returns:
        `surprise_auroc` and `atypicality_auroc`: 1 where all others are stranger, 0.5 where nothing is told, below 0.5
        where they seem more familiar than the model's own.

    Raises:
        DataError: There are too few.
    """
    known, scored = own[::2], own[1::2]
    if not known or not scored:
        raise DataError("two pictures of the model's own kind are needed, at least")
    entropy = float(surprise(known).mean())
    return {
        "surprise_auroc": auroc(surprise(scored), surprise(others)),
        "atypicality_auroc": auroc(atypicality(scored, entropy), atypicality(others, entropy)),
    }
