"""What the training loop costs over bare forward, backward, clip and step, on the same model and batches.

    OMP_NUM_THREADS=1 python scripts/benchmarks/loop.py [--json F]

Both take turns in one process; figures are medians of CPU seconds a step.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from hfmm.device import hardware
from hfmm.nn.captioning import IGNORED
from hfmm.training.batches import loader
from hfmm.training.build import Built, build, make_accelerator
from hfmm.training.flags import recipe_of
from hfmm.training.optim import set_training

ROUNDS, STEPS = 12, 10


def prepared() -> tuple[Built, list[Any]]:
    """A run at its start, and batches for a round."""
    recipe = recipe_of("show_attend_tell", precision="fp32", overrides={"data.workers": 0})
    built = build(recipe, make_accelerator(recipe, "cpu", Path()))
    set_training(built.model)
    batches = iter(loader(built, 0))
    return built, [next(batches) for _ in range(STEPS)]


def bare(built: Built, batches: list[Any]) -> None:
    """What a hand-written script does."""
    player = built.players["model"]
    for batch in batches:
        words = (batch["labels"] != IGNORED).sum()
        loss = built.model(pixel_values=batch["pixel_values"], labels=batch["labels"], output_logits=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(player.trained, 1.0)
        player.optimizer.step()
        player.optimizer.zero_grad(set_to_none=True)
        assert words > 0
        assert loss.item() > 0


def looped(built: Built, batches: list[Any]) -> None:
    """The same through the loop."""
    for step, batch in enumerate(batches):
        built.loop.step(step, [batch])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    built, batches = prepared()
    times: dict[str, list[float]] = {"bare": [], "loop": []}
    for number in range(ROUNDS + 1):
        for name, run in (("bare", bare), ("loop", looped)):
            started = time.process_time()
            run(built, batches)
            if number:  # the first round warms up
                times[name].append((time.process_time() - started) / STEPS)
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratio = statistics.median(ours / plain for ours, plain in zip(times["loop"], times["bare"], strict=True))
    print(hardware())
    for name, median in medians.items():
        print(f"{name} {median * 1e3:.2f} ms a step")
    print(f"ratio {ratio:.3f}")
    if given.json:
        given.json.write_text(json.dumps({"hardware": hardware(), **medians, "ratio": ratio}))


if __name__ == "__main__":
    main()
