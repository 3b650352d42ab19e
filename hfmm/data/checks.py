"""What the values of an example must be.

Each check returns the value as models take it and notes what is wrong with it. It never raises: `load` raises the first
problem, `hfmm doctor` lists them all.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

MAX_CHARACTERS = 10_000
ROLES = {"human": "user", "gpt": "assistant", "user": "user", "assistant": "assistant", "system": "system"}
PART_TYPES = ("text", "image", "video", "audio")
IMAGE_MARK = "<image>"
_TURN = {"user", "assistant"}
IMAGE_KEYS = ("image", "path", "url")  # what names a picture in a content part


class Problem(NamedTuple):
    """One thing that is wrong with a data set.

    Attributes:
        where: File and line, or source, split and row.
        what: What is wrong there.
    """

    where: str
    what: str


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

Notes = list[str]
Check = Callable[[Any, str, Notes], Any]


def check_text(value: Any, called: str, notes: Notes) -> Any:
    """One piece of text that can be written as UTF-8, is not blank and not over-long."""
    if not isinstance(value, str):
        notes.append(f"no {called}" if value is None else f"{called} is {_kind(value)}, not text")
    elif not value.strip():
        notes.append(f"{called} is empty")
    elif len(value) > MAX_CHARACTERS:
        notes.append(f"{called} has {len(value)} characters, more than the limit of {MAX_CHARACTERS}")
    elif "\0" in value:
        notes.append(f"{called} has a NUL character")
    elif not value.isascii() and _LONE_SURROGATE.search(value):
        notes.append(f"{called} has half of a surrogate pair, which is no character")
    return value


def is_text(value: Any) -> bool:
    """Whether `check_text` would find nothing wrong."""
    notes: Notes = []
    check_text(value, "", notes)
    return not notes


def check_texts(value: Any, called: str, notes: Notes) -> Any:
    """A list of pieces of text; a single one becomes a list."""
    texts = [value] if isinstance(value, str) else value
    if texts is None or texts == []:
        notes.append(f"no {called}")
    elif not isinstance(texts, list):
        notes.append(f"{called} are {_kind(value)}, not a list of texts")
    else:
        for number, text in enumerate(texts, 1):
            check_text(text, f"{called.removesuffix('s')} {number}", notes)
    return texts


def check_images(value: Any, called: str, notes: Notes) -> Any:
    """A list of pictures, which may be empty; a single one becomes a list."""
    pictures = value if isinstance(value, list) else [] if value is None else [value]
    for number, picture in enumerate(pictures, 1):
        if picture is None:
            notes.append(f"{called.removesuffix('s')} {number} is missing")
    return pictures


def check_answer(value: Any, called: str, notes: Notes) -> Any:
    """A text; of a statement that is true or false, the word for it."""
    return str(value).lower() if isinstance(value, bool) else check_text(value, called, notes)


def check_label(names: Sequence[str] | None) -> Check:
    """A check of class labels: a name or an index becomes an index; -1 and nothing become None (no label).

    Args:
        names: Name of each class, None where classes have numbers only.
    """
    index_of = {name: index for index, name in enumerate(names or ())}

    def check(value: Any, called: str, notes: Notes) -> Any:
        if value is None or value == -1:
            return None
        if isinstance(value, str) and not is_text(value):
            return check_text(value, called, notes)
        if isinstance(value, str) and value in index_of:
            return index_of[value]
        if isinstance(value, bool) or not isinstance(value, int | str):
            notes.append(f"{called} is {_kind(value)}, not a class name or number")
        elif isinstance(value, str):
            notes.append(f"{called} '{value[:50]}' is not one of the {len(index_of)} classes")
        elif value < 0 or (names is not None and value >= len(names)):
            notes.append(f"{called} is {value}, outside 0..{len(index_of) - 1}")
        return value

    return check


def check_objects(value: Any, called: str, notes: Notes) -> Any:
    """A list of objects with a `box` [x0, y0, x1, y1]; COCO's `bbox` [x, y, width, height] becomes one."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        notes.append(f"{called} are {_kind(value)}, not a list of objects with a box")
        return value
    return [_object(item, f"object {number}", notes) for number, item in enumerate(value, 1)]


