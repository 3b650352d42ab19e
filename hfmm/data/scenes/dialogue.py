"""Dialogues about scenes: two to five turns of one topic after another, with answers of one or two words.

The first turns name an object; later ones say `it`, which is the object that a question or an answer named last as its
topic, or ask of the others. What has been said already is not asked again, so that the words alone do not tell.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from hashlib import blake2b
from random import Random
from typing import Any, NamedTuple

from hfmm.data.scenes import questions
from hfmm.data.scenes.drawn import whole
from hfmm.data.scenes.grammar import pick, relations_between
from hfmm.data.scenes.questions import OPPOSITES, Draw, Object, Question, the, yes_or_no
from hfmm.errors import UsageError, unknown

NAMING = {
    "color_of_shape": ("shape", "color"),
    "shape_at_place": ("place", "shape"),
    "color_at_place": ("place", "color"),
    "place_of_object": ("shape", "color", "place"),
}  # kinds of turns that name an object, and what is known of it afterwards
_ALWAYS_NAMING = ("color_at_place", "shape_at_place", "place_of_object")  # possible whatever the scene
OPENINGS = (*NAMING, "count", "existence")
REFERENCES = {
    "color_of_it": ("color", "what color is it"),
    "shape_of_it": ("shape", "what shape is it"),
    "place_of_it": ("place", "where is it"),
    "size_of_it": ("size", "is it large or small"),
}  # kinds of turns that ask what is not yet known of the topic
KINDS = (*OPENINGS, *REFERENCES, "neighbor_of_it", "relation_of_it", "count_of_others")
DESCRIBE = ("describe the picture", "what is in the picture", "what do you see")
_FEWEST, _MOST = 2, 5  # turns
_NEW_TOPIC = 0.2  # how often, where objects are left that nobody has spoken of
_AND = 0.3  # how often a reference begins so


def source(key: bytes) -> Draw:
    """Uniform numbers for the dialogue of an example, independent of those of `world.stream`."""
    return Random(blake2b(key, digest_size=8, person=b"dialogue").digest()).random


def converse(objects: Sequence[Object], draw: Draw, without: Collection[str] = ()) -> list[Question]:
    """Two to five turns about a scene, one or more of which refer to an earlier one.

    Args:
        objects: With shape, color, size and place; one to four.
        draw: Source of uniform numbers.
        without: Kinds that are never asked; a talk about one object may then end after its first turn.
    """
    talk = _Talk(objects, draw, without)
    wanted = _FEWEST + int(draw() * (_MOST - _FEWEST + 1))
    turns = [talk.open()]
    if not talk.topic:
        turns.append(talk.name())
        wanted = max(wanted, len(turns) + 1)
    if talk.references():
        turns.append(talk.refer())
    while len(turns) < wanted:
        if talk.fresh and (draw() < _NEW_TOPIC or not talk.references()):
            turns.append(talk.name())
        elif talk.references():
            turns.append(talk.refer())
        else:
            break
    return turns


class Manner(NamedTuple):
    """How one talks about scenes.

    Attributes:
        without: Kinds of questions that are never asked.
        further: How many questions on their own follow the dialogue, less those asked already or not to be asked.
        descriptions: How often the last turn is to describe the picture.
    """

    without: Collection[str] = ()
    further: int = 0
    descriptions: float = 0.0

    def checked(self) -> "Manner":
        """The same.

        Raises:
            UsageError: An unknown kind, none is left that names an object of any scene, or numbers that are none.
        """
        if isinstance(self.without, str) or not isinstance(self.without, Sequence):
            raise UsageError(f"'without' of scenes must be a list of kinds of questions, not {self.without!r}")
        for kind in self.without:
            if kind not in (*KINDS, *questions.KINDS):
                raise unknown("kind of question", kind, (*KINDS, *questions.KINDS))
        if set(_ALWAYS_NAMING) <= set(self.without):
            raise UsageError(f"'without' of scenes must leave one of {', '.join(_ALWAYS_NAMING)}: dialogues begin so")
        whole("further", self.further, 0)
        if not isinstance(self.descriptions, int | float) or not 0 <= self.descriptions <= 1:
            raise UsageError(f"'descriptions' of scenes must be a number from 0 to 1, not {self.descriptions!r}")
        return self


PLAIN = Manner()


def talk(objects: Sequence[Object], captions: Sequence[str], draw: Draw, manner: Manner) -> list[Question]:
    """A dialogue about a scene with what is asked for to follow, the last turn's answer a caption.

    Args:
        objects: See [`converse`].
        captions: Of the scene, each as likely. In reading order a place asks for its object; in any, what was said of
            an object asks for the rest.
        draw: Source of uniform numbers.
        manner: How one talks.
    """
    turns = converse(objects, draw, manner.without)
    said = {turn.question for turn in turns}
    for _ in range(manner.further):
        kind = pick(questions.KINDS, draw)
        turn = questions.ask(kind, objects, draw)
        if turn is not None and kind not in manner.without and turn.question not in said:
            turns.append(turn)
            said.add(turn.question)
    if manner.descriptions and draw() < manner.descriptions:
        turns.append(Question(pick(DESCRIBE, draw), pick(captions, draw), "description"))
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
        without: Kinds that are never asked.
    """

    def __init__(self, objects: Sequence[Object], draw: Draw, without: Collection[str]) -> None:
        self.objects, self.draw, self.without = objects, draw, without
        self.topic: Object | None = None
        self.known: set[str] = set()
        self.fresh = list(objects)
        self.counted = False

    def open(self) -> Question:
        """The first turn, which names an object unless it is not there or there are several."""
        kind = pick(self._asked(OPENINGS), self.draw)
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
        kind = kind or pick(self._asked(NAMING), self.draw)
        shapes = Counter(thing["shape"] for thing in self.objects)
        single = [thing for thing in self.fresh if shapes[thing["shape"]] == 1]
        if kind == "color_of_shape" and not single:
            kind = self._asked(_ALWAYS_NAMING)[0]
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
        return self._asked(kinds + [kind for kind, true in possible.items() if true])

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

    def _asked(self, kinds: Iterable[str]) -> list[str]:
        return [kind for kind in kinds if kind not in self.without]

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
