"""Speed of the box operations against plain loops over the boxes, at equal results.

    OMP_NUM_THREADS=1 python scripts/benchmarks/boxes.py [--boxes 300] [--repeats 5] [--json FILE]

Suppression is against the sequential rule (one kept box at a time against all that are left, in torch), pooling against
a crop and a call of torch for each box: a map of 256 x 38 x 50, 7 x 7 bins. Medians in CPU seconds of the process, in
turns after one round that does not count.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d, grid_sample

from hfmm.device import hardware
from hfmm.nn.boxes import box_iou, nms, roi_align, roi_pool

BINS, SAMPLES, THRESHOLD = 7, 2, 0.7


def nms_in_turns(boxes: Tensor, scores: Tensor) -> Tensor:
    """The sequential rule."""
    left, kept = scores.sort(descending=True, stable=True).indices, []
    while len(left):
        kept.append(left[0])
        left = left[1:][box_iou(boxes[left[:1]], boxes[left[1:]])[0] <= THRESHOLD]
    return torch.stack(kept)


def pool_each(feature_map: Tensor, boxes: Tensor) -> Tensor:
    """The maxima of each box's crop."""
    height, width = feature_map.shape[-2:]
    pooled = []
    for x0, y0, x1, y1 in boxes[0].tolist():
        left, top = min(round(x0 * width), width - 1), min(round(y0 * height), height - 1)
        right, bottom = max(round(x1 * width), left + 1), max(round(y1 * height), top + 1)
        pooled.append(adaptive_max_pool2d(feature_map[0, :, top:bottom, left:right], BINS))
    return torch.stack(pooled)[None]


def align_each(feature_map: Tensor, boxes: Tensor) -> Tensor:
    """The samples of each box."""
    steps = (torch.arange(BINS * SAMPLES) + 0.5) / (BINS * SAMPLES)
    pooled = []
    for x0, y0, x1, y1 in boxes[0].tolist():
        y, x = torch.meshgrid(y0 + steps * (y1 - y0), x0 + steps * (x1 - x0), indexing="ij")
        grid = 2 * torch.stack([x, y], -1)[None] - 1
        sampled = grid_sample(feature_map, grid, padding_mode="border", align_corners=False)
        pooled.append(sampled.view(-1, BINS, SAMPLES, BINS, SAMPLES).mean((2, 4)))
    return torch.stack(pooled)[None]


def race(ours: Callable[[], Tensor], theirs: Callable[[], Tensor], repeats: int) -> tuple[float, float]:
    """Median seconds of each; refuses results that differ."""
    torch.testing.assert_close(ours(), theirs(), rtol=1e-4, atol=1e-4)
    seconds: dict[Callable[[], Tensor], list[float]] = {ours: [], theirs: []}
    for _ in range(repeats):
        for run, times in seconds.items():
            started = time.process_time()
            run()
            times.append(time.process_time() - started)
    return statistics.median(seconds[ours]), statistics.median(seconds[theirs])


def main() -> None:
    """Race them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boxes", type=int, default=300, help="boxes to pool; ten times as many are suppressed")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each (default 5)")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    given = parser.parse_args()
    torch.manual_seed(0)
    low = torch.rand(1, 10 * given.boxes, 2) * 0.7
    boxes, scores = torch.cat([low, low + 0.02 + torch.rand_like(low) * 0.28], -1), torch.rand(10 * given.boxes)
    few, feature_map = boxes[:, : given.boxes], torch.randn(1, 256, 38, 50)
    pairs = {
        "nms": (lambda: nms(boxes[0], scores, THRESHOLD), lambda: nms_in_turns(boxes[0], scores)),
        "roi_pool": (lambda: roi_pool(feature_map, few, BINS), lambda: pool_each(feature_map, few)),
        "roi_align": (lambda: roi_align(feature_map, few, BINS, SAMPLES), lambda: align_each(feature_map, few)),
    }
    print(f"{hardware()}; {given.boxes} boxes pooled, {10 * given.boxes} suppressed, median of {given.repeats}")
    figures: dict[str, object] = {"hardware": hardware(), "boxes": given.boxes}
    with torch.inference_mode():
        for name, (ours, theirs) in pairs.items():
            mine, loop = race(ours, theirs, given.repeats)
            figures[name] = {"seconds": mine, "loop": loop, "ratio": loop / mine}
            print(f"{name:10} {mine:8.4f} s   loop {loop:8.4f} s   {loop / mine:5.1f} times as fast")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
