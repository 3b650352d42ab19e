"""What detectors share: overlap, non-maximum suppression, regions of a feature map, and box regression.

Boxes are corners (x0, y0, x1, y1) in any one unit; pooling takes them in parts of the picture, 0 to 1, whatever the
size of the map. Everything is torch and vectorized, runs on any device and, but for suppression, has a gradient.

Axes: B batch, N boxes, C channels, H height, W width, P bins a side.

| paper | here |
|---|---|
| intersection over union | `box_iou` |
| non-maximum suppression, greedy (R-CNN, arXiv 1311.2524, section 2.2) | `nms` |
| the same of many pictures at once, of boxes in order | `suppress` |
| RoI max pooling (Fast R-CNN, arXiv 1504.08083, section 2.1) | `roi_pool` |
| RoIAlign (Mask R-CNN, arXiv 1703.06870, section 3) | `roi_align` |
| t_x, t_y, t_w, t_h (Faster R-CNN, arXiv 1506.01497, Eq. 2) | `encode_boxes`, `decode_boxes` |
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

BLOCK = 256  # boxes to decide on at a time in suppression: its memory is BLOCK times the number of boxes
LARGEST_GROWTH = math.log(1000 / 16)  # of a side in `decode_boxes`, so that no exponential overflows; as in Detectron


def box_area(boxes: Tensor) -> Tensor:
    """Areas, 0 for boxes without an inside. (..., 4) -> (...)."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def box_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of every pair, 0 where both are empty. (..., N, 4), (..., M, 4) -> (..., N, M)."""
    first, second = boxes[..., :, None, :], others[..., None, :, :]
    sides = torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(first[..., :2], second[..., :2])
    inside = sides.clamp(min=0).prod(-1)  # ... N M
    union = box_area(first) + box_area(second) - inside
    return inside / union.clamp(min=torch.finfo(union.dtype).tiny)


@torch.no_grad()
def nms(boxes: Tensor, scores: Tensor, threshold: float, groups: Tensor | None = None) -> Tensor:
    """Keep each box that does not overlap a kept one of a higher score; of equal scores the earlier box is first.

    Boxes are decided a block at a time, by rounds inside it: a box stays while no earlier one that stays overlaps it.
    A round settles at least the next link of the longest chain of overlaps, so rounds are few, and their end is what
    the sequential rule gives.

    Args:
        boxes: (N, 4).
        scores: (N,).
        threshold: Boxes overlap when their intersection over union is greater.
        groups: (N,), such as classes or pictures: boxes of different groups never suppress each other.

    Returns:
        (K,) positions of the boxes kept, by falling score.
    """
    left = scores.sort(descending=True, stable=True).indices
    kept = []
    while len(left):
        block, left = left[:BLOCK], left[BLOCK:]
        earlier = _overlapping(block, block, boxes, threshold, groups).triu(diagonal=1)  # N N; row before column
        stays = torch.ones(len(block), dtype=torch.bool, device=boxes.device)
        while not torch.equal(stays, settled := ~(earlier & stays[:, None]).any(0)):
            stays = settled
        kept.append(block[stays])
        left = left[~_overlapping(kept[-1], left, boxes, threshold, groups).any(0)]
    return torch.cat(kept) if kept else left


def _overlapping(rows: Tensor, columns: Tensor, boxes: Tensor, threshold: float, groups: Tensor | None) -> Tensor:
    """Whether the boxes at these positions overlap and are of one group. (N,), (M,) -> (N, M)."""
    overlap = box_iou(boxes[rows], boxes[columns]) > threshold
    return overlap if groups is None else overlap & (groups[rows, None] == groups[columns])


@torch.no_grad()
def suppress(boxes: Tensor, threshold: float) -> Tensor:
    """Which boxes of each list overlap no kept one before them: `nms` of many lists of one length, sorted already.

    Args:
        boxes: (..., N, 4), by falling score.
        threshold: Boxes overlap when their intersection over union is greater.

    Returns:
        (..., N), True for the boxes kept.
    """
    count = boxes.shape[-2]
    kept = torch.ones(boxes.shape[:-1], dtype=torch.bool, device=boxes.device)
    for start in range(0, count, BLOCK):
        end = min(start + BLOCK, count)
        overlap = box_iou(boxes[..., start:end, :], boxes[..., start:, :]) > threshold  # ... n N-start
        earlier = overlap[..., : end - start].triu(diagonal=1)  # ... n n; row before column
        stays = alive = kept[..., start:end]
        while not torch.equal(stays, settled := alive & ~(earlier & stays[..., None]).any(-2)):
            stays = settled
        kept[..., start:end] = stays
        kept[..., end:] &= ~(overlap[..., end - start :] & stays[..., None]).any(-2)
    return kept


