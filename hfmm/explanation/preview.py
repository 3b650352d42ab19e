"""Examples of any data set as cards: pictures with what is known of them, and words, by the kind of each column."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from hfmm.data.examples import Example, Examples
from hfmm.explanation.media import (
    FRAMES,
    IGNORE_INDEX,
    Color,
    color_of,
    enlarged,
    flow_pictures,
    strip,
    waveform,
    with_boxes,
    with_mask,
)

SIDE = 256  # pixels of a picture's longer side
WIDE = 552  # pixels that a strip of frames may take
TEXTS = 5  # of a list, at most
LENGTH = 300  # characters of a text, at most
_MOVING = ("video", "flow")
_MEDIA = ("image", "images", "mask", "audio", *_MOVING)


class Figure(NamedTuple):
    """A drawn picture.

    Attributes:
        picture: RGB.
        legend: What each color is.
        note: What it shows, where that is not plain.
    """

    picture: Image.Image
    legend: tuple[tuple[Color, str], ...] = ()
    note: str = ""


class Line(NamedTuple):
    """Words of an example; `role` is label, caption, question, answer, user, assistant or note."""

    role: str
    text: str


class Card(NamedTuple):
    """One example."""

    title: str
    figures: tuple[Figure, ...]
    lines: tuple[Line, ...]


def is_wide(examples: Examples) -> bool:
    """Whether cards hold strips of frames."""
    return any(kind in _MOVING or column in _MOVING for column, kind in examples.features.items())


def cards(examples: Examples, count: int) -> Iterator[Card]:
    """The first examples as cards.

    Raises:
        DataError: An example cannot be read.
    """
    width = WIDE if is_wide(examples) else SIDE
    names = examples.label_names
    drawn = examples.sized(SIDE, SIDE)
    for row in range(count):
        example = drawn[row]
        kinds = {column: _kind(column, kind, example.get(column)) for column, kind in examples.features.items()}
        figures = tuple(_figures(example, kinds, names, width))
        lines = sorted(_lines(example, kinds, names), key=lambda line: line.role == "note")
        yield Card(example["id"], figures, tuple(lines))


def _kind(column: str, kind: str, value: Any) -> str:
    """The kind that a value is drawn as: media that are not there, or not decoded, are told and not drawn."""
    kind = column if column == "flow" else kind
    if kind in ("audio", *_MOVING):
        samples = _samples(value)
        return kind if isinstance(samples, np.ndarray) and len(samples) else "value"
    return "value" if value is None and kind in ("image", "mask") else kind


def _samples(value: Any) -> Any:
    """The array of a sound, clip or flow, of which lists and the dicts of `datasets` are other forms."""
    if isinstance(value, dict):
        value = value.get("array")
    return np.asarray(value) if isinstance(value, list) and value else value


def _figures(example: Example, kinds: dict[str, str], names: Sequence[str] | None, width: int) -> Iterator[Figure]:
    over = {kind: example[column] for column, kind in kinds.items() if kind in ("objects", "mask")}
    for column, kind in kinds.items():
        if column == "image" and kind == "image":
            yield annotated(example["image"], over.get("objects") or (), over.get("mask"), names)
        elif kind == "image":
            yield Figure(enlarged(example[column], SIDE, SIDE), note=column)
        elif kind == "images":
            yield from (Figure(enlarged(picture, SIDE, SIDE)) for picture in example[column])
        elif kind == "mask" and kinds.get("image") != "image":
            empty = Image.new("RGB", example[column].shape[1::-1], "white")
            yield annotated(empty, (), example[column], names)
        elif kind == "video":
            frames = [Image.fromarray(frame) for frame in _samples(example[column])]
            yield Figure(strip(frames, width), note=_times(len(frames), "frames"))
        elif kind == "flow":
            flow = _samples(example[column])
            fastest = float(np.linalg.norm(flow, axis=-1).max(initial=0))
            note = f"{_times(len(flow), 'flow')}, hue is direction, up to {fastest:.1f} pixels a frame"
            yield Figure(strip(flow_pictures(flow), width), note=note)
        elif kind == "audio":
            yield _sound(example, column, width)


def _times(count: int, what: str) -> str:
    return f"{what}, {count}" if count <= FRAMES else f"{what}, {FRAMES} of {count}"


def annotated(
    picture: Image.Image, objects: Sequence[dict[str, Any]], mask: Any, names: Sequence[str] | None
) -> Figure:
    """A picture with its mask, then its boxes, drawn over it, and the legend of both.

    Args:
        picture: RGB.
        objects: With `box` in pixels of the picture, and `label`.
        mask: (H, W) classes; None without.
        names: Of the classes; one called background is not tinted.
    """
    drawn = enlarged(picture, SIDE, SIDE)
    legend: dict[tuple[Color, str], None] = {}
    if mask is not None:
        hidden = None if names and names[0] != "background" else 0
        drawn = with_mask(drawn, np.asarray(mask), hidden)
        present = [int(number) for number in np.unique(mask) if number != hidden]
        legend |= dict.fromkeys((color_of(number), _class_name(number, names)) for number in present)
    if objects:
        called = [_object_name(thing, number, names) for number, thing in enumerate(objects)]
        others = list(dict.fromkeys(called))  # a color a name, where classes have no numbers
        labels = [thing.get("label") for thing in objects]
        colors = [
            color_of(label if isinstance(label, int) else others.index(name))
            for label, name in zip(labels, called, strict=True)
        ]
        sides = np.array([*picture.size, *picture.size])
        drawn = with_boxes(drawn, [(np.array(thing["box"]) / sides).tolist() for thing in objects], colors)
        legend |= dict.fromkeys(zip(colors, called, strict=True))
    return Figure(drawn, tuple(legend))


def _class_name(number: int, names: Sequence[str] | None) -> str:
    if number == IGNORE_INDEX:
        return "ignore"
    return names[number] if names and 0 <= number < len(names) else f"class {number}"


def _object_name(thing: dict[str, Any], position: int, names: Sequence[str] | None) -> str:
    label = thing.get("label")
    if label is None:
        said = " ".join(str(thing[part]) for part in ("color", "shape") if part in thing)
        return said or f"object {position + 1}"
    return _class_name(label, names) if isinstance(label, int) else _short(str(label))


def _sound(example: Example, column: str, width: int) -> Figure:
    value = example[column]
    samples = _samples(value)
    rate = value.get("sampling_rate") if isinstance(value, dict) else example.get("sampling_rate")
    length = f"{len(samples) / rate:.2f} s at {rate:,} Hz" if rate else f"{len(samples):,} samples"
    return Figure(waveform(samples, width), note=f"sound, {length}, peak {np.abs(samples).max(initial=0):.2g}")


def _lines(example: Example, kinds: dict[str, str], names: Sequence[str] | None) -> Iterator[Line]:
    told = {"id"}  # elsewhere on the card
    if "audio" in kinds.values():
        told.add("sampling_rate")
    if kinds.get("image") == "image":
        told |= {column for column, kind in kinds.items() if kind == "objects"}
    for column, kind in kinds.items():
        if kind not in _MEDIA and column not in told:
            yield from _words(column, kind, example.get(column), names, not {"image", "images"}.isdisjoint(kinds))


def _words(column: str, kind: str, value: Any, names: Sequence[str] | None, pictured: bool) -> Iterator[Line]:
    """What a column says, most of them in a line."""
    if value is None:
        yield Line("note", f"{column}: none")
    elif kind == "label":
        yield Line("label", _class_name(value, names) if isinstance(value, int) else str(value))
    elif kind == "messages":
        yield from _turns(value, pictured)
    elif column == "captions" and kind == "texts":
        yield from (Line("caption", _short(text)) for text in value[:TEXTS])
        if len(value) > TEXTS:
            yield Line("note", f"and {len(value) - TEXTS} more captions")
    elif column in ("question", "answer", "text"):
        yield Line("caption" if column == "text" else column, _short(value))
    else:
        yield Line("note", f"{column}: {_told(value)}")


def _turns(messages: Sequence[dict[str, Any]], shown: bool) -> Iterator[Line]:
    """A line a message; a picture that is shown above needs no word."""
    for message in messages:
        parts = [
            part.get("text") or f"[{part['type']}]"
            for part in message["content"]
            if not (shown and part["type"] == "image")
        ]
        role = message["role"] if message["role"] in ("user", "assistant") else "note"
        yield Line(role, _short(" ".join(parts)))


def _told(value: Any) -> str:
    """Any value in a few words."""
    if isinstance(value, np.ndarray):
        return f"array of {' x '.join(map(str, value.shape))}"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, dict) and value.keys() == {"bytes", "path"}:  # a file that is not decoded
        return _joined(_told(value[part]) for part in ("path", "bytes") if value[part] is not None)
    if isinstance(value, dict):
        return _joined(f"{key} {_told(item)}" for key, item in value.items() if item is not None)
    if isinstance(value, list):
        return _joined(_told(item) for item in value)
    return _short(str(value))


def _joined(parts: Iterable[str]) -> str:
    return _short(", ".join(parts))


def _short(text: str) -> str:
    """A text as one line that ends in time."""
    line = " ".join(text[: 2 * LENGTH].split())
    return line if len(line) <= LENGTH and len(text) <= 2 * LENGTH else f"{line[: LENGTH - 3].rstrip()}..."
