"""Maps of codes in the plane: t-SNE (van der Maaten and Hinton, JMLR 9, 2008), and a grid without overlaps.

Axes: N points, D width of a code.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hfmm.errors import UsageError

PRINCIPAL = 50  # components that are left of a code before t-SNE
PERPLEXITY = 30.0
LEAST = 4  # points
EXACT = 2000  # points up to which the gradient is exact; Barnes and Hut's above
NEIGHBORS = 5  # that a map should keep


@dataclass(frozen=True)
class Map:
    """Codes in the plane.

    Attributes:
        points: (N, 2).
        divergence: KL(P || Q) of the last step, nats.
        perplexity: 2 to the entropy of each row of P.
        trustworthiness: 1 where neighbors on the map are neighbors among the codes (Venna and Kaski 2001).
    """

    points: NDArray[np.float64]
    divergence: float
    perplexity: float
    trustworthiness: float


def tsne(codes: Tensor, perplexity: float = PERPLEXITY, seed: int = 0) -> Map:
    """Lay codes out in the plane by t-SNE, after their first principal components.

    Args:
        codes: (N, D).
        perplexity: At most a third of the other points.
        seed: Of what is random.

    Raises:
        UsageError: Too few codes, all of them equal, or scikit-learn is not installed.
    """
    try:
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE, trustworthiness
    except ImportError as error:
        raise UsageError("a map of codes needs scikit-learn: pip install 'hfmm[eval]'") from error
    count = len(codes)
    if count < LEAST:
        raise UsageError(f"a map needs {LEAST} pictures or more, not {count}")
    if torch.equal(codes, codes[:1].expand_as(codes)):
        raise UsageError("all pictures have the same code: there is nothing to map")
    components = min(PRINCIPAL, *codes.shape)
    reduced = PCA(components, svd_solver="full").fit_transform(codes.double().numpy())  # N 50
    perplexity = min(perplexity, (count - 1) / 3)
    method = "exact" if count <= EXACT else "barnes_hut"
    init = "pca" if components > 1 else "random"
    layout = TSNE(perplexity=perplexity, method=method, init=init, random_state=seed)
    points = layout.fit_transform(reduced).astype(np.float64)  # N 2
    kept = trustworthiness(codes.numpy(), points, n_neighbors=min(NEIGHBORS, (count - 1) // 2))
    return Map(points, float(layout.kl_divergence_), perplexity, float(kept))


def grid_places(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """A place of a square grid for each point, no two in one, the squared way from points to places least in sum.

    Args:
        points: (N, 2), of any scale.

    Returns:
        (N, 2), row and column, from the top left.
    """
    from scipy.optimize import linear_sum_assignment

    side = ceil(len(points) ** 0.5)
    low, high = points.min(0), points.max(0)
    scaled = (points - low) / np.maximum(high - low, 1e-12) * (side - 1)  # N 2: x, y
    rows, columns = np.divmod(np.arange(side * side), side)
    places = np.stack([columns, rows], 1)  # S*S 2: x, y
    cost = ((scaled[:, None] - places[None]) ** 2).sum(2)  # N S*S
    _, chosen = linear_sum_assignment(cost)
    return np.stack([rows[chosen], columns[chosen]], 1).astype(np.int64)