def _object(item: dict[str, Any], called: str, notes: Notes) -> dict[str, Any]:
    item = dict(item)
    if "box" not in item and _is_box(item.get("bbox")):
        left, top, width, height = item.pop("bbox")
        item["box"] = [left, top, left + width, top + height]
    if "label" not in item and "category" in item:
        item["label"] = item.pop("category")
    if not _is_box(item.get("box")):
        notes.append(f"{called} has no box of four numbers")
    elif item["box"][2] < item["box"][0] or item["box"][3] < item["box"][1]:
        notes.append(f"{called} has a box that ends before it begins: {item['box']}")
    return item


def _is_box(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 4:
        return False
    return all(isinstance(side, int | float) and isfinite(side) for side in value)


def check_messages(value: Any, called: str, notes: Notes) -> Any:
    """A dialogue: an optional system message, then user and assistant by turns.

    Takes `{"role", "content"}` with text or content parts, and LLaVA's `{"from", "value"}`; an `<image>` in a text
    becomes an image part. Takes turns `{"user", "assistant"}`, too, which do not say where pictures stand.

    Returns:
        List of `{"role", "content": [{"type": "image"} | {"type": "text", "text": str} | ...]}`.
    """
    if not isinstance(value, list) or not value or not all(isinstance(message, dict) for message in value):
        notes.append(f"{called} are {_kind(value)}, not a list of messages")
        return value
    said = [message for turn in value for message in _said(turn)]
    messages = [_message(message, f"message {number}", notes) for number, message in enumerate(said, 1)]
    roles = [message["role"] for message in messages]
    turns = roles[1:] if roles[0] == "system" else roles
    if None not in roles and turns != ["user", "assistant"] * (len(turns) // 2) + ["user"] * (len(turns) % 2):
        notes.append(f"{called} do not go user, assistant, user, ...: {', '.join(roles)}"[:200])
    return messages


def are_turns(value: Any) -> bool:
    """Whether a dialogue is a list of `{"user", "assistant"}`."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and value[0].keys() >= _TURN


def _said(turn: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The messages of a turn; a message alone is one."""
    if turn.keys() >= _TURN:
        return [{"role": role, "content": turn[role]} for role in ("user", "assistant")]
    return [turn]


def _message(message: Mapping[str, Any], called: str, notes: Notes) -> dict[str, Any]:
    said_by = message.get("role", message.get("from"))
    role = ROLES.get(said_by) if isinstance(said_by, str) else None
    if role is None:
        notes.append(f"{called} has the role {str(said_by)[:40]!r}; known: {', '.join(ROLES)}")
    content = message.get("content", message.get("value"))
    if isinstance(content, list) and content and all(isinstance(part, dict) for part in content):
        for part in content:
            kind = part.get("type")
            if kind not in PART_TYPES:
                notes.append(f"{called} has a part of type {str(kind)[:40]!r}; known: {', '.join(PART_TYPES)}")
            elif kind == "text":
                check_text(part.get("text"), f"{called} text", notes)
        return {"role": role, "content": [_given(part) for part in content]}
    check_text(content, called, notes)
    return {"role": role, "content": _parts(content) if isinstance(content, str) else []}


def _given(part: dict[str, Any]) -> dict[str, Any]:
    """A part without the keys that only other parts have, which tables fill with nothing."""
    return {key: value for key, value in part.items() if value is not None}


def _parts(text: str) -> list[dict[str, str]]:
    """Split a text at its image marks into content parts."""
    parts: list[dict[str, str]] = []
    for number, piece in enumerate(text.split(IMAGE_MARK)):
        if number:
            parts.append({"type": "image"})
        if piece.strip():
            parts.append({"type": "text", "text": piece.strip("\n")})
    return parts


def image_parts(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parts of a checked dialogue where a picture stands, in order."""
    return [part for message in messages for part in message["content"] if part.get("type") == "image"]


def lead_with_images(messages: list[dict[str, Any]], count: int) -> None:
    """Let a checked dialogue that speaks of no picture begin with so many."""
    first = next((message for message in messages if message["role"] == "user"), None)
    if first is not None and not image_parts(messages):
        first["content"] = [{"type": "image"} for _ in range(count)] + first["content"]


def take_named_images(messages: list[dict[str, Any]]) -> list[Any]:
    """Take the pictures out of the parts of a checked dialogue that name them: `{"type": "image", "path": ...}`."""
    parts = image_parts(messages)
    return [part.pop(key) for part in parts for key in IMAGE_KEYS if key in part]


def _kind(value: Any) -> str:
    """A value's type and beginning, for a message."""
    return f"{type(value).__name__} ({str(value)[:40]})"
