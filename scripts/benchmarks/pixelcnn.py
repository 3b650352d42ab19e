"""Drawing with cached rows against running the whole net for every pixel, at equal pictures.

    OMP_NUM_THREADS=1 python scripts/benchmarks/pixelcnn.py [--preset mnist] [--count 4] [--repeats 3] [--json FILE]

Random weights, one seed of the draws. Medians in CPU seconds of the process, in turns after one round that does not
count.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

import hfmm
from hfmm.device import hardware


def seconds(model: torch.nn.Module, count: int, cached: bool) -> tuple[float, torch.Tensor]:
    """CPU seconds of one drawing, and what was drawn."""
    started = time.process_time()
    images = model.generate_images(count, torch.Generator().manual_seed(0), use_cache=cached)  # type: ignore[operator]
    return time.process_time() - started, images


def main() -> None:
    """Race them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="mnist", help="of the model (default mnist)")
    parser.add_argument("--count", type=int, default=4, help="pictures at a time")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each (default 3)")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    given = parser.parse_args()
    torch.manual_seed(0)
    model = hfmm.create_model("pixelcnn", preset=given.preset).eval()
    times: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(given.repeats + 1):
        drawn = []
        for cached, spent in times.items():
            took, images = seconds(model, given.count, cached)
            drawn.append(images)
            if turn:
                spent.append(took)
        if not torch.equal(*drawn):
            raise SystemExit("the two drew different pictures")
    fast, slow = (statistics.median(times[cached]) for cached in (True, False))
    side = model.config.image_size
    print(f"{hardware()}; {given.count} pictures of {side} x {side}, median of {given.repeats}")
    print(f"cached rows {fast:8.3f} s   whole net {slow:8.3f} s   {slow / fast:5.1f} times as fast")
    if given.json:
        figures = {"hardware": hardware(), "preset": given.preset, "count": given.count}
        given.json.write_text(
            json.dumps(figures | {"seconds": fast, "whole": slow, "ratio": slow / fast}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
