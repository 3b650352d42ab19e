"""The weights that U-Net gives to pixels (Ronneberger et al. 2015, Eq. 2): rare classes, and the gaps between cells.

    w(x) = w_c(x) + w_0 * exp(-(d_1(x) + d_2(x))^2 / (2 * sigma^2))

`forward(..., pixel_weights=...)` takes them.

Axes: N cells, H height, W width, K classes.
"""

import torch
from torch import Tensor

W0, SIGMA = 10.0, 5.0  # the paper's, section 3; sigma in pixels


def border_weights(nearest: Tensor, second: Tensor, w0: float = W0, sigma: float = SIGMA) -> Tensor:
    """The second term of Eq. 2, of the distances d_1 and d_2 to the nearest and the second nearest cell."""
    return w0 * torch.exp(-((nearest + second) ** 2) / (2 * sigma**2))


def distance(cell: Tensor) -> Tensor:
    """From each pixel to the nearest one of a cell, in pixels, infinite where the cell is empty.

    Args:
        cell: (H, W), whether a pixel is of it.

    Returns:
        (H, W), exact: along the rows, then along the columns.
    """
    height, width = cell.shape
    rows, columns = (torch.arange(side, device=cell.device, dtype=torch.float32) for side in (height, width))
    squares = [torch.where(cell, (columns - column) ** 2, torch.inf).amin(1) for column in columns]
    along = torch.stack(squares, 1)  # H W
    return torch.stack([(along + (rows[:, None] - row) ** 2).amin(0) for row in rows]).sqrt()


def class_weights(labels: Tensor, num_labels: int) -> Tensor:
    """w_c: by which each class that occurs weighs as much as any other, and a pixel 1 on average.

    Args:
        labels: (...), classes; 255 and others beyond `num_labels` do not count.
        num_labels: K.

    Returns:
        (K,), 0 for classes that do not occur.
    """
    counts = torch.bincount(labels[labels < num_labels], minlength=num_labels).float()
    return torch.where(counts > 0, counts.sum() / (counts * (counts > 0).sum()), 0)


def weight_map(balance: Tensor, cells: Tensor, w0: float = W0, sigma: float = SIGMA) -> Tensor:
    """Eq. 2 of one picture.

    Args:
        balance: (H, W), w_c of each pixel's class.
        cells: (N, H, W), whether a pixel is of each cell; with fewer than two there is no gap.
        w0: Of a pixel that two cells touch.
        sigma: Pixels.

    Returns:
        (H, W).
    """
    if len(cells) < 2:
        return balance
    nearest, second = torch.stack([distance(cell) for cell in cells]).topk(2, dim=0, largest=False).values
    return balance + border_weights(nearest, second, w0, sigma)
