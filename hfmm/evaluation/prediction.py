"""Predictions for pictures on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from hfmm.data.images import decode
from hfmm.data.tables import list_pictures
from hfmm.errors import DataError, UsageError
from hfmm.loading import load


def predict(
    where: str,
    images: Sequence[Path],
    text: str | None = None,
    num_return_sequences: int = 1,
    num_beams: int | None = None,
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """Caption pictures.

    Args:
        where: Run directory or repository.
        images: Pictures, and folders of pictures.
        text: How each caption starts.
        num_return_sequences: Captions a picture, best first.
        num_beams: The model's own by default, at least as many as captions.
        device: As torch names it.

    Returns:
        A row a picture: `image`, `predictions`, `scores` (log-probabilities; None without beams).

    Raises:
        DataError: A picture cannot be read; nothing has been predicted then.
    """
    paths = [inside for path in images for inside in (list_pictures(path) if path.is_dir() else [path])]
    if not paths:
        raise DataError(f"no picture in {', '.join(map(str, images))}")
    loaded = load(where, device)
    if loaded.row.tasks[0] != "image-captioning":
        raise UsageError(f"{loaded.row.name} does not caption pictures")
    beams = max(num_beams or loaded.model.generation_config.num_beams or 1, num_return_sequences)
    rows = []
    for path in paths:
        inputs = loaded.processor(images=_read(path), text=text).to(loaded.model.device)
        with torch.inference_mode():
            output = loaded.model.generate(  # type: ignore[operator]
                **inputs,
                num_beams=beams,
                num_return_sequences=num_return_sequences,
                return_dict_in_generate=True,
                output_scores=True,
            )
        captions = loaded.processor.post_process_image_text_to_text(output.sequences)
        scores = output.sequences_scores.tolist() if beams > 1 else [None]
        rows.append({"image": str(path), "predictions": captions, "scores": scores})
    return rows


def _read(path: Path) -> Any:
    try:
        return decode(path)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
