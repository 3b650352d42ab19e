"""What the page of a reproduced verifier shows first: how well persons whom it never saw are told apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hfmm.data.examples import Examples
from hfmm.evaluation.verification import MOST, embed_examples
from hfmm.explanation.base import Explanation
from hfmm.explanation.drawing import PAPER, panels
from hfmm.explanation.verification import NEAREST, roc_picture
from hfmm.metrics.verification import all_pairs, equal_error, roc

QUERIES = 5
BARE = (46, 56)  # pixels of pictures that are compared as they are
SIDE = 72  # pixels of a picture among those most alike


def told_apart(model: Any, processor: Any, examples: Examples) -> Explanation:
    """The curve of every two pictures, beside that of their bare pixels, and for some pictures the most alike.

    Args:
        model: A verifier on its device, in evaluation mode.
        processor: Its image processor.
        examples: Pictures with labels, of which those without are left out; the first MOST.

    Returns:
        `data` has the equal error rate `eer` of the model and that of `pixels`.
    """
    examples = examples.select(range(min(MOST, len(examples))))
    embeds, read = embed_examples(model, processor, examples)
    known = [row for row, example in enumerate(read) if example["label"] is not None]
    shown, labels = [examples[row]["image"] for row in known], [read[row]["label"] for row in known]
    curves = {"bare pixels": roc(*all_pairs(bare(shown), labels)), "this model": roc(*all_pairs(embeds[known], labels))}
    errors = {name: equal_error(curve)[0] for name, curve in curves.items()}
    drawn = roc_picture({f"{name}: EER {errors[name]:.1%}": curve[1:] for name, curve in curves.items()})
    names = [examples.label_names[label] if examples.label_names else str(label) for label in labels]
    alike = most_alike(shown, names, embeds[known])
    sheet = Image.new("RGB", (drawn.width + alike.width, max(drawn.height, alike.height)), PAPER)
    sheet.paste(drawn, (0, 0))
    sheet.paste(alike, (drawn.width, 0))
    title = f"as many wrongly refused as accepted: {errors['this model']:.1%}"
    return Explanation(title, sheet, {"eer": errors["this model"], "pixels": errors["bare pixels"]})


def bare(shown: Sequence[Image.Image]) -> NDArray[np.float64]:
    """Pictures as unit vectors of their gray levels without their mean. -> (M, D)."""
    values = np.stack([np.asarray(picture.convert("L").resize(BARE), float).ravel() for picture in shown])
    values -= values.mean(1, keepdims=True)
    lengths: NDArray[np.float64] = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.maximum(lengths, np.finfo(float).tiny)


def most_alike(shown: Sequence[Image.Image], names: Sequence[str], embeds: NDArray[np.float64]) -> Image.Image:
    """A row for each of some pictures: it, and the others nearest to it, with cosines and names."""
    found, said = [], []
    for row in np.linspace(0, len(shown) - 1, min(QUERIES, len(shown))).astype(int).tolist():
        similarity = embeds @ embeds[row]  # M
        order = [other for other in np.argsort(-similarity, kind="stable").tolist() if other != row][:NEAREST]
        found += [shown[other] for other in (row, *order)]
        said += [f"{names[row]}?", *(f"{names[other]}  {similarity[other]:.2f}" for other in order)]
    return panels(found, said, columns=1 + min(NEAREST, len(shown) - 1), side=SIDE)
