"""The words of scenes: a small grammar that says what is in a picture, its inverse, and the strict scores.

A caption is a string whose words, commas included, are separated by single spaces. An object is a dict with `shape`,
`color`, `place` (such as `top left`) and, where sizes are to be said or judged, `size`. Standard library only.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring", "diamond", "heart")
COLORS = ("red", "green", "blue", "yellow", "purple", "orange", "black", "white")
SIZES = ("small", "large")
ROWS = ("top", "middle", "bottom")
COLUMNS = ("left", "center", "right")
PLACES = tuple(f"{row} {column}" for row in ROWS for column in COLUMNS)

_CORNERS = ("in the {row} {column}", "at the {row} {column}", "in the {row} {column} corner")
_ENDS = ("at the {end}", "in the {row} center", "in the {row} middle")
_SIDES = ("on the {column}", "in the middle {column}", "on the {column} side")
_ROW_WORDS = {"top": ("top", "upper"), "bottom": ("bottom", "lower")}
_RELATION_PHRASES = {
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
    "above": ("above",),
    "below": ("below",),
    "larger than": ("larger than",),
}
_OPENINGS = ("", "", "there is ", "a picture with ")
_PAIR_JOINERS = (" and ", " , ", " with ")
_LAST_JOINERS = (" , ", " and ", " and ")

_WORD_OF_ROW = {word: row for row, words in _ROW_WORDS.items() for word in words}
_WORD_OF_PLACE = frozenset((*_WORD_OF_ROW, "left", "right", "middle", "center"))
_PAIRED = {"left": "of", "right": "of", "larger": "than"}  # words that name a relation when the other word follows
_DETERMINERS = ("a", "an", "one")
_GLUE = frozenset(("the", "there", "is", "picture", "with", "and", ",", "in", "at", "on", "to", "of", "corner", "side"))

Object = Mapping[str, Any]
Draw = Callable[[], float]  # uniform in [0, 1)


def _phrases_of(place: str) -> tuple[str, ...]:
    """Every way to say a place."""
    row, column = place.split()
    if place == "middle center":
        return ("in the middle", "in the center", "in the middle of the picture")
    if row == "middle":
        return tuple(phrase.format(column=column) for phrase in _SIDES)
    forms = _ENDS if column == "center" else _CORNERS
    phrases = [form.format(row=word, column=column, end=row) for word in _ROW_WORDS[row] for form in forms]
    return tuple(dict.fromkeys(phrases))


PLACE_PHRASES = {place: _phrases_of(place) for place in PLACES}


class Mention(NamedTuple):
    """An object as a caption names it; what is not said is None. A contradictory place is its words, joined."""

    shape: str
    color: str
    size: str | None
    place: str | None


class Reading(NamedTuple):
    """What a caption says.

    Attributes:
        mentions: The objects named, in the order of the words.
        relations: (subject, relation, other) with positions in `mentions`.
        faults: What cannot be read, in words; empty for every caption of the grammar.
    """

    mentions: tuple[Mention, ...]
    relations: tuple[tuple[int, str, int], ...]
    faults: tuple[str, ...]


class Verdict(NamedTuple):
    """Whether a caption is right: its objects, and the whole scene."""

    objects: bool
    scene: bool


def pick(choices: Sequence[Any], draw: Draw) -> Any:
    """One of the choices, each as likely."""
    return choices[int(draw() * len(choices))]


def shuffled(things: Iterable[Object], draw: Draw) -> list[Object]:
    """The things in another order, by `draw` alone, so that no library's shuffle can change it."""
    rest = list(things)
    return [rest.pop(int(draw() * len(rest))) for _ in range(len(rest))]


def noun(thing: Object, draw: Draw, sized: float = 0.35) -> str:
    """A determiner, the size with probability `sized`, the color and the shape: `an orange ring`."""
    words = f"{thing['color']} {thing['shape']}"
    if draw() < sized:
        words = f"{thing['size']} {words}"
    if draw() < 0.3:
        return f"one {words}"
    return f"an {words}" if words[0] == "o" else f"a {words}"


