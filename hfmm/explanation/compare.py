"""The same picture through several models, side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from hfmm.data.images import as_picture
from hfmm.errors import UsageError
from hfmm.explanation.base import Explanation
from hfmm.explanation.captioning import explain_caption
from hfmm.explanation.drawing import FONT_SIZE, INK, MARGIN, PAPER, beside, font, panels, wrap
from hfmm.explanation.overlay import SIDE, overlay, seen_by
from hfmm.loading import Loaded, load

COLUMNS = 3  # panels beside each other within one model


def compare(
    runs: Sequence[str | Path], image: Image.Image | str | Path, device: str = "cpu", **generation: Any
) -> Explanation:
    """Predict on one picture with several models.

    Args:
        runs: Run directories or repositories, two or more.
        image: A picture or its path.
        device: As torch names it.
        generation: Arguments of `generate`, the same for all.

    Returns:
        A column a model; `data["models"]` holds for each `run`, `architecture`, `caption`, `score` (the sequence score
        of `generate`, None without beams) and what its own explanation holds.

    Raises:
        UsageError: Fewer than two runs, nothing to load in one, or a task that cannot be compared.
        DataError: The picture or a file of a run cannot be read.
    """
    if len(runs) < 2:
        raise UsageError("compare needs two runs or more")
    picture = as_picture(image)
    columns, models = [], []
    for run in runs:
        loaded = load(run, device)
        if loaded.row.tasks[0] != "image-captioning":
            raise UsageError(f"{run}: {loaded.row.name} is no captioner, and only captioners can be compared")
        explanation = explain_caption(loaded.model, loaded.processor, picture, **generation)
        score = _score(loaded, picture, generation)
        columns.append(_column(loaded, picture, explanation, score))
        models.append({"run": str(run), "architecture": loaded.row.name, "score": score, **explanation.data})
    title = " | ".join(f"{model['run']}: {model['caption']}" for model in models)
    return Explanation(title, beside(columns), {"models": models})


def _score(loaded: Loaded, picture: Image.Image, generation: dict[str, Any]) -> float | None:
    """The sequence score of the caption; greedy decoding reports none."""
    model: Any = loaded.model
    inputs = loaded.processor(images=picture).to(model.device)
    asked = {**generation, "return_dict_in_generate": True, "output_scores": True}
    with torch.inference_mode():
        scores = model.generate(**inputs, **asked).get("sequences_scores")
    return None if scores is None else float(scores[0])


def _column(loaded: Loaded, picture: Image.Image, explanation: Explanation, score: float | None) -> Image.Image:
    """One model: its name, its score, and the sheet of its explanation, COLUMNS panels wide where it has words."""
    sheet = explanation.picture
    if "attention" in explanation.data:
        seen = seen_by(loaded.processor, picture)
        lit = [overlay(seen, np.asarray(attention)) for attention in explanation.data["attention"]]
        texts = [explanation.data["caption"], *explanation.data["words"]]
        sheet = panels([seen, *lit], texts, columns=COLUMNS, side=SIDE)
    lines = [
        *wrap(loaded.row.title, sheet.width - 2 * MARGIN),
        *wrap(loaded.where, sheet.width - 2 * MARGIN),
        "greedy" if score is None else f"score {score:.2f}",
    ]
    step = FONT_SIZE + 4
    column = Image.new("RGB", (sheet.width, sheet.height + step * len(lines) + 2 * MARGIN), PAPER)
    draw = ImageDraw.Draw(column)
    for number, line in enumerate(lines):
        draw.text((MARGIN, MARGIN + number * step), line, INK, font())
    column.paste(sheet, (0, 2 * MARGIN + len(lines) * step))
    return column
