"""Why this answer: one function, one type."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from hfmm.errors import UsageError
from hfmm.explanation.answering import explain_answer
from hfmm.explanation.base import Explanation
from hfmm.explanation.captioning import explain_caption
from hfmm.explanation.classification import explain_class
from hfmm.explanation.collection import explain_collection
from hfmm.explanation.conversing import explain_dialogue
from hfmm.explanation.denoising import explain_denoising
from hfmm.explanation.detection import explain_detection
from hfmm.explanation.editing import explain_edit
from hfmm.explanation.generation import explain_generator
from hfmm.explanation.matching import explain_match, explain_pairs
from hfmm.explanation.pretext import explain_pretext
from hfmm.explanation.samples import explain_samples
from hfmm.explanation.segmentation import explain_segmentation
from hfmm.explanation.verification import explain_face
from hfmm.explanation.zero_shot import explain_label

if TYPE_CHECKING:
    from hfmm.data.examples import Examples

__all__ = ["Explanation", "explain"]


def explain(
    where: str | Path,
    image: Image.Image | str | Path | None = None,
    device: str = "cpu",
    data: "Examples | None" = None,
    **options: Any,
) -> Explanation:
    """Predict on a picture and show why, or show how the model sees a collection of pictures.

    Args:
        where: Run directory or repository.
        image: A picture or its path.
        device: As torch names it.
        data: Examples to map by their codes, instead of a picture, see [`explain_collection`]; for retrieval, pictures
            and captions to compare, see [`explain_pairs`]; for a generator, pictures among which to look for those
            nearest to new ones, see [`explain_samples`].
        options: Of the task's explanation: arguments of `generate`, `truth` of a classifier.

    Raises:
        UsageError: Neither or both are given, nothing to load there, or a task without an explanation.
        DataError: A picture cannot be read.
    """
    from hfmm.data.images import as_picture
    from hfmm.loading import load

    if (image is None) == (data is None):
        raise UsageError("explain takes a picture, or data to map")
    loaded = load(where, device)
    task = loaded.row.tasks[0]
    if data is not None:
        if task == RETRIEVAL and "captions" in data.features:
            return explain_pairs(loaded.model, loaded.processor, data, **options)
        if task == GENERATES:
            return explain_samples(loaded.model, loaded.processor, data)
        if task not in WITH_CODES:
            raise UsageError(f"{loaded.row.name} has no codes of pictures to map: its task is {task}")
        return explain_collection(loaded.model, loaded.processor, data, **options)
    if "texts" in options and task not in WITH_TEXTS:
        raise UsageError(f"{loaded.row.name} takes no texts: its task is {task}")
    if task not in EXPLAINERS:
        raise UsageError(f"{loaded.row.name} has no explanation")
    return EXPLAINERS[task](loaded.model, loaded.processor, as_picture(image), **options)  # type: ignore[arg-type]


RETRIEVAL, ANSWERING = "image-text-retrieval", "visual-question-answering"
CONVERSING, VERIFIES = "image-text-to-text", "face-verification"
GENERATES, DRAWS_TEXTS = "unconditional-image-generation", "text-to-image"
WITH_TEXTS = (RETRIEVAL, ANSWERING, CONVERSING, DRAWS_TEXTS)
EXPLAINERS: dict[str, Callable[..., Explanation]] = {  # by task
    VERIFIES: explain_face,
    "image-captioning": explain_caption,
    "image-classification": explain_class,
    "image-feature-extraction": explain_pretext,
    "object-detection": explain_detection,
    "image-segmentation": explain_segmentation,
    "image-to-image": explain_edit,
    RETRIEVAL: explain_match,
    DRAWS_TEXTS: explain_denoising,
    GENERATES: explain_generator,
    ANSWERING: explain_answer,
    CONVERSING: explain_dialogue,
    "zero-shot-image-classification": explain_label,
}
WITH_CODES = (  # tasks whose models look at pictures alone
    "image-classification",
    "object-detection",
    "image-segmentation",
    "image-feature-extraction",
    VERIFIES,
)