def _placed(thing: Object, draw: Draw) -> str:
    return f"{noun(thing, draw)} {pick(PLACE_PHRASES[thing['place']], draw)}"


def joined(phrases: Sequence[str], draw: Draw) -> str:
    """Phrases as one sentence with an opening."""
    opening = pick(_OPENINGS, draw)
    if len(phrases) == 1:
        return opening + phrases[0]
    joiner = pick(_PAIR_JOINERS if len(phrases) == 2 else _LAST_JOINERS, draw)
    return f"{opening}{' , '.join(phrases[:-1])}{joiner}{phrases[-1]}"


def relations_between(first: Object, second: Object) -> list[str]:
    """The relations of the grammar that hold from one object to another.

    Left, right, above and below compare the columns and rows of the places; nothing holds between equals.
    `larger than` holds from a large to a small object, both of which must say their size.
    """
    first_row, first_column = divmod(PLACES.index(first["place"]), 3)
    second_row, second_column = divmod(PLACES.index(second["place"]), 3)
    holds = {
        "left of": first_column < second_column,
        "right of": first_column > second_column,
        "above": first_row < second_row,
        "below": first_row > second_row,
        "larger than": (first.get("size"), second.get("size")) == ("large", "small"),
    }
    return [relation for relation, true in holds.items() if true]


def _related(objects: Sequence[Object], draw: Draw) -> str:
    """Two objects by a relation that holds, the others by name only."""
    first, second, *others = shuffled(objects, draw)
    relation = pick(relations_between(first, second), draw)  # two places differ, so one always holds
    pair = f"{noun(first, draw)} {pick(_RELATION_PHRASES[relation], draw)} {noun(second, draw)}"
    return joined([pair, *(noun(thing, draw) for thing in others)], draw)


def captions(objects: Sequence[Object], draw: Draw) -> list[str]:
    """Five captions of a scene.

    The first is complete and in reading order; the second complete in any order; the third names without places; the
    fourth uses a relation (of a lone object: always says its size); the fifth speaks of some of the objects only.

    Args:
        objects: In reading order (by row, then column), each with shape, color, size and place.
        draw: Gives the next uniform number; the captions are a pure function of its numbers.
    """
    alone = len(objects) == 1
    some = shuffled(objects, draw)[: 1 + int(draw() * (len(objects) - 1))]
    return [
        complete(objects, draw),
        complete(shuffled(objects, draw), draw),
        joined([noun(thing, draw) for thing in shuffled(objects, draw)], draw),
        joined([noun(objects[0], draw, sized=1)], draw) if alone else _related(objects, draw),
        complete(some, draw),
    ]


def complete(objects: Sequence[Object], draw: Draw) -> str:
    """A caption that names every object with color, shape and place, in the given order."""
    return joined([_placed(thing, draw) for thing in objects], draw)


def vocabulary() -> list[str]:
    """Every word that the grammar can say, sorted."""
    said = [*SHAPES, *COLORS, *SIZES, *_DETERMINERS]
    phrases = [*_OPENINGS, *_PAIR_JOINERS, *_LAST_JOINERS]
    for forms in (*PLACE_PHRASES.values(), *_RELATION_PHRASES.values()):
        phrases += forms
    return sorted({*said, *" ".join(phrases).split()})


