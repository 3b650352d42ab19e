"""The data set of scenes: examples by view and by field, made as they are read."""

from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

from hfmm.data.examples import Example
from hfmm.data.scenes import CLIP_VIEWS, questions, world
from hfmm.data.scenes.dialogue import Manner
from hfmm.data.scenes.drawn import Drawn, chosen_fields, frequencies, whole
from hfmm.data.scenes.grammar import SHAPES
from hfmm.data.scenes.still import ATTRIBUTE_NAMES, FIELDS, MASK_NAMES, PAIR_NAMES, Still
from hfmm.errors import UsageError, unknown

SEARCHED = 20  # scenes for each of those that are to be distinct
STILL_FIELDS = ("image", "captions", "objects")  # unless others are asked for


class View(NamedTuple):
    """What a task sees of a scene.

    Attributes:
        columns: Column -> (kind, where a `Still` has it).
        label_names: Name of each class, None without classes.
        attribute_names: Name of each attribute of objects, None without attributes.
    """

    columns: dict[str, tuple[str, str]]
    label_names: tuple[str, ...] | None = None
    attribute_names: tuple[str, ...] | None = None


_IMAGE = {"image": ("image", "image")}
VIEWS = {
    "stills": View({field: (kind, field) for field, kind in FIELDS.items()}),
    "classification": View(_IMAGE | {"label": ("label", "label")}, PAIR_NAMES),
    "detection": View(_IMAGE | {"objects": ("objects", "detections")}, SHAPES, ATTRIBUTE_NAMES),
    "segmentation": View(_IMAGE | {"mask": ("mask", "class_mask")}, MASK_NAMES),
    "dialogue": View(_IMAGE | {"messages": ("messages", "dialogue"), "kinds": ("texts", "kinds")}),
    "vqa": View(_IMAGE | {name: ("text", f"asked.{name}") for name in questions.Question._fields}),
}
_LONE_VIEWS = ("classification",)  # scenes of one object
_EVEN_VIEWS = ("dialogue",)  # each number of objects as frequent, so that counting must look


