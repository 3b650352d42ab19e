"""Questions about pictures that have no single right answer, as LLaVA-Bench keeps them: a judge scores the answers.

A folder holds, by the endings of their names, `*questions.jsonl`, reference answers (`*gpt4_answer.jsonl` or
`answers_gpt4.jsonl`), what a judge who cannot see is told of the pictures (`caps_boxes*.jsonl` or `context.jsonl`), and
`rule.json`, what the judge is asked to do.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hfmm.data.json_tables import JsonLinesTable
from hfmm.errors import DataError

QUESTIONS = ("*questions.jsonl",)
REFERENCES = ("*gpt4_answer.jsonl", "answers_gpt4.jsonl")
CONTEXTS = ("caps_boxes*.jsonl", "context.jsonl")
RULES = "rule.json"
PREFIXES = ("", "COCO_val2014_", "COCO_train2014_")  # that the file of a picture may have and a question does not say


class OpenQuestion(NamedTuple):
    """A question, and what a judge needs to score answers to it.

    Attributes:
        id: Of the question.
        image: Name of the file of the picture.
        text: The question.
        category: `conv`, `detail` or `complex`.
        context: The picture in words.
        reference: The answer that others are compared with.
        rule: What the judge is asked to do.
        role: What the judge calls whoever answers.
    """

    id: str
    image: str
    text: str
    category: str
    context: str
    reference: str
    rule: str
    role: str

    def review_prompt(self, answer: str) -> str:
        """What the judge is sent: the picture in words, the question, the reference answer first, and the rule."""
        answers = "".join(
            f"[{self.role} {number}]\n{text}\n\n[End of {self.role} {number}]\n\n"
            for number, text in enumerate((self.reference, answer), 1)
        )
        return f"[Context]\n{self.context}\n\n[Question]\n{self.text}\n\n{answers}[System]\n{self.rule}\n\n"


def read_open_questions(folder: str | Path) -> list[OpenQuestion]:
    """The questions of a folder, in their order.

    Raises:
        DataError: A file is missing or cannot be read, or a question has no reference, context or rule.
    """
    folder = Path(folder)
    references = {str(row["question_id"]): row for row in rows_of(_file(folder, REFERENCES), ("question_id", "text"))}
    contexts = {row["image"]: _context(row) for row in rows_of(_file(folder, CONTEXTS), ("image",))}
    rules = _rules(folder)
    found = []
    for row in rows_of(_file(folder, QUESTIONS), ("question_id", "image", "text", "category")):
        name, category = str(row["question_id"]), row["category"]
        rule = rules.get(category) or rules.get(f"llava_bench_{category}")
        missing = {"reference answer": references.get(name), "context": contexts.get(row["image"]), "rule": rule}
        for what, value in missing.items():
            if value is None:
                raise DataError(f"{folder}: question {name} has no {what}")
        assert rule is not None
        found.append(
            OpenQuestion(
                name, row["image"], row["text"].strip(), category, contexts[row["image"]], references[name]["text"],
                rule["prompt"], rule["role"],
            )
        )  # fmt: skip
    return found


def find_pictures(questions: Sequence[OpenQuestion], folder: Path) -> dict[str, Path]:
    """The file of each picture that is asked about.

    Raises:
        DataError: Some are not in the folder.
    """
    names = dict.fromkeys(question.image for question in questions)
    found = {
        name: next((path for prefix in PREFIXES if (path := folder / f"{prefix}{name}").is_file()), None)
        for name in names
    }
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise DataError(f"{len(missing)} of {len(found)} pictures are not in {folder}, the first is {missing[0]}")
    return {name: path for name, path in found.items() if path is not None}


def rows_of(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file, each with these keys.

    Raises:
        DataError: There is no such file, or a line is not so.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    table = JsonLinesTable(path)
    rows = []
    for number in range(len(table)):
        try:
            row = table.row(number)
        except DataError as error:
            raise DataError(f"{table.where(number)}: {error}") from error
        for column in columns:
            if row.get(column) is None:
                raise DataError(f"{table.where(number)}: no {column}")
        rows.append(row)
    return rows


def _file(folder: Path, patterns: Sequence[str]) -> Path:
    """The one file of such a name."""
    found = sorted({path for pattern in patterns for path in folder.glob(pattern)})
    if len(found) != 1:
        number = "no file" if not found else f"{len(found)} files"
        raise DataError(f"{folder} holds {number} of the name {' or '.join(patterns)}: it is no set of open questions")
    return found[0]


def _context(row: Mapping[str, Any]) -> str:
    """A picture in words: its captions, and its boxes where they are known."""
    captions = row.get("captions") or row.get("caption") or []
    text = captions if isinstance(captions, str) else "\n".join(captions)
    if "instances" not in row:
        return text
    return text + "\n\n" + "\n".join(f"{thing['category']}: {thing['bbox']}" for thing in row["instances"])


def _rules(folder: Path) -> dict[str, dict[str, str]]:
    path = folder / RULES
    try:
        rules: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
        valid = all(isinstance(rule[key], str) for rule in rules.values() for key in ("prompt", "role"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        valid = False
    if not valid:
        raise DataError(f"{path} does not say, for each category, the judge's prompt and role")
    return rules
