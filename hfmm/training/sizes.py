"""What the data decide of a model: its words and its classes."""

from itertools import chain, islice
from typing import Any

from transformers import ProcessorMixin

from hfmm import data, factory
from hfmm.catalogue import Row
from hfmm.data import scenes
from hfmm.data.columns import attribute_names, class_names
from hfmm.data.examples import Examples
from hfmm.data.questions import answers_of
from hfmm.data.tasks import material_of

MOST_QUESTIONS, MOST_DIALOGUES = 3000, 500  # about drawn scenes: they have no end, and few words
WITH_CLASSES = (  # tasks of which a model has an output a class
    "image-classification",
    "object-detection",
    "image-segmentation",
    "visual-question-answering",
    "zero-shot-image-classification",
)


def sizes_of(row: Row, task: str, processor: Any, examples: Examples) -> dict[str, Any]:
    """What the data decide of a model: the number of words, or the names of the classes and of attributes."""
    sizes: dict[str, Any] = {}
    if isinstance(processor, ProcessorMixin) and row.origin == "diffusers":
        sizes = {"tokenizer": processor.tokenizer}
    elif isinstance(processor, ProcessorMixin):
        sizes = dict(factory.word_sizes(factory.config_class(row), processor.tokenizer))
    if task not in WITH_CLASSES:
        return sizes
    names = answers_of(examples) if material_of(task).answers else class_names(examples)
    sizes |= {"id2label": dict(enumerate(names)), "label2id": {name: number for number, name in enumerate(names)}}
    if "id2attribute" in factory.config_class(row).__dataclass_fields__:
        sizes["id2attribute"] = dict(enumerate(attribute_names(examples)))
    return sizes


def corpus_of(name: str, examples: Examples) -> list[str] | None:
    """Captions or questions that a vocabulary is built from, else the names of classes; None for scenes, whose grammar
    it is, unless questions are asked of them.
    """
    if "messages" in examples.features:
        return _said(name, examples)
    if name.split(":")[0] == "scenes":
        if "question" not in examples.features:
            return None
        return [*scenes.vocabulary(), *islice(examples.column("question"), MOST_QUESTIONS)]
    if "question" in examples.features:
        return list(examples.column("question"))
    if "captions" not in examples.features:
        return list(examples.label_names) if examples.label_names else None
    return [caption for captions in examples.column("captions") for caption in captions]


def _said(name: str, examples: Examples) -> list[str]:
    """What is said in dialogues; of scenes, also what may be asked in a later stage."""
    messages = examples.column("messages")
    if name.split(":")[0] == "scenes":
        later = data.load("scenes:dialogue").column("messages")
        messages = chain(islice(messages, MOST_DIALOGUES), islice(later, MOST_DIALOGUES))
    parts = (part for talk in messages for message in talk for part in message["content"])
    return [part["text"] for part in parts if part["type"] == "text"]