class Scenes(Drawn):
    """Pictures of colored shapes with exact ground truth, in any number; each is made when it is read.

    | view | an example, besides `id` |
    |---|---|
    | `stills` | the fields asked for, any of FIELDS (`Still` says what each is) |
    | `vqa` | `image`, `question`, `answer`, `kind`; every seven rows ask one question of each kind |
    | `dialogue` | `image`, `messages` of two to five turns, `kinds` of the turns; every number of objects alike |
    | `detection` | `image`, `objects` with `box`, `label`, `attributes` |
    | `segmentation` | `image`, `mask` (0 background, 1 + shape) |
    | `classification` | `image` of one object, `label` (shape * 8 + color) |

    The views `motion`, `sound` and `spoken` are `Motion`, `Sound` and `Spoken`, which have options of their own.

    Args:
        split: `train`, `validation`, `test` (new scenes) or `test_heldout` (a combination never trained on in each).
        size: Number of examples; 100,000 for training and 1,000 otherwise by default. Costs no memory.
        seed: Of every choice. The same row of the same arguments is the same example in any process.
        view: One of the above.
        objects: Relative frequency of scenes with 1, 2, ... objects; one to four numbers.
        picture_size: Pixels a side, 32 to 1024. The same scene at every size.
        fields: Of a still; image, captions and objects by default.
        captions: How many of a still's five captions; the first two name every object and its place.
        overlap: Objects may hide each other in part.
        distinct: No two scenes have the same objects: of those with the same shapes, colors, sizes and places, the
            first alone. Among them a caption is searched for fairly.
        without: Kinds of questions that dialogues do not have, such as ["size_of_it"].
        further: How many questions on their own may follow a dialogue.
        descriptions: How often a dialogue ends with a description of the picture, a complete caption; from 0 to 1.

    Raises:
        UsageError: An argument is not one of these.
    """

    def __init__(  # noqa: PLR0913  options of one data set
        self,
        split: str = "train",
        size: int | None = None,
        seed: int = 0,
        view: str = "stills",
        objects: Sequence[float] = (0.4, 0.3, 0.2, 0.1),
        picture_size: int = 64,
        fields: Sequence[str] | None = None,
        captions: int = 5,
        overlap: bool = False,
        distinct: bool = False,
        without: Sequence[str] = (),
        further: int = 0,
        descriptions: float = 0.0,
    ) -> None:
        if view in CLIP_VIEWS:
            raise UsageError(f"the view '{view}' of scenes has options of its own: hfmm.load_data('scenes:{view}')")
        if view not in VIEWS:
            raise unknown("view of scenes", view, (*VIEWS, *CLIP_VIEWS))
        super().__init__("scenes" if view == "stills" else f"scenes:{view}", split, size, seed, picture_size)
        self.view = view
        self.captions = whole("captions", captions, 1, 5)
        weights = (1.0,) if view in _LONE_VIEWS else frequencies(objects)
        if view in _EVEN_VIEWS:
            weights = tuple(float(weight > 0) for weight in weights)
        self.settings = world.Settings(split, weights, bool(overlap))
        self.manner = Manner(without, further, descriptions).checked()
        if any(self.manner) and view not in (*_EVEN_VIEWS, "stills"):
            given = next(name for name, value in self.manner._asdict().items() if value)
            raise UsageError(f"'{given}' is for dialogues about scenes, and the view '{view}' has none: leave it out")
        self._numbers: Sequence[int] = self._distinct() if distinct else range(self.size)
        columns = _columns(view, fields)
        self.features = {column: kind for column, (kind, _) in columns.items()}
        self._getters = {column: attrgetter(path) for column, (_, path) in columns.items()}
        self.label_names, self.attribute_names = VIEWS[view].label_names, VIEWS[view].attribute_names
        if view in _LONE_VIEWS and split != "test_heldout":
            self.unseen_labels = tuple(f"{color} {shape}" for shape, color in world.HELD_OUT)

    def read(self, row: int) -> Example:
        """The example of a row, a pure function of it and of the arguments."""
        number = self._numbers[row]
        key = world.key_of(self.seed, self.split, number)
        still = self._asked(row, key) if self.view == "vqa" else self._still(self.scene(row), key)
        example = {"id": f"scenes-{self.split}-{number}"} | {
            column: get(still) for column, get in self._getters.items()
        }
        return example | {"captions": example["captions"][: self.captions]} if "captions" in example else example

    def scene(self, row: int) -> world.Scene:
        """The numbers behind a row (of every view but `vqa`, which draws scenes until one suits the question)."""
        return self._drawn(self._numbers[row])

    def _drawn(self, number: int) -> world.Scene:
        return world.sample(self.settings, world.stream(world.key_of(self.seed, self.split, number), "world"))

    def _distinct(self) -> list[int]:
        """The numbers of the first scenes that differ in their objects from all before them."""
        if self.view == "vqa":
            raise UsageError("'distinct' is for scenes that are drawn without a question, and the view 'vqa' has one")
        found: dict[tuple[tuple[int, ...], ...], int] = {}
        for number in range(SEARCHED * self.size):
            found.setdefault(tuple(body.kind for body in self._drawn(number).bodies), number)
            if len(found) == self.size:
                return list(found.values())
        raise UsageError(f"of {SEARCHED * self.size:,} scenes, {len(found):,} are distinct: ask for fewer with 'size'")

    def _still(self, scene: world.Scene, key: bytes) -> Still:
        return Still(scene, key, self.picture_size, self.settings.overlap, self.manner)

    def _asked(self, row: int, key: bytes) -> Still:
        """A still with a question of the kind whose turn it is; numbers of objects are equally frequent in counts."""
        counts = [count for count, weight in enumerate(self.settings.weights, 1) if weight > 0]
        kind = self._kind_of(row, [kind for kind in questions.KINDS if questions.fewest_objects(kind) <= counts[-1]])
        draw_world, draw_question = world.stream(key, "world"), world.stream(key, "questions")
        fewest, most = questions.fewest_objects(kind), world.MAX_OBJECTS
        if kind == "count":
            fewest = most = counts[int(draw_question() * len(counts))]
        while True:
            still = self._still(world.sample(self.settings, draw_world, fewest, most), key)
            still.asked = questions.ask(kind, still.objects, draw_question)
            if still.asked:
                return still

    def _kind_of(self, row: int, kinds: list[str]) -> str:
        """Rows in blocks of one of each kind, every block in an order of its own."""
        block, turn = divmod(row, len(kinds))
        draw = world.stream(world.key_of(self.seed, f"{self.split}/kinds", block), "questions")
        for _ in range(turn):
            kinds.pop(int(draw() * len(kinds)))
        return kinds[int(draw() * len(kinds))]


def _columns(view: str, fields: Sequence[str] | None) -> dict[str, tuple[str, str]]:
    """The columns of a view; of a still, those asked for."""
    columns = VIEWS[view].columns
    if view != "stills":
        if fields is not None:
            raise UsageError(f"'fields' is for stills of scenes, and the view '{view}' has its own: leave it out")
        return columns
    return {field: columns[field] for field in chosen_fields(fields, STILL_FIELDS, columns)}
