"""Dialogues about scenes: two to five turns of one topic after another, with answers of one or two words.

The first turns name an object; later ones say `it`, which is the object that a question or an answer named last as its
topic, or ask of the others. What has been said already is not asked again, so that the words alone do not tell.
"""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from typing import Any

from hfmm.data.scenes import questions
from hfmm.data.scenes.grammar import pick, relations_between
from hfmm.data.scenes.questions import OPPOSITES, Draw, Object, Question, the, yes_or_no

NAMING = {
    "color_of_shape": ("shape", "color"),
    "shape_at_place": ("place", "shape"),
    "color_at_place": ("place", "color"),
    "place_of_object": ("shape", "color", "place"),
}  # kinds of turns that name an object, and what is known of it afterwards
OPENINGS = (*NAMING, "count", "existence")
REFERENCES = {
    "color_of_it": ("color", "what color is it"),
    "shape_of_it": ("shape", "what shape is it"),
    "place_of_it": ("place", "where is it"),
    "size_of_it": ("size", "is it large or small"),
}  # kinds of turns that ask what is not yet known of the topic
KINDS = (*OPENINGS, *REFERENCES, "neighbor_of_it", "relation_of_it", "count_of_others")
_FEWEST, _MOST = 2, 5  # turns
_NEW_TOPIC = 0.2  # how often, where objects are left that nobody has spoken of
_AND = 0.3  # how often a reference begins so


def source(key: bytes) -> Draw:
    """Uniform numbers for the dialogue of an example, independent of those of `world.stream`."""
    return Random(blake2b(key, digest_size=8, person=b"dialogue").digest()).random


def converse(objects: Sequence[Object], draw: Draw) -> list[Question]:
    """Two to five turns about a scene, one or more of which refer to an earlier one.

    Args:
        objects: With shape, color, size and place; one to four.
        draw: Source of uniform numbers.
    """
    talk = _Talk(objects, draw)
    wanted = _FEWEST + int(draw() * (_MOST - _FEWEST + 1))
    turns = [talk.open()]
    if not talk.topic:
        turns.append(talk.name())
        wanted = max(wanted, len(turns) + 1)
    turns.append(talk.refer())
    while len(turns) < wanted:
        if talk.fresh and (draw() < _NEW_TOPIC or not talk.references()):
            turns.append(talk.name())
        elif talk.references():
            turns.append(talk.refer())
        else:
            break
    return turns


def messages(turns: Sequence[Question]) -> list[dict[str, Any]]:
    """Turns as messages with content parts; the picture stands before the first question."""
    said: list[dict[str, Any]] = []
    for turn in turns:
        picture = [] if said else [{"type": "image"}]
        said.append({"role": "user", "content": [*picture, {"type": "text", "text": turn.question}]})
        said.append({"role": "assistant", "content": [{"type": "text", "text": turn.answer}]})
    return said


class _Talk:
    """A dialogue as it goes on.

    Attributes:
        topic: What `it` is, None before an object is named.
        known: The attributes of the topic that have been said.
        fresh: Objects that nobody has spoken of.
        counted: Whether the number of objects has been asked for.
    """

    def __init__(self, objects: Sequence[Object], draw: Draw) -> None:
        self.objects, self.draw = objects, draw
        self.topic: Object | None = None
        self.known: set[str] = set()
        self.fresh = list(objects)
        self.counted = False

    def open(self) -> Question:
        """The first turn, which names an object unless it is not there or there are several."""
        kind = pick(OPENINGS, self.draw)
        if kind in NAMING:
            return self.name(kind)
        turn = questions.ask(kind, self.objects, self.draw)
        assert turn is not None  # a count or an existence can be asked of any scene
        if kind == "count":
            size = turn.question.split()[2]
            self.counted = size == "shapes"
            counted = [thing for thing in self.objects if self.counted or thing["size"] == size]
            if len(counted) == 1:
                self._turn_to(counted[0], () if self.counted else ("size",))
        elif turn.answer == "yes":
            there = next(
                thing for thing in self.objects if turn.question.endswith(f" {thing['color']} {thing['shape']}")
            )
            self._turn_to(there, ("color", "shape"))
        return turn

    def name(self, kind: str | None = None) -> Question:
        """A turn, of a kind or of any, that names an object nobody has spoken of."""
        kind = kind or pick(tuple(NAMING), self.draw)
        shapes = Counter(thing["shape"] for thing in self.objects)
        single = [thing for thing in self.fresh if shapes[thing["shape"]] == 1]
        if kind == "color_of_shape" and not single:
            kind = "color_at_place"
        thing = pick(single if kind == "color_of_shape" else self.fresh, self.draw)
        self._turn_to(thing, NAMING[kind])
        if kind == "place_of_object":
            return Question(f"where is {the(thing)}", thing["place"], kind)
        turn = questions.ask(kind, [thing], self.draw)
        assert turn is not None  # it is the only one of its shape there
        return turn

    def references(self) -> list[str]:
        """The kinds of turns that can now refer to what was said."""
        kinds = [kind for kind, (attribute, _) in REFERENCES.items() if attribute not in self.known]
        possible = {
            "neighbor_of_it": self._neighbors(),
            "relation_of_it": self.fresh,
            "count_of_others": not self.counted,
        }
        return kinds + [kind for kind, true in possible.items() if true]

    def refer(self) -> Question:
        """A turn that says `it` or `other`."""
        kind = pick(self.references(), self.draw)
        others = {
            "neighbor_of_it": self._neighbor,
            "relation_of_it": self._relation,
            "count_of_others": self._others,
        }
        question, answer = others[kind]() if kind in others else self._attribute(*REFERENCES[kind])
        return Question(f"and {question}" if self.draw() < _AND else question, answer, kind)

    def _turn_to(self, thing: Object, known: Sequence[str]) -> None:
        self.topic, self.known = thing, set(known)
        self.fresh = [other for other in self.fresh if other is not thing]

    def _attribute(self, attribute: str, question: str) -> tuple[str, str]:
        assert self.topic is not None
        self.known.add(attribute)
        return question, self.topic[attribute]

    def _neighbors(self) -> list[tuple[str, Object]]:
        """(relation, object) where only that object stands so to the topic, and nobody has spoken of it."""
        assert self.topic is not None
        holding = [
            (relation, thing)
            for thing in self.objects
            if thing is not self.topic
            for relation in relations_between(thing, self.topic)
            if relation in OPPOSITES
        ]
        alone = Counter(relation for relation, _ in holding)
        return [(relation, thing) for relation, thing in holding if alone[relation] == 1 and thing in self.fresh]

    def _neighbor(self) -> tuple[str, str]:
        relation, thing = pick(self._neighbors(), self.draw)
        self._turn_to(thing, ("color", "shape"))
        return f"what is {relation} it", f"{thing['color']} {thing['shape']}"

    def _relation(self) -> tuple[str, str]:
        """Yes as often as no; the other object is spoken of from now on, but `it` stays."""
        assert self.topic is not None
        thing = pick(self.fresh, self.draw)
        self.fresh = [other for other in self.fresh if other is not thing]
        holding = [relation for relation in relations_between(self.topic, thing) if relation in OPPOSITES]
        relation, true = pick(holding, self.draw), self.draw() < 0.5
        return f"is it {relation if true else OPPOSITES[relation]} {the(thing)}", yes_or_no(true)

    def _others(self) -> tuple[str, str]:
        self.counted = True
        return "how many other shapes are there", str(len(self.objects) - 1)
