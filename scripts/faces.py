"""Draws how well faces are told apart: `python scripts/faces.py RUN DATA FILE.png [--columns label=NAME]`.

Above, the ROC curve over every two pictures of the test split, beside that of the bare pixels; below, for some
pictures, the pictures of the split that the model finds most alike, with their cosines and who is on them.
"""

import argparse

import numpy as np
from PIL import Image

import hfmm
from hfmm.evaluation.verification import embed_examples
from hfmm.explanation.drawing import PAPER, panels
from hfmm.explanation.verification import NEAREST, roc_picture
from hfmm.loading import load
from hfmm.metrics.verification import all_pairs, equal_error, roc

QUERIES = 5
SMALL = (46, 56)  # pixels of the bare pictures


def pixels(pictures: list[Image.Image]) -> np.ndarray:
    """Pictures as unit vectors without their mean. -> (M, D)."""
    values = np.stack([np.asarray(picture.convert("L").resize(SMALL), float).ravel() for picture in pictures])
    values -= values.mean(1, keepdims=True)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run")
    parser.add_argument("data")
    parser.add_argument("output")
    parser.add_argument("--columns")
    given = parser.parse_args()
    examples = hfmm.load_data(given.data, split="test", columns=given.columns)
    loaded = load(given.run)
    embeds, read = embed_examples(loaded.model, loaded.processor, examples)
    labels = [example["label"] for example in read]
    pictures = [examples[row]["image"] for row in range(len(examples))]
    curves = {}
    for name, vectors in (("bare pixels", pixels(pictures)), ("this model", embeds)):
        curve = roc(*all_pairs(vectors, labels))
        curves[f"{name}: EER {100 * equal_error(curve)[0]:.1f} %"] = (curve.false_accepts, curve.true_accepts)
    queries = np.linspace(0, len(pictures) - 1, QUERIES).astype(int)
    shown, said = [], []
    for row in queries.tolist():
        similarity = embeds @ embeds[row]
        order = [other for other in np.argsort(-similarity, kind="stable").tolist() if other != row][:NEAREST]
        shown += [pictures[other] for other in (row, *order)]
        said.append(f"{labels[row]}?")
        said += [f"{labels[other]}  {similarity[other]:.2f}" for other in order]
    who, curve_picture = panels(shown, said, columns=1 + NEAREST, side=72), roc_picture(curves)
    sheet = Image.new("RGB", (who.width + curve_picture.width, max(who.height, curve_picture.height)), PAPER)
    sheet.paste(curve_picture, (0, 0))
    sheet.paste(who, (curve_picture.width, 0))
    sheet.save(given.output)


if __name__ == "__main__":
    main()