def roi_align(feature_map: Tensor, boxes: Tensor, size: int, samples: int = 2) -> Tensor:
    """Average bilinear samples in each bin of each box; nothing is rounded.

    A bin has `samples` x `samples` points at equal distances. Pixels are valued at their centers; a point nearer to the
    edge of the map than the outermost center takes the edge's value.

    Args:
        feature_map: (B, C, H, W).
        boxes: (B, N, 4), in parts of the picture. Of a batch with less than N boxes somewhere, fill up with any box.
        size: P.
        samples: Points a bin and direction.

    Returns:
        (B, N, C, P, P).
    """
    batch, count = boxes.shape[:2]
    points = size * samples
    steps = (torch.arange(points, device=boxes.device, dtype=boxes.dtype) + 0.5) / points
    x, y = (boxes[..., start, None] * (1 - steps) + boxes[..., start + 2, None] * steps for start in (0, 1))  # B N P*S
    grid = torch.stack(torch.broadcast_tensors(x[..., None, :], y[..., :, None]), -1)  # B N P*S P*S 2
    places = (2 * grid - 1).reshape(batch, count * points, points, 2).to(feature_map.dtype)
    sampled = grid_sample(feature_map, places, padding_mode="border", align_corners=False)  # B C N*P*S P*S
    if samples > 1 and count:  # of no boxes there is nothing to average, which avg_pool2d refuses
        sampled = avg_pool2d(sampled, samples)
    bins = sampled[..., :size]  # B C N*P P
    return bins.unflatten(2, (count, size)).transpose(1, 2)  # B N C P P


def roi_pool(feature_map: Tensor, boxes: Tensor, size: int) -> Tensor:
    """The maximum of each bin of each box, whose sides are rounded to whole pixels, at least one.

    Bin i of a side of n pixels is from floor(i n / P) to ceil((i + 1) n / P), as in adaptive max-pooling of the box
    alone. A maximum over any range is one of two overlapping ranges of a power of two, which are computed once.

    Args:
        feature_map: (B, C, H, W).
        boxes: (B, N, 4), in parts of the picture.
        size: P.

    Returns:
        (B, N, C, P, P).
    """
    batch, channels, height, width = feature_map.shape
    x0, x1 = _bins(boxes[..., 0], boxes[..., 2], width, size)  # B N P
    y0, y1 = _bins(boxes[..., 1], boxes[..., 3], height, size)
    level_x, level_y = ((end - start).float().log2().floor().long() for start, end in ((x0, x1), (y0, y1)))
    levels = int(level_y.max()) + 1, int(level_x.max()) + 1
    maxima = torch.stack([_maxima(rows, levels[1], -1) for rows in _maxima(feature_map, levels[0], -2).unbind(2)], 2)
    flat = maxima.flatten(2)  # B C levels*levels*H*W
    pooled = None
    for row in (y0, y1 - 2**level_y):
        for column in (x0, x1 - 2**level_x):
            level = level_y[..., :, None] * levels[1] + level_x[..., None, :]  # B N P P
            index = (level * height + row[..., :, None]) * width + column[..., None, :]
            found = flat.gather(2, index.reshape(batch, 1, -1).expand(-1, channels, -1))  # B C N*P*P
            pooled = found if pooled is None else torch.maximum(pooled, found)
    assert pooled is not None
    return pooled.unflatten(2, (-1, size, size)).transpose(1, 2)  # B N C P P


def _bins(low: Tensor, high: Tensor, length: int, size: int) -> tuple[Tensor, Tensor]:
    """First and one past the last pixel of each bin of a side. (B, N) -> (B, N, P) each."""
    start = (low * length).round().long().clamp(0, length - 1)
    pixels = (high * length).round().long().clamp(max=length).sub(start).clamp(min=1)
    bins = torch.arange(size, device=low.device)
    first = bins * pixels[..., None] // size
    last = -(-(bins + 1) * pixels[..., None] // size)
    return start[..., None] + first, start[..., None] + last


def _maxima(feature_map: Tensor, levels: int, dim: int) -> Tensor:
    """Maxima over 1, 2, 4, ... pixels from each on in one direction. (B, C, H, W) -> (B, C, levels, H, W)."""
    found = [feature_map]
    for level in range(levels - 1):
        shifted = found[-1].roll(-(2**level), dim)  # what comes around is in no range that is asked for
        found.append(torch.maximum(found[-1], shifted))
    return torch.stack(found, 2)


def encode_boxes(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Where boxes are, as seen from anchors: t_x, t_y, t_w, t_h. (..., 4), (..., 4) -> (..., 4)."""
    centers, sides = _centers_and_sides(boxes)
    anchor_centers, anchor_sides = _centers_and_sides(anchors)
    return torch.cat([(centers - anchor_centers) / anchor_sides, (sides / anchor_sides).log()], -1)


def decode_boxes(offsets: Tensor, anchors: Tensor) -> Tensor:
    """The boxes that t_x, t_y, t_w, t_h name; inverse of `encode_boxes`. (..., 4), (..., 4) -> (..., 4)."""
    anchor_centers, anchor_sides = _centers_and_sides(anchors)
    centers = anchor_centers + offsets[..., :2] * anchor_sides
    sides = anchor_sides * offsets[..., 2:].clamp(max=LARGEST_GROWTH).exp()
    return torch.cat([centers - sides / 2, centers + sides / 2], -1)


def _centers_and_sides(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
