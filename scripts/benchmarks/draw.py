"""Speed of DRAW's windows, both from one product with all filters at once, against one filter at a time.

    OMP_NUM_THREADS=1 python scripts/benchmarks/draw.py [--batch 64] [--repeats 5] [--json FILE]

The plain version computes each number of a window by a product of its own, each filter by itself, and reads the picture
and the error picture one after the other; results and gradients are equal. One step's windows, one read and one write
at the sizes of the preset `paper`, forward and backward. Medians in CPU seconds of the process, in turns after one
round that does not count.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

import hfmm
from hfmm.device import hardware
from hfmm.models.generation.draw.modeling_draw import DrawModel, read

ROUNDS = 10  # steps of a turn


def together(model: DrawModel, images: Tensor, error: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """What is read and what is written, as the model does it."""
    assert model.windows is not None
    windows = model.windows(hidden)
    both = torch.cat([images.transpose(1, 2), error.transpose(1, 2)], 2)  # B H 2C W
    return read(both, windows.reads), model.write(hidden, windows)


def filters_one_by_one(model: DrawModel, hidden: Tensor, window: int, number: int) -> tuple[Tensor, Tensor, Tensor]:
    """F_Y, F_X and gamma of reading (0) or writing (1), Eqs. 19 to 26 as they stand."""
    assert model.windows is not None
    weight, bias, size = model.windows.projection.weight, model.windows.projection.bias, model.config.image_size
    numbers = range(5 * window, 5 * window + 5)
    x, y, log_variance, log_stride, log_gamma = (hidden @ weight[row] + bias[row] for row in numbers)
    center_x, center_y = (size + 1) / 2 * (x + 1), (size + 1) / 2 * (y + 1)
    delta, variance = (size - 1) / (number - 1) * log_stride.exp(), log_variance.exp()
    pixels = torch.arange(1, size + 1)
    banks = []
    for center in (center_y, center_x):
        rows = []
        for place in range(1, number + 1):
            mean = center + (place - number / 2 - 0.5) * delta
            row = (-(pixels - mean[:, None]).square() / (2 * variance[:, None])).exp()
            rows.append(row / row.sum(1, keepdim=True))
        banks.append(torch.stack(rows, 1))  # B N pixels
    return banks[0], banks[1], log_gamma.exp()[:, None, None]


def one_by_one(model: DrawModel, images: Tensor, error: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """The same, filter by filter and picture by picture."""
    config = model.config
    rows, columns, gamma = filters_one_by_one(model, hidden, 0, config.read_size)
    patches = torch.stack([gamma * (rows @ picture[:, 0] @ columns.mT) for picture in (images, error)], 1)
    rows, columns, gamma = filters_one_by_one(model, hidden, 1, config.write_size)
    patch = model.patch(hidden).unflatten(1, (config.write_size, config.write_size))
    return patches, (rows.mT @ patch @ columns / gamma)[:, None]


def gradients(model: DrawModel, run: Callable[..., tuple[Tensor, Tensor]], *inputs: Tensor) -> list[Tensor]:
    """Results, and gradients of a sum of their squares."""
    patches, added = run(model, *inputs)
    total = patches.square().sum() + added.square().sum()
    return [patches, added, *torch.autograd.grad(total, [*model.windows.parameters(), inputs[-1]])]


def main() -> None:
    """Race them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64, help="pictures (default 64)")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each (default 5)")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    given = parser.parse_args()
    torch.manual_seed(0)
    model = hfmm.create_model("draw", preset="paper")
    images, error = torch.rand(2, given.batch, 1, 28, 28)
    inputs = images, error, (0.3 * torch.randn(given.batch, 256)).requires_grad_()  # windows inside
    both = [gradients(model, run, *inputs) for run in (together, one_by_one)]
    torch.testing.assert_close(*both, rtol=1e-3, atol=1e-3)
    seconds: dict[Callable[..., tuple[Tensor, Tensor]], list[float]] = {together: [], one_by_one: []}
    for _ in range(given.repeats):
        for run, times in seconds.items():
            started = time.process_time()
            for _ in range(ROUNDS):
                gradients(model, run, *inputs)
            times.append((time.process_time() - started) / ROUNDS)
    ours, plain = (statistics.median(times) for times in seconds.values())
    figures = {"hardware": hardware(), "batch": given.batch, "seconds": ours, "plain": plain, "ratio": plain / ours}
    print(f"{hardware()}; {given.batch} pictures, median of {given.repeats}")
    print(f"a step's windows {1e3 * ours:.2f} ms   filter by filter {1e3 * plain:.2f} ms   {plain / ours:.1f} times")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
