"""Clips of moving shapes: video, action, captions, exact flow."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hfmm.data.examples import Example
from hfmm.data.scenes import actions, moves, render, world
from hfmm.data.scenes.actions import ACTIONS, STILL
from hfmm.data.scenes.drawn import Drawn, chosen_fields, frequencies, whole
from hfmm.data.scenes.grammar import COLORS, PLACES, SHAPES, SIZES
from hfmm.data.scenes.moves import MAX_FRAMES, MIN_FRAMES, Move

FIELDS = {
    "video": "video",
    "label": "label",
    "captions": "texts",
    "objects": "objects",
    "flow": "value",
    "events": "value",
}  # what a clip may be asked for, and the kind of each
_SAME_AFTER = {"square": 90, "cross": 90, "star": 72, "diamond": 180}  # degrees; others 360


class Clip:
    """A clip of a scene with its ground truth, each field made when it is first asked for. T frames of S by S pixels.

    Args:
        scene: What to draw.
        moves: What each body does, None where it rests.
        key: Of the example's choices of words (see `world.key_of`).
        frames: T.
        picture_size: S.
    """

    def __init__(
        self, scene: world.Scene, moves: Sequence[Move | None], key: bytes, frames: int, picture_size: int
    ) -> None:
        self.scene, self.moves, self.key = scene, moves, key
        self.frames, self.picture_size = frames, picture_size
        self.order = render.back_to_front(scene)

    @cached_property
    def states(self) -> list[list[moves.State]]:
        """The state of each body in each frame."""
        bodies = list(zip(self.scene.bodies, self.moves, strict=True))
        return [[moves.state(body, move, frame) for body, move in bodies] for frame in range(self.frames)]

    @cached_property
    def placed(self) -> list[list[render.Placed]]:
        """The sprite of each body in each frame, its center on a corner of pixels."""
        return [
            [self._place(body.shape, state) for body, state in zip(self.scene.bodies, states, strict=True)]
            for states in self.states
        ]

    def _place(self, shape: int, state: moves.State) -> render.Placed:
        angle = state.angle % _SAME_AFTER.get(SHAPES[shape], 360)  # fewer sprites to keep
        silhouette = render.sprite(shape, state.diameter, angle, self.picture_size)
        return render.Placed(silhouette, *render.pixel_of(state.x, state.y, state.diameter, self.picture_size))

    @cached_property
    def video(self) -> NDArray[np.uint8]:
        """(T, S, S, 3), RGB."""
        return np.stack(
            [
                np.asarray(render.picture(self.scene, placed, self.order, self.picture_size))  # S S 3
                for placed in self.placed
            ]
        )

    @cached_property
    def label(self) -> int:
        """The position in ACTIONS of what the only or the largest moving object does."""
        moving = [
            (body.diameter, move.action) for body, move in zip(self.scene.bodies, self.moves, strict=True) if move
        ]
        return ACTIONS.index(max(moving)[1])

    @cached_property
    def captions(self) -> list[str]:
        """Five captions; the first is complete and in reading order."""
        return actions.captions(self._named, world.stream(self.key, "words"))

    @cached_property
    def _named(self) -> list[dict[str, Any]]:
        return [
            {
                "shape": SHAPES[body.shape],
                "color": COLORS[body.color],
                "size": SIZES[body.is_large],
                "place": PLACES[3 * body.row + body.column],
                "motion": move.action if move else STILL,
            }
            for body, move in zip(self.scene.bodies, self.moves, strict=True)
        ]

    @cached_property
    def objects(self) -> list[dict[str, Any]]:
        """The objects in the reading order of the first frame: their words and, of each frame, `boxes` in pixels.

        `box` is that of the first frame, `size` that where they are largest. Boxes are tight around the whole object,
        also where another hides a part of it.
        """
        tracks = zip(*(render.boxes(placed) for placed in self.placed), strict=True)
        return [
            words | {"box": boxes[0], "boxes": list(boxes)} for words, boxes in zip(self._named, tracks, strict=True)
        ]

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """What happens, in the order of its start: position of the `object`, `action`, frames `start` and `end`.

        An object has moved from frame `start` + 1 on and has arrived in frame `end`.
        """
        found = [
            {"object": position, "action": move.action, "start": move.start, "end": move.end}
            for position, move in enumerate(self.moves)
            if move
        ]
        return sorted(found, key=lambda event: event["start"])

    @cached_property
    def flow(self) -> NDArray[np.float32]:
        """(T-1, S, S, 2), forward flow: columns and rows that what one sees in a pixel moves to the next frame.

        Exact for the frames as drawn, where centers are at whole pixels; zero on the background.
        """
        flow = np.zeros((self.frames - 1, self.picture_size, self.picture_size, 2), np.float32)
        for event in self.events:
            for frame in range(event["start"], event["end"]):
                mask = render.instance_mask(self.placed[frame], self.order, self.picture_size)
                rows, columns = np.nonzero(mask == event["object"] + 1)
                flow[frame, rows, columns] = self._displacement(event["object"], frame, columns, rows)
        return flow

    def _displacement(
        self, position: int, frame: int, columns: NDArray[np.intp], rows: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """How far pixels of a body (N columns, N rows) move to the next frame, (N, 2): shift, scale and turn."""
        here, there = (self.placed[k][position] for k in (frame, frame + 1))
        now, then = (self.states[k][position] for k in (frame, frame + 1))
        u, v = columns + 0.5 - here.x, rows + 0.5 - here.y  # N each, seen from the center
        scale, turn = then.diameter / now.diameter, math.radians(then.angle - now.angle)
        cosine, sine = scale * math.cos(turn), scale * math.sin(turn)
        return np.stack([there.x - here.x + u * cosine - v * sine - u, there.y - here.y + u * sine + v * cosine - v], 1)


class Motion(Drawn):
    """Clips of colored shapes that move, with exact ground truth, in any number; each is made when it is read.

    An example has `id` and the fields asked for, any of FIELDS (`Clip` says what each is). Actions are equally
    frequent; circles and rings do not turn.

    Args:
        split: `train`, `validation`, `test` (new scenes) or `test_heldout` (a combination never trained on in each).
        size: Number of examples; 100,000 for training and 1,000 otherwise by default. Costs no memory.
        seed: Of every choice. The same row of the same arguments is the same example in any process.
        frames: Of a clip, 8 to 16.
        objects: Relative frequency of clips with 1, 2, ... objects; one to four numbers.
        picture_size: Pixels a side, 32 to 1024. The same clip at every size.
        fields: Of a clip; video, label and captions by default.
        overlap: Objects may hide each other in part.

    Raises:
        UsageError: An argument is not one of these.
    """

    view = "motion"
    known: Mapping[str, str] = FIELDS
    usual: Sequence[str] = ("video", "label", "captions")
    clip_type = Clip

    def __init__(
        self,
        split: str = "train",
        size: int | None = None,
        seed: int = 0,
        frames: int = MIN_FRAMES,
        objects: Sequence[float] = (0.4, 0.3, 0.2, 0.1),
        picture_size: int = 64,
        fields: Sequence[str] | None = None,
        overlap: bool = False,
    ) -> None:
        super().__init__(f"scenes:{self.view}", split, size, seed, picture_size)
        self.frames = whole("frames", frames, MIN_FRAMES, MAX_FRAMES)
        self.settings = world.Settings(split, frequencies(objects), bool(overlap))
        self.features = {field: self.known[field] for field in chosen_fields(fields, self.usual, self.known)}
        self.label_names = ACTIONS if "label" in self.features else None

    def read(self, row: int) -> Example:
        """The example of a row, a pure function of it and of the arguments."""
        clip = self.clip(row)
        return {"id": f"scenes-{self.split}-{row}"} | {field: attrgetter(field)(clip) for field in self.features}

    def clip(self, row: int) -> Clip:
        """The clip of a row."""
        key = world.key_of(self.seed, f"{self.split}/clips", row)
        scene, cast = moves.compose(self.settings, self.frames, world.stream(key, "world"))
        return self.clip_type(scene, cast, key, self.frames, self.picture_size)
