"""Questions about scenes with one right answer of one word, in seven kinds.

Answers are balanced inside each kind: colors and shapes are drawn alike, yes is as frequent as no, and the number of
objects is drawn evenly where a count is asked (the view `vqa`). So the picture is needed.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hfmm.data.scenes.grammar import COLORS, PLACE_PHRASES, SHAPES, SIZES, pick, relations_between
from hfmm.data.scenes.world import HELD_OUT, MAX_OBJECTS

KINDS = ("color_of_shape", "shape_at_place", "color_at_place", "count", "existence", "size", "relation")
OPPOSITES = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}

Draw = Callable[[], float]  # uniform in [0, 1)
Object = dict[str, Any]


class Question(NamedTuple):
    """A question, its answer (one word) and its kind."""

    question: str
    answer: str
    kind: str


def answers() -> list[str]:
    """Every answer that a question can have, sorted."""
    return sorted([*COLORS, *SHAPES, "yes", "no", *map(str, range(MAX_OBJECTS + 1))])


def fewest_objects(kind: str) -> int:
    """How many objects a question of the kind speaks of."""
    return 2 if kind in ("size", "relation") else 1


def ask(kind: str, objects: Sequence[Object], draw: Draw) -> Question | None:
    """Ask a question of a kind, or None where the objects allow none.

    Args:
        kind: One of KINDS.
        objects: With shape, color, size and place.
        draw: Source of uniform numbers.
    """
    asked = _ASK[kind](objects, draw)
    return Question(*asked, kind) if asked else None


def every_question(objects: Sequence[Object], draw: Draw) -> list[Question]:
    """One question of every kind that the objects allow."""
    asked = (ask(kind, objects, draw) for kind in KINDS)
    return [question for question in asked if question]


def yes_or_no(true: bool) -> str:
    """The answer to a question that has two."""
    return "yes" if true else "no"


def the(thing: Object) -> str:
    """The name of an object: `the red circle`."""
    return f"the {thing['color']} {thing['shape']}"


def _color_of_shape(objects: Sequence[Object], draw: Draw) -> tuple[str, str] | None:
    shapes = Counter(thing["shape"] for thing in objects)
    single = [thing for thing in objects if shapes[thing["shape"]] == 1]
    if not single:
        return None
    thing = pick(single, draw)
    return f"what color is the {thing['shape']}", thing["color"]


def _shape_at_place(objects: Sequence[Object], draw: Draw) -> tuple[str, str]:
    thing = pick(objects, draw)
    return f"what shape is {pick(PLACE_PHRASES[thing['place']], draw)}", thing["shape"]


def _color_at_place(objects: Sequence[Object], draw: Draw) -> tuple[str, str]:
    thing = pick(objects, draw)
    return f"what color is the shape {pick(PLACE_PHRASES[thing['place']], draw)}", thing["color"]


def _count(objects: Sequence[Object], draw: Draw) -> tuple[str, str]:
    size = pick(("", *SIZES), draw)
    if not size:
        return "how many shapes are there", str(len(objects))
    return f"how many {size} shapes are there", str(sum(thing["size"] == size for thing in objects))


def _existence(objects: Sequence[Object], draw: Draw) -> tuple[str, str]:
    """Yes for an object, no for one that shares its color or its shape and is not there."""
    thing = pick(objects, draw)
    shape, color = thing["shape"], thing["color"]
    if draw() < 0.5:
        return _is_there(shape, color), "yes"
    there = {(other["shape"], other["color"]) for other in objects}
    excluded = there if there.intersection(HELD_OUT) else there.union(HELD_OUT)  # never there: asking would tell
    near = [(shape, other) for other in COLORS] if draw() < 0.5 else [(other, color) for other in SHAPES]
    return _is_there(*pick([pair for pair in near if pair not in excluded], draw)), "no"


def _is_there(shape: str, color: str) -> str:
    return f"is there {'an' if color == 'orange' else 'a'} {color} {shape}"


def _size(objects: Sequence[Object], draw: Draw) -> tuple[str, str] | None:
    large = [thing for thing in objects if thing["size"] == "large"]
    small = [thing for thing in objects if thing["size"] == "small"]
    if not (large and small):
        return None
    first, second = pick(large, draw), pick(small, draw)
    true = draw() < 0.5
    if not true:
        first, second = second, first
    return f"is {the(first)} larger than {the(second)}", yes_or_no(true)


def _relation(objects: Sequence[Object], draw: Draw) -> tuple[str, str] | None:
    if len(objects) < 2:
        return None
    first = pick(objects, draw)
    second = pick([thing for thing in objects if thing is not first], draw)
    holding = [relation for relation in relations_between(first, second) if relation in OPPOSITES]
    relation = pick(holding, draw)
    true = draw() < 0.5
    return f"is {the(first)} {relation if true else OPPOSITES[relation]} {the(second)}", yes_or_no(true)


_ASK: dict[str, Callable[[Sequence[Object], Draw], tuple[str, str] | None]] = {
    "color_of_shape": _color_of_shape,
    "shape_at_place": _shape_at_place,
    "color_at_place": _color_at_place,
    "count": _count,
    "existence": _existence,
    "size": _size,
    "relation": _relation,
}