class _Reader:
    """Reads a caption word by word. Never raises: what it cannot read becomes a fault."""

    def __init__(self, words: list[str]) -> None:
        self.words = [*words, "", ""]  # two blanks, so that looking ahead stays inside
        self.mentions: list[tuple[str, str, str | None]] = []
        self.place_words: list[list[str]] = []
        self.relations: list[tuple[int, str, int]] = []
        self.faults: list[str] = []
        self.relation = ""  # waits for its other object

    def read(self) -> Reading:
        position, end = 0, len(self.words) - 2
        while position < end:
            position += self._step(*self.words[position : position + 3])
        if self.relation:
            self.faults.append(f"'{self.relation}' without an object")
        mentions = tuple(
            Mention(shape, color, size, _place_of(words))
            for (shape, color, size), words in zip(self.mentions, self.place_words, strict=True)
        )
        return Reading(mentions, tuple(self.relations), tuple(self.faults))

    def _step(self, word: str, second: str, third: str) -> int:
        """Read what begins with `word`, and say how many words that was."""
        if word in COLORS and second in SHAPES:
            return self._mention(second, word, None, 2)
        if word in SIZES and second in COLORS and third in SHAPES:
            return self._mention(third, second, word, 3)
        if word in ("above", "below"):
            return self._relate(word, 1)
        if word in _PAIRED and second == _PAIRED[word]:
            return self._relate(f"{word} {second}", 2)
        if word in _WORD_OF_PLACE and self.mentions:
            self.place_words[-1].append(word)
        elif word not in _DETERMINERS and word not in _GLUE:
            self.faults.append(f"'{word}' out of place")
        return 1

    def _mention(self, shape: str, color: str, size: str | None, length: int) -> int:
        self.mentions.append((shape, color, size))
        self.place_words.append([])
        if self.relation:
            self.relations.append((len(self.mentions) - 2, self.relation, len(self.mentions) - 1))
            self.relation = ""
        return length

    def _relate(self, relation: str, length: int) -> int:
        if self.relation or not self.mentions:
            self.faults.append(f"'{relation}' without a subject")
        else:
            self.relation = relation
        return length


def _place_of(words: Sequence[str]) -> str | None:
    """The cell that place words name: what is not said of row or column is the middle; no words, no place."""
    if not words:
        return None
    rows = {_WORD_OF_ROW[word] for word in words if word in _WORD_OF_ROW}
    columns = {word for word in words if word in ("left", "right")}
    if len(rows) > 1 or len(columns) > 1:
        return " ".join(words)
    return f"{min(rows, default='middle')} {min(columns, default='center')}"


def read(caption: str) -> Reading:
    """Everything a caption says, and what in it cannot be read. Capitals and full stops do not matter."""
    return _Reader(caption.lower().replace(",", " , ").replace(".", " ").split()).read()


def parse(caption: str) -> set[tuple[str, str, str | None]]:
    """The objects a caption names: (shape, color, place), place None where none is said. Inverts the grammar."""
    return {(mention.shape, mention.color, mention.place) for mention in read(caption).mentions}


def judge(caption: str, objects: Sequence[Object]) -> Verdict:
    """Whether one caption is right about a scene.

    Objects: every object is named once with its color and shape, nothing else is named, and nothing is unreadable.
    Scene: the same, and every place, relation and size that is said is true; sizes only where the objects have one.
    """
    reading = read(caption)
    named = [(mention.shape, mention.color) for mention in reading.mentions]
    truth = {(thing["shape"], thing["color"]): thing for thing in objects}
    if reading.faults or Counter(named) != Counter((thing["shape"], thing["color"]) for thing in objects):
        return Verdict(False, False)
    meant = [truth[name] for name in named]
    true_mentions = all(
        mention.place in (None, thing["place"]) and mention.size in (None, thing.get("size", mention.size))
        for mention, thing in zip(reading.mentions, meant, strict=True)
    )
    return Verdict(True, true_mentions and all(_holds(meant[i], name, meant[j]) for i, name, j in reading.relations))


def _holds(first: Object, relation: str, second: Object) -> bool:
    if relation == "larger than" and not ("size" in first and "size" in second):
        return True  # cannot be judged
    return relation in relations_between(first, second)


def score(captions: Sequence[str], objects: Sequence[Sequence[Object]]) -> dict[str, float]:
    """The share of captions that are right: `exact_objects` and `exact_scene` (see `judge`).

    Args:
        captions: One a picture.
        objects: The objects of each picture; shape, color and place at least.

    Raises:
        ValueError: No captions, or not one a picture.
    """
    if not captions or len(captions) != len(objects):
        raise ValueError(f"score needs one caption a picture and at least one: got {len(captions)} and {len(objects)}")
    verdicts = [judge(caption, truth) for caption, truth in zip(captions, objects, strict=True)]
    return {
        "exact_objects": sum(verdict.objects for verdict in verdicts) / len(verdicts),
        "exact_scene": sum(verdict.scene for verdict in verdicts) / len(verdicts),
    }
