"""Says what an encoder that had no labels knows of classes: `python scripts/linear_probe.py RUN --data D`.

A logistic regression is fitted to the encoder's features of the training split and scored on the test split, and again
for an encoder of the same shape with random weights; how much each is held back is chosen on the validation split. The
row goes into the run's `results.json`.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import hfmm
from hfmm.device import hardware
from hfmm.evaluation import run_recipe
from hfmm.evaluation.probe import features, linear_probe
from hfmm.loading import load
from hfmm.results import add_result

STRENGTHS = (0.001, 0.01, 0.1, 1.0)
SPLITS = ("train", "validation", "test")
SEED = 0  # of the random weights


def accuracy(encoder: Any, processor: Any, splits: list[Any]) -> float:
    """Of the test split, by the strength that is best on the validation split."""
    found: list[tuple[Tensor, Tensor]] = [features(encoder, processor, split, do_pretext=False) for split in splits]
    train, validation, test = found
    strength = max(STRENGTHS, key=lambda value: linear_probe(*train, *validation, strength=value))
    return linear_probe(*train, *test, strength=strength)


def main() -> None:
    """Probe a run and print its row."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", required=True, help="with an image and a label column, and three splits")
    parser.add_argument("--limit", type=int, help="only the first so many pictures of each split")
    given = parser.parse_args()
    loaded, recipe = load(given.run), run_recipe(given.run)
    splits = [hfmm.load_data(given.data, split=split) for split in SPLITS]
    splits = [split.select(range(min(given.limit or len(split), len(split)))) for split in splits]
    torch.manual_seed(SEED)
    random = type(loaded.model.base_model)(loaded.model.config).eval()
    scores = {
        "probe": accuracy(loaded.model.base_model, loaded.processor, splits),
        "probe_of_random_weights": accuracy(random, loaded.processor, splits),
    }
    limited = f" (the first {given.limit} of each split)" if given.limit else ""
    row = {
        "data": Path(given.data).name,
        "split": SPLITS[-1],
        "examples": sum(example.get("label") is not None for example in map(splits[-1].peek, range(len(splits[-1])))),
        "metrics": scores,
        "how": f"scripts/linear_probe.py, recipe {recipe.get('name', 'default')}{limited}",
        "architecture": loaded.row.name,
        "preset": recipe.get("preset"),
        "seed": recipe.get("seed"),
        "steps": recipe.get("max_steps"),
        "hardware": hardware(),
    }
    print(add_result(given.run, row)[-1])


if __name__ == "__main__":
    main()
