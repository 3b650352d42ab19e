"""Labels that lie nearest to pictures, right ones in green: a panel a picture of a trained run.

python scripts/nearest_labels.py runs/devise model_cards/images/devise.png [scenes:classification test_heldout]
"""

import sys

import hfmm
from hfmm.explanation.drawing import below
from hfmm.explanation.zero_shot import explain_label
from hfmm.loading import load

SHOWN = 3  # of different labels


def main(run: str, output: str, data: str = "scenes:classification", split: str = "test_heldout") -> None:
    """Draw the first picture of each of the first labels."""
    loaded = load(run)
    examples = hfmm.load_data(data, split=split)
    names = examples.label_names or ()
    first: dict[str, int] = {}
    for row, label in zip(range(100), examples.column("label"), strict=False):
        first.setdefault(names[label], row)
    shown = [
        explain_label(loaded.model, loaded.processor, examples[row]["image"], truth).picture
        for truth, row in list(first.items())[:SHOWN]
    ]
    below(shown).save(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
