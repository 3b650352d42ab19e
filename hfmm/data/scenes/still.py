"""One scene as the fields of an example, each made when it is first asked for."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hfmm.data.scenes import dialogue, grammar, questions, render, world
from hfmm.data.scenes.grammar import COLORS, PLACES, SHAPES, SIZES
from hfmm.data.scenes.questions import Question

FIELDS = {
    "image": "image",
    "captions": "texts",
    "objects": "objects",
    "mask": "mask",
    "class_mask": "mask",
    "depth": "value",
    "questions": "value",
    "dialogue": "messages",
    "labels": "value",
}  # what a still may be asked for, and the kind of each
PAIR_NAMES = tuple(f"{color} {shape}" for shape in SHAPES for color in COLORS)  # 64, at shape * 8 + color
MASK_NAMES = ("background", *SHAPES)
ATTRIBUTE_NAMES = (*COLORS, *SIZES)


class Still:
    """A still picture of a scene with its ground truth. S is the picture's side in pixels.

    Args:
        scene: What to draw.
        key: Of the example's choices of words (see `world.key_of`).
        picture_size: Pixels a side.
        overlap: Whether objects may hide each other: boxes are then tight around what is seen.
        manner: How one talks about it.

    Attributes:
        asked: The question of an example of the view `vqa`.
    """

    def __init__(
        self, scene: world.Scene, key: bytes, picture_size: int, overlap: bool, manner: dialogue.Manner = dialogue.PLAIN
    ) -> None:
        self.scene, self.key = scene, key
        self.picture_size, self.overlap, self.manner = picture_size, overlap, manner
        self.asked: Question | None = None
        self.placed = render.place(scene, picture_size)
        self.order = render.back_to_front(scene)

    @cached_property
    def image(self) -> Image.Image:
        """The picture, RGB."""
        return render.picture(self.scene, self.placed, self.order, self.picture_size)

    @cached_property
    def captions(self) -> list[str]:
        """Five captions; the first is complete and in reading order."""
        return grammar.captions(self.objects, world.stream(self.key, "words"))

    @cached_property
    def objects(self) -> list[dict[str, Any]]:
        """The objects in reading order, in words, pixels and numbers; depth rank 0 is the farthest."""
        boxes = render.visible_boxes(self.mask, len(self.placed)) if self.overlap else render.boxes(self.placed)
        return [
            {
                "shape": SHAPES[body.shape],
                "color": COLORS[body.color],
                "size": SIZES[body.is_large],
                "place": PLACES[3 * body.row + body.column],
                "box": boxes[position],
                "center": [self.placed[position].x, self.placed[position].y],
                "angle": body.angle,
                "depth_rank": self.order.index(position),
                "class_id": body.shape,
                "attribute_ids": [body.color, len(COLORS) + body.is_large],
            }
            for position, body in enumerate(self.scene.bodies)
        ]

    @cached_property
    def mask(self) -> NDArray[np.uint8]:
        """(S, S), 0 background, k where one sees the k-th object."""
        return render.instance_mask(self.placed, self.order, self.picture_size)

    @cached_property
    def class_mask(self) -> NDArray[np.uint8]:
        """(S, S), positions in MASK_NAMES."""
        return np.array([0, *(1 + body.shape for body in self.scene.bodies)], np.uint8).take(self.mask)  # S S

    @cached_property
    def depth(self) -> NDArray[np.float32]:
        """(S, S), 1 the background, less what is nearer."""
        depths = [render.FARTHEST, *(render.depth_of(body) for body in self.scene.bodies)]
        return np.array(depths, np.float32).take(self.mask)  # S S

    @cached_property
    def questions(self) -> list[dict[str, str]]:
        """One question of each kind that the scene allows: `question`, `answer`, `kind`."""
        asked = questions.every_question(self.objects, world.stream(self.key, "questions"))
        return [question._asdict() for question in asked]

    @cached_property
    def turns(self) -> list[Question]:
        """The dialogue by questions with answer and kind."""
        return dialogue.talk(self.objects, self.captions[:2], dialogue.source(self.key), self.manner)

    @cached_property
    def dialogue(self) -> list[dict[str, Any]]:
        """Two to five turns, later ones about what was named before, as messages with content parts."""
        return dialogue.messages(self.turns)

    @cached_property
    def kinds(self) -> list[str]:
        """The kind of each turn of the dialogue."""
        return [turn.kind for turn in self.turns]

    @cached_property
    def labels(self) -> NDArray[np.uint8]:
        """(64,), 1 for each of PAIR_NAMES that is there."""
        present = np.zeros(len(PAIR_NAMES), np.uint8)
        present[[len(COLORS) * body.shape + body.color for body in self.scene.bodies]] = 1
        return present

    @cached_property
    def label(self) -> int:
        """The only object's position in PAIR_NAMES."""
        (body,) = self.scene.bodies
        return len(COLORS) * body.shape + body.color

    @cached_property
    def detections(self) -> list[dict[str, Any]]:
        """The objects as detectors take them: `box`, `label` (in SHAPES), `attributes` (in ATTRIBUTE_NAMES)."""
        return [
            {"box": thing["box"], "label": thing["class_id"], "attributes": thing["attribute_ids"]}
            for thing in self.objects
        ]
