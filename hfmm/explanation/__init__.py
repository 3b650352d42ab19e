"""Why this answer: one function, one type."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from hfmm.errors import UsageError
from hfmm.explanation.base import Explanation
from hfmm.explanation.captioning import explain_caption
from hfmm.explanation.classification import explain_class
from hfmm.explanation.detection import explain_detection
from hfmm.explanation.generation import explain_generator
from hfmm.explanation.pretext import explain_pretext
from hfmm.explanation.verification import explain_face

__all__ = ["Explanation", "explain"]


def explain(where: str | Path, image: Image.Image | str | Path, device: str = "cpu", **generation: Any) -> Explanation:
    """Predict on a picture and show why.

    Args:
        where: Run directory or repository.
        image: A picture or its path.
        device: As torch names it.
        generation: Arguments of `generate`.

    Raises:
        UsageError: Nothing to load there, or a task without an explanation.
        DataError: The picture cannot be read.
    """
    from hfmm.data.images import as_picture
    from hfmm.loading import load

    loaded = load(where, device)
    task = loaded.row.tasks[0]
    if task not in EXPLAINERS:
        raise UsageError(f"{loaded.row.name} has no explanation")
    return EXPLAINERS[task](loaded.model, loaded.processor, as_picture(image), **generation)


EXPLAINERS: dict[str, Callable[..., Explanation]] = {  # by task
    "face-verification": explain_face,
    "image-captioning": explain_caption,
    "image-classification": explain_class,
    "image-feature-extraction": explain_pretext,
    "object-detection": explain_detection,
    "unconditional-image-generation": explain_generator,
}
