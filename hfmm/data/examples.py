"""Examples: what every data source gives and everything else takes. Standard library only.

An example is a plain dict. Every one has `id` (str); the other keys are the columns of its kind of task: `image` (a PIL
picture in RGB), `captions` (list of str), `label` (int, None if it has none), `objects` (list of dicts), `mask` ((H, W)
class indices) and so on.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from operator import index as as_integer
from typing import Any

from hfmm.errors import DataError

Example = dict[str, Any]


def printable(text: str) -> str:
    """Text of unknown origin for a message: one line that any terminal can take, with escapes for the rest."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


class Examples(ABC):
    """A data set of known length with random access. Subclasses implement `__len__` and `read`.

    Reading must be a pure function of the row, so that any process may read any row in any order, and subclasses must
    survive pickling and forking, so that loading workers can hold them.

    Attributes:
        name: What a person typed to get it.
        split: `train`, `validation`, `test` or the source's own name.
        features: Column -> kind: `image`, `images` (a list), `mask`, `text`, `texts`, `label`, `objects`, `messages`,
            `audio`, `video`, `number` or `value` (anything else).
        label_names: Name of each class, of labels, objects or masks; None where there are none, or no names.
        attribute_names: Name of each attribute that objects may have, None where they have numbers only, or none.
        unseen_labels: Names of classes that these examples leave out on purpose, for others to be tested on.
    """

    name: str
    split: str
    features: dict[str, str]
    label_names: tuple[str, ...] | None = None
    attribute_names: tuple[str, ...] | None = None
    unseen_labels: tuple[str, ...] = ()

    @abstractmethod
    def __len__(self) -> int:
        """Number of examples."""

    @abstractmethod
    def read(self, row: int) -> Example:
        """The example of a row, 0 <= row < len. Raises DataError (without saying where) if it cannot be read."""

    def where(self, row: int) -> str:
        """What an error calls a row."""
        return f"{self.name} {self.split} row {row}"

    def __getitem__(self, row: int) -> Example:
        """The example of a row; negative rows count from the end.

        Raises:
            IndexError: No such row.
            DataError: The row cannot be read; the message names source and row.
        """
        number = as_integer(row)
        inside = number + len(self) if number < 0 else number
        if not 0 <= inside < len(self):
            raise IndexError(f"{self.name} {self.split} has {len(self)} examples, no row {number}")
        try:
            return self.read(inside)
        except DataError as error:
            raise DataError(printable(f"{self.where(inside)}: {error}")) from error

    def __iter__(self) -> Iterator[Example]:
        return (self[row] for row in range(len(self)))

    def peek(self, row: int) -> Example:
        """The example of a row without decoding its pictures, where a source can do that: for those who want words."""
        return self.read(row)

    def column(self, name: str) -> Iterator[Any]:
        """The values of one column, nothing else decoded. Rows that cannot be read are left out."""
        for row in range(len(self)):
            try:
                yield self.peek(row)[name]
            except DataError:
                continue

    def select(self, rows: Iterable[int]) -> "Examples":
        """A view of some rows, in the given order."""
        return Selection(self, rows if isinstance(rows, range) else tuple(rows))

    def shard(self, num_shards: int, index: int) -> "Examples":
        """Every num_shards-th row from `index` on: the shards together hold every row once."""
        if not 0 <= index < num_shards:
            raise ValueError(f"shard {index} of {num_shards}: the index must be in 0..{num_shards - 1}")
        return self.select(range(index, len(self), num_shards))

    def sized(self, height: int, width: int) -> "Examples":
        """The same examples for a reader who will resize pictures to (height, width) pixels.

        A source that decodes files may then give pictures that are smaller than stored, but never smaller than that
        size where the stored ones are not. Drawn pictures are as they are.
        """
        return self


class Selection(Examples):
    """A view of some rows of other examples."""

    def __init__(self, base: Examples, rows: Sequence[int]) -> None:
        self.base = base
        self.rows = rows
        self.name, self.split = base.name, base.split
        self.features, self.label_names = base.features, base.label_names
        self.attribute_names, self.unseen_labels = base.attribute_names, base.unseen_labels
        if rows and not 0 <= min(rows) <= max(rows) < len(base):
            raise IndexError(f"{base.name} {base.split} has {len(base)} examples, no rows {min(rows)} to {max(rows)}")

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, row: int) -> Example:
        """The example of the row that is chosen there."""
        return self.base.read(self.rows[row])

    def peek(self, row: int) -> Example:
        """The example of the row that is chosen there, its pictures not decoded."""
        return self.base.peek(self.rows[row])

    def where(self, row: int) -> str:
        """The place in the whole data set."""
        return self.base.where(self.rows[row])

    def sized(self, height: int, width: int) -> Examples:
        """The same rows of the sized data set."""
        return Selection(self.base.sized(height, width), self.rows)


class ListExamples(Examples):
    """Examples that are already in memory; those without an `id` get one from their row."""

    def __init__(
        self,
        examples: Iterable[Example],
        features: dict[str, str],
        name: str = "list",
        split: str = "train",
        label_names: tuple[str, ...] | None = None,
    ) -> None:
        self.name, self.split = name, split
        self.features, self.label_names = features, label_names
        self.examples = [{"id": f"{name}-{split}-{row}"} | example for row, example in enumerate(examples)]

    def __len__(self) -> int:
        return len(self.examples)

    def read(self, row: int) -> Example:
        """A copy of the dict, so that a reader may add to it."""
        return dict(self.examples[row])
