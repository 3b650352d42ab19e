"""Predictions for pictures on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from hfmm.data.images import decode
from hfmm.data.tables import list_pictures
from hfmm.errors import DataError, UsageError
from hfmm.evaluation.generation import draw
from hfmm.explanation.detection import find_objects, listed
from hfmm.loading import Loaded, load


def predict(
    where: str,
    images: Sequence[Path],
    text: str | None = None,
    num_return_sequences: int = 1,
    num_beams: int | None = None,
    device: str = "cpu",
    output: Path | None = None,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Caption pictures, find objects in them, or draw new ones.

    Args:
        where: Run directory or repository.
        images: Pictures, and folders of pictures.
        text: How each caption starts.
        num_return_sequences: Captions a picture, best first; pictures that a generator draws.
        num_beams: The model's own by default, at least as many as captions.
        device: As torch names it.
        output: The folder that a generator draws into.
        seed: Of what a generator draws.

    Returns:
        A row a picture: `image`, `predictions`, `scores` (log-probabilities; None without beams); of a detector
        `image` and `objects`, each with `label`, `score` and `box`; of a generator `image`, the file that was written.

    Raises:
        UsageError: No pictures were named, a generator got no folder, or there is nothing to predict.
        DataError: A picture cannot be read; nothing has been predicted then.
    """
    loaded = load(where, device)
    task = loaded.row.tasks[0]
    if task == "unconditional-image-generation":
        return _drawn(loaded, num_return_sequences, output, seed)
    if task not in ("image-captioning", "object-detection"):
        raise UsageError(f"{loaded.row.name} does not caption pictures")
    if not images:
        verb = "captions" if task == "image-captioning" else "finds objects in"
        raise UsageError(f"{loaded.row.name} {verb} pictures: name them with --image")
    paths = [inside for path in images for inside in (list_pictures(path) if path.is_dir() else [path])]
    if not paths:
        raise DataError(f"no picture in {', '.join(map(str, images))}")
    if task == "object-detection":
        found = [find_objects(loaded.model, loaded.processor, [_read(path)])[0] for path in paths]
        return [{"image": str(path), "objects": listed(row)} for path, row in zip(paths, found, strict=True)]
    beams = max(num_beams or loaded.model.generation_config.num_beams or 1, num_return_sequences)
    rows = []
    for path in paths:
        inputs = loaded.processor(images=_read(path), text=text).to(loaded.model.device)
        with torch.inference_mode():
            found = loaded.model.generate(  # type: ignore[operator]
                **inputs,
                num_beams=beams,
                num_return_sequences=num_return_sequences,
                return_dict_in_generate=True,
                output_scores=True,
            )
        captions = loaded.processor.post_process_image_text_to_text(found.sequences)
        scores = found.sequences_scores.tolist() if beams > 1 else [None]
        rows.append({"image": str(path), "predictions": captions, "scores": scores})
    return rows


def _drawn(loaded: Loaded, count: int, output: Path | None, seed: int) -> list[dict[str, Any]]:
    """Write pictures of a generator, numbered from 0."""
    if output is None:
        raise UsageError(f"{loaded.row.name} draws pictures: name the folder to write them to with --output")
    output.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, picture in enumerate(draw(loaded.model, count, seed)):
        path = output / f"{number:04d}.png"
        picture.save(path)
        rows.append({"image": str(path)})
    return rows


def _read(path: Path) -> Any:
    try:
        return decode(path)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
