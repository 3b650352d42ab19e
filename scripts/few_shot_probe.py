"""Zero-shot beside linear probes on the same features: `python scripts/few_shot_probe.py RUN --data D`.

As in figure 6 of Radford et al. 2021: probes on 1, 2, 4, 8 and 16 examples of each class, chosen from the training
split, and the names of the classes alone, all scored on the test split. The row goes into the run's `results.json`.
"""

import argparse
from pathlib import Path

import hfmm
from hfmm.device import hardware
from hfmm.evaluation import Asked, run_recipe, score_model
from hfmm.evaluation.probe import features, few_shot_probe
from hfmm.loading import load
from hfmm.results import add_result, steps_of

SHOTS = (1, 2, 4, 8, 16)


def main() -> None:
    """Probe a run and print its row."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path, help="of a model with two towers")
    parser.add_argument("--data", required=True, help="with an image and a label column")
    parser.add_argument("--limit", type=int, help="only the first so many pictures of each split")
    given = parser.parse_args()
    loaded, recipe = load(given.run), run_recipe(given.run)
    train, test = (hfmm.load_data(given.data, split=split) for split in ("train", "test"))
    train, test = (part.select(range(min(given.limit or len(part), len(part)))) for part in (train, test))
    zero = score_model("zero-shot-image-classification", loaded.model, loaded.processor, test, Asked())
    processor = loaded.processor.image_processor
    read = [features(loaded.model.vision_model, processor, part) for part in (train, test)]  # before the projection
    probes = few_shot_probe(*read, shots=SHOTS)
    row = {
        "data": Path(given.data).name,
        "split": "test",
        "examples": len(read[1][1]),
        "metrics": {"zero_shot_top_1": zero.scores["top_1"]}
        | {f"probe_of_{count}_top_1": value for count, value in probes.items()},
        "how": f"scripts/few_shot_probe.py, recipe {recipe.get('name', 'default')}",
        "architecture": loaded.row.name,
        "preset": recipe.get("preset"),
        "seed": recipe.get("seed"),
        "steps": steps_of(given.run),
        "hardware": hardware(),
    }
    print(add_result(given.run, row)[-1])


if __name__ == "__main__":
    main()
