"""What segmenters share: the loss of their pixels, and maps cropped to one size.

Axes: B batch, K classes, C channels, H height, W width.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy

IGNORED = 255  # class of pixels of which nothing is known


def pixel_loss(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of the pixels whose class is known; 0 where none is.

    Args:
        logits: (B, K, H, W).
        labels: (B, H, W), classes, IGNORED where unknown.
        weights: (B, H, W), how much each pixel counts; 1 by default. The sum is divided by the number of pixels.

    Raises:
        ValueError: Logits and labels are not of one size.
    """
    if logits.shape[-2:] != labels.shape[-2:]:
        (height, width), (own_height, own_width) = labels.shape[-2:], logits.shape[-2:]
        raise ValueError(f"labels are {height} x {width} pixels but the model segments {own_height} x {own_width}")
    losses = cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction="none")  # B H W
    if weights is not None:
        losses = losses * weights
    return losses.sum() / (labels != IGNORED).sum().clamp(min=1)


def center_crop(feature_map: Tensor, height: int, width: int) -> Tensor:
    """The middle of a map. (B, C, H, W) -> (B, C, height, width)."""
    top, left = (feature_map.shape[-2] - height) // 2, (feature_map.shape[-1] - width) // 2
    return feature_map[..., top : top + height, left : left + width]
