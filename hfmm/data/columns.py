"""Which column of a data set is which column of an example: what the user says first, then the common names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from hfmm.data.checks import (
    Check,
    Notes,
    are_turns,
    check_answer,
    check_images,
    check_label,
    check_messages,
    check_objects,
    check_text,
    check_texts,
    image_parts,
    lead_with_images,
    take_named_images,
)
from hfmm.data.examples import Example, Examples, printable
from hfmm.data.multiple_choice import RIGHT, spell_out
from hfmm.errors import DataError, UsageError, unknown

KINDS = {
    "image": "image",
    "images": "images",
    "mask": "mask",
    "captions": "texts",
    "text": "text",
    "question": "text",
    "answer": "text",
    "label": "label",
    "objects": "objects",
    "messages": "messages",
    "audio": "audio",
    "video": "video",
    "id": "text",
}
IGNORED = 255  # class of pixels of which nothing is known
COMMON_NAMES = {
    "image": ("image", "photo", "img", "file_name"),
    "captions": ("captions", "caption", "sentences", "text"),
    "label": ("label", "labels"),
    "question": ("question", "questions"),
    "answer": ("answer", "answers"),
    "messages": ("messages", "conversations"),
}
QUESTIONS_AND_ANSWERS = (("instruction", "output"), ("prompt", "completion"), ("query", "response"))
_CHECKS: dict[str, Check] = {
    "images": check_images,
    "captions": check_texts,
    "text": check_text,
    "question": check_text,
    "answer": check_answer,
    "objects": check_objects,
    "messages": check_messages,
}


def parse_columns(columns: str | Mapping[str, str] | None) -> dict[str, str]:
    """Read `image=photo,captions=sentences` into {example column: data column}.

    Raises:
        UsageError: Not of that form, or no such example column.
    """
    if columns is None:
        return {}
    if isinstance(columns, str):
        pairs = [pair.strip().partition("=") for pair in columns.split(",")]
        if not all(target and source for target, _, source in pairs):
            raise UsageError(f"columns '{columns}': write them as image=photo,captions=sentences")
        columns = {target.strip(): source.strip() for target, _, source in pairs}
    for target in columns:
        if target not in KINDS:
            raise unknown("example column", target, KINDS)
    return dict(columns)


@dataclass(frozen=True)
class ColumnMap:
    """How a row of a data set becomes an example.

    Attributes:
        sources: Example column -> data column, every column of the example.
        features: Example column -> kind.
        paired: Rows hold lists of questions and answers, each pair of them an example.
        choices: Rows hold multiple-choice questions, with a picture or without.
        checks: What looks at the values, by example column.
    """

    sources: dict[str, str]
    features: dict[str, str]
    paired: bool = False
    choices: bool = False
    checks: dict[str, Check] = field(default_factory=dict)

    def count(self, row: Mapping[str, Any]) -> int:
        """How many examples a row holds; a row that is wrong counts as one, so that it is met and reported."""
        if not self.paired:
            return 1
        questions, answers = (row.get(self.sources[column]) for column in ("question", "answer"))
        if isinstance(questions, list) and isinstance(answers, list) and len(questions) == len(answers):
            return max(1, len(questions))
        return 1

    def convert(self, row: Mapping[str, Any], pair: int, notes: Notes) -> Example:
        """The example of a row, pictures not decoded.

        Args:
            row: Data column -> value; a column that the row lacks is None.
            pair: Which question and answer, where rows hold lists of them.
            notes: Gets what is wrong with the values.
        """
        example: Example = {target: row.get(source) for target, source in self.sources.items()}
        silent = are_turns(example.get("messages"))  # about where pictures stand
        if self.choices:
            spell_out(example, notes)
        elif self.paired:
            self._take_pair(example, pair, notes)
        elif isinstance(answers := example.get("answer"), list) and answers:
            # Several people answered one question (VQA v2): all are kept, the most frequent is what is learned.
            example |= {"answers": answers, "answer": max(answers, key=answers.count)}
        for column, check in self.checks.items():
            example[column] = check(example[column], column, notes)
        if "messages" in example:
            self._check_dialogue(example, silent, notes)
        elif "image" in example and example["image"] is None and not self.choices:
            notes.append("no image")
        return example

    def _check_dialogue(self, example: Example, silent: bool, notes: Notes) -> None:
        """Note where a dialogue speaks of more or fewer pictures than there are, and where nobody answers."""
        named = not {"image", "images"} & self.sources.keys()  # the parts name the pictures, if there are any
        if named:
            example["images"] = []
        if notes:
            return
        if named:
            example["images"] = take_named_images(example["messages"])
        elif silent:
            lead_with_images(example["messages"], len(pictures_of(example)))
        spoken, shown = len(image_parts(example["messages"])), len(pictures_of(example))
        if spoken != shown:
            notes.append(f"the messages speak of {spoken} images but the row has {shown}")
        if all(message["role"] != "assistant" for message in example["messages"]):
            notes.append("the assistant says nothing")

    def with_labels(self, names: Sequence[str] | None) -> "ColumnMap":
        """The same map with a check of the label column; `names` are those of the classes, None for plain numbers."""
        return replace(self, checks=self.checks | {"label": check_label(names)})

    @staticmethod
    def _take_pair(example: Example, pair: int, notes: Notes) -> None:
        questions, answers = example["question"], example["answer"]
        if not isinstance(questions, list) or not isinstance(answers, list):
            notes.append("questions and answers are not both lists")
        elif len(questions) != len(answers):
            notes.append(f"{len(questions)} questions but {len(answers)} answers")
        elif not questions:
            notes.append("no questions")
        else:
            example["question"], example["answer"] = questions[pair], answers[pair]
            return
        example["question"] = example["answer"] = "?"  # said above; the checks need not say it again


def map_columns(kinds: Mapping[str, str], explicit: Mapping[str, str], place: str) -> ColumnMap:
    """Decide which column is which.

    Args:
        kinds: Data column -> kind, as far as the source knows.
        explicit: Example column -> data column, from `parse_columns`.
        place: What errors call the data.

    Raises:
        DataError: The data has no such column.
    """
    for target, source in explicit.items():
        if source not in kinds:
            near = get_close_matches(source, kinds, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise DataError(
                f"{place} has no column '{source}' (for {target}): {hint}it has {printable(', '.join(kinds))}"
            )
    sources = dict(explicit)
    for target, names in COMMON_NAMES.items():
        found = next((name for name in names if _fits(target, name, kinds) and name not in sources.values()), None)
        if target not in sources and found is not None:
            sources[target] = found
    pairs = (pair for pair in QUESTIONS_AND_ANSWERS if all(kinds.get(name) == "text" for name in pair))
    if not {"question", "answer", "messages"} & sources.keys():
        sources |= dict(zip(("question", "answer"), next(pairs, ()), strict=False))
    if kinds.get(sources.get("image", "")) in ("texts", "images"):  # several pictures a row
        sources["images"] = sources.pop("image")
    if "image" not in sources and sources.get("captions") == "text":
        del sources["captions"]  # text without a picture describes none: it stays `text`
    taken = set(sources.values())
    sources |= {name: name for name in kinds if name not in taken and name not in sources}
    features = {target: KINDS.get(target, kinds[source]) for target, source in sources.items()}
    if "messages" in sources and not {"image", "images"} & sources.keys():
        features["images"] = "images"  # those that content parts name
    checks = {column: check for column, check in _CHECKS.items() if column in sources}
    paired = "answer" in sources and kinds.get(sources.get("question", "")) == "texts"
    choices = {"question", "answer", "choices"} <= sources.keys() and kinds[sources["answer"]] in ("number", "label")
    features |= {"question": "text", "answer": "text"} if paired or choices else {}
    return ColumnMap(sources, features | ({RIGHT: "number"} if choices else {}), paired, choices, checks)


def pictures_of(example: Mapping[str, Any]) -> list[Any]:
    """The pictures of an example, in the order in which its messages speak of them: one, several or none."""
    if example.get("images") is not None:
        return list(example["images"])
    return [] if example.get("image") is None else [example["image"]]


def _fits(target: str, name: str, kinds: Mapping[str, str]) -> bool:
    """Whether a column of that common name can be that example column: a list of labels is not a label."""
    return name in kinds and not (target == "label" and kinds[name] in ("value", "texts"))


def require(examples: Examples, needed: Iterable[str], task: str) -> None:
    """Raise DataError unless the examples have the columns that a task needs."""
    for column in needed:
        if column not in examples.features:
            raise DataError(
                f"{examples.name} {examples.split} has no column '{column}', which {task} needs: it has "
                f"{', '.join(examples.features)}; name the one to take with --columns {column}=NAME"
            )


def class_names(examples: Examples) -> tuple[str, ...]:
    """Names of the classes of examples; of objects and pixels whose classes have numbers only, made up."""
    if examples.label_names is not None:
        return examples.label_names
    numbers: list[int] = []
    if "objects" in examples.features:
        labels = (thing.get("label") for objects in examples.column("objects") for thing in objects)
        numbers = [label for label in labels if isinstance(label, int)]
    elif examples.features.get("mask") == "mask":
        masks = (example["mask"] for example in examples)
        numbers = [int(mask.max(where=mask != IGNORED, initial=0)) for mask in masks if mask is not None]
    return tuple(f"class {number}" for number in range(1 + max(numbers, default=-1)))


def attribute_names(examples: Examples) -> tuple[str, ...]:
    """Names of the attributes of objects; of those that have numbers only, made up.

    Raises:
        DataError: An object has attributes that are no list of numbers.
    """
    if examples.attribute_names is not None or "objects" not in examples.features:
        return examples.attribute_names or ()
    most = -1
    for objects in examples.column("objects"):
        for thing in objects:
            numbers = thing.get("attributes") or []
            if not isinstance(numbers, list) or not all(isinstance(number, int) for number in numbers):
                raise DataError(f"{examples.name} has an object with attributes {numbers!r}: give a list of numbers")
            most = max(most, *numbers, -1)
    return tuple(f"attribute {number}" for number in range(1 + most))
