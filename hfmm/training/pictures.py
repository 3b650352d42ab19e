"""The pictures of a run directory: the loss curve, and sample predictions as training goes on."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hfmm.data.examples import Examples
from hfmm.evaluation import Outcome
from hfmm.explanation.detection import boxes_over
from hfmm.explanation.drawing import panels
from hfmm.explanation.preview import annotated
from hfmm.training.journal import read_metrics, talk

SHOWN = 12  # samples on a sheet


def loss_curve(run: Path, quiet: bool = False) -> None:
    """Draw `loss.png` from `metrics.jsonl`, if there was a loss; say so where matplotlib is not installed."""
    rows = read_metrics(run)
    names = sorted({key for row in rows for key in row if key.split("/")[-1] == "loss"})
    if not names:
        return
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        talk("loss.png is not drawn: pip install 'hfmm[eval]' brings matplotlib", quiet)
        return
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name in names:
        points = [(row["step"], row[name]) for row in rows if name in row]
        axes.plot([step for step, _ in points], [value for _, value in points], label=name, linewidth=1)
    axes.set_xlabel("step")
    axes.set_ylabel("loss per counted item")
    if all(row.get("loss", 1) > 0 for row in rows):
        axes.set_yscale("log")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(run / "loss.png", dpi=120)


def samples(run: Path, step: int, outcome: Outcome, examples: Examples) -> None:
    """Draw a sheet of the first predictions of an evaluation.

    Predictions are pictures, words under the pictures they are of, or objects or masks that are drawn over the picture.
    """
    shown = [_shown(prediction, row, examples) for row, prediction in enumerate(outcome.predictions[:SHOWN])]
    folder = run / "samples"
    folder.mkdir(exist_ok=True)
    images, words = [image for image, _ in shown], [text for _, text in shown]
    panels(images, words, columns=4, side=220).save(folder / f"step-{step:08d}.png")


def _shown(prediction: Any, row: int, examples: Examples) -> tuple[Image.Image, str]:
    """A prediction as a picture and words."""
    if isinstance(prediction, Image.Image):
        return prediction, ""
    image = examples[row]["image"]
    if isinstance(prediction, np.ndarray):
        figure = annotated(image, (), prediction, examples.label_names)
        return figure.picture, ", ".join(name for _, name in figure.legend)
    return boxes_over(image, prediction) if isinstance(prediction, dict) else (image, prediction)
