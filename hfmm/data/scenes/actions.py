"""The words of clips: the captions of `grammar` with what each object does in the place of where it is.

An object is a dict with `shape`, `color`, `size` and `motion`, an action or `still`. Standard library only.
"""

import re
from collections.abc import Sequence

from hfmm.data.scenes import grammar
from hfmm.data.scenes.grammar import COLORS, SHAPES, Draw, Object, joined, noun, pick, shuffled

ACTIONS = ("left", "right", "up", "down", "growing", "shrinking", "turning", "bouncing")
STILL = "still"

_TOLD = {
    **{way: (f"moves {way}", f"is moving {way}") for way in ("up", "down")},
    **{
        way: (f"moves {way}", f"moves to the {way}", f"is moving {way}", f"is moving to the {way}")
        for way in ("left", "right")
    },
    "growing": ("grows", "is growing"),
    "shrinking": ("shrinks", "is shrinking"),
    "turning": ("turns", "is turning"),
    "bouncing": ("bounces", "is bouncing"),
    STILL: ("is still", "stays still"),
}  # after a noun, as a sentence
_SHOWN = {
    **{way: (f"moving {way}",) for way in ("up", "down")},
    **{way: (f"moving {way}", f"moving to the {way}") for way in ("left", "right")},
    **{action: (action,) for action in ("growing", "shrinking", "turning", "bouncing")},
    STILL: ("staying still",),
}  # after a noun, as a part of one
_JOINERS = (" and ", " , ", " , and ")
_ACTION_OF = {phrase: action for forms in (_TOLD, _SHOWN) for action, phrases in forms.items() for phrase in phrases}
_MENTION = re.compile(
    rf"\b({'|'.join(COLORS)}) ({'|'.join(SHAPES)})(?: ({'|'.join(sorted(_ACTION_OF, key=len, reverse=True))})\b)?"
)


def captions(objects: Sequence[Object], draw: Draw) -> list[str]:
    """Five captions of a clip.

    The first is complete and in reading order; the second complete in any order; the third names what moves; the
    fourth does so, too, and always says its size; the fifth speaks of some of the objects only.

    Args:
        objects: In reading order, each with shape, color, size and motion; one at least moves.
        draw: Gives the next uniform number; the captions are a pure function of its numbers.
    """
    moving = [thing for thing in objects if thing["motion"] != STILL]
    some = shuffled(objects, draw)[: 1 + int(draw() * len(objects))]
    return [
        complete(objects, draw),
        complete(shuffled(objects, draw), draw),
        complete(moving, draw),
        complete(shuffled(moving, draw), draw, sized=1),
        complete(some, draw),
    ]


def complete(objects: Sequence[Object], draw: Draw, sized: float = 0.35) -> str:
    """A caption that names every object with color, shape and motion, in the given order."""
    if draw() < 0.5:
        return joined([f"{noun(thing, draw, sized)} {pick(_SHOWN[thing['motion']], draw)}" for thing in objects], draw)
    *first, last = [f"{noun(thing, draw, sized)} {pick(_TOLD[thing['motion']], draw)}" for thing in objects]
    return pick(_JOINERS, draw).join([" , ".join(first), last]) if first else last


def parse(caption: str) -> set[tuple[str, str, str | None]]:
    """The objects a caption names: (shape, color, motion), motion None where none is said. Inverts the grammar."""
    return {
        (shape, color, _ACTION_OF.get(phrase)) for color, shape, phrase in _MENTION.findall(caption.lower().strip("."))
    }


def vocabulary() -> list[str]:
    """Every word that captions of clips can say, sorted: those of `grammar`, some of them never said here, and more."""
    return sorted({*grammar.vocabulary(), *" ".join(_ACTION_OF).split()})
