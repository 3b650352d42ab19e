"""Draws what a retrieval model finds: `python scripts/searches.py RUN FILE.png [DATA]`.

A row a caption of the test split, and the five of 200 pictures that fit it best; its own is named.
"""

import sys

from PIL import Image

import hfmm
from hfmm.evaluation.retrieval import match
from hfmm.explanation.drawing import below, panels
from hfmm.loading import load

PICTURES, QUERIES, BEST = 200, 3, 5


def main(run: str, path: str, data: str = "scenes") -> None:
    """Draw a row of panels for each caption."""
    loaded = load(run)
    loaded.model.eval()
    examples = hfmm.load_data(data, split="test").select(range(PICTURES))
    found = [examples[row] for row in range(PICTURES)]
    pictures: list[Image.Image] = [example["image"] for example in found]
    captions = [example["captions"][0] for example in found[:QUERIES]]
    scores = match(loaded.model, loaded.processor, pictures, captions)  # pictures captions
    rows = []
    for number, caption in enumerate(captions):
        best = (-scores[:, number]).argsort()[:BEST]
        texts = [f"{place + 1}{', its own' if row == number else ''}" for place, row in enumerate(best)]
        texts[0] += f": {caption}"
        rows.append(panels([pictures[row] for row in best], texts, columns=BEST))
    below(rows).save(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
