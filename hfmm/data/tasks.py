"""What each task learns from: the columns it needs, and what makes its batches."""

from collections.abc import Callable
from typing import Any, NamedTuple

from hfmm.data import collate
from hfmm.data.augmentation import Augmentation
from hfmm.data.dialogues import DialogueCollator
from hfmm.data.edits import EditCollator
from hfmm.data.pairs import PairCollator
from hfmm.data.questions import QuestionCollator
from hfmm.errors import unknown


class Material(NamedTuple):
    """What a task learns from.

    Attributes:
        columns: That every example has.
        collator: Makes batches, from a processor.
        compares: Batches hold several pictures of each label, which a loss compares.
        answers: Examples have answers, each of which is a class.
        speaks: Examples with captions, or questions and answers, are dialogues of one turn.
    """

    columns: tuple[str, ...]
    collator: Callable[[Any], "collate.Collator | QuestionCollator | DialogueCollator"]
    compares: bool = False
    answers: bool = False
    speaks: bool = False


MATERIALS = {  # by task
    "face-verification": Material(("image", "label"), collate.IdentityCollator, compares=True),
    "image-captioning": Material(("image", "captions"), collate.CaptionCollator),
    "image-classification": Material(("image", "label"), collate.ClassCollator),
    "image-feature-extraction": Material(("image",), collate.PictureCollator),
    "image-segmentation": Material(("image", "mask"), collate.MaskCollator),
    "image-text-retrieval": Material(("image", "captions"), PairCollator),
    "image-text-to-text": Material(("messages",), DialogueCollator, speaks=True),
    "image-to-image": Material(("image",), EditCollator),
    "object-detection": Material(("image", "objects"), collate.ObjectCollator),
    "text-to-image": Material(("image", "captions"), PairCollator),
    "unconditional-image-generation": Material(("image",), collate.PictureCollator),
    "visual-question-answering": Material(("image", "question", "answer"), QuestionCollator, answers=True),
    "zero-shot-image-classification": Material(("image", "label"), collate.ClassCollator),
}


def material_of(task: str) -> Material:
    """What a task learns from.

    Raises:
        UsageError: No such task, or none that is trained.
    """
    if task not in MATERIALS:
        raise unknown("task to make batches for", task, MATERIALS)
    return MATERIALS[task]


def collator_of(
    task: str, processor: Any, captions: str = "first", augmentation: Augmentation | None = None
) -> collate.Collator:
    """What makes the training batches of a task.

    Args:
        task: From the catalogue.
        processor: Its model's.
        captions: Which of an example's captions to learn, where there are any.
        augmentation: Changes of examples, none by default.
    """
    kind: Any = material_of(task).collator
    chooses = issubclass(kind, collate.CaptionCollator)
    collator: collate.Collator = kind(processor, captions) if chooses else kind(processor)
    if augmentation is None or augmentation == Augmentation():
        return collator
    return collate.AugmentedCollator(collator, augmentation)
