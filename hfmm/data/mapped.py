"""Examples over a table: columns mapped, values checked, pictures decoded when they are asked for."""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hfmm.data.checks import Notes, Problem
from hfmm.data.columns import ColumnMap
from hfmm.data.examples import Example, Examples, printable
from hfmm.data.images import MAX_PIXELS, decode, decode_mask
from hfmm.data.tables import Table
from hfmm.errors import DataError

_PICTURES = frozenset({"image", "images", "mask"})
_IN_PIXELS = frozenset({"objects", "mask"})  # kinds of columns that would no longer fit a picture of another size


class MappedExamples(Examples):
    """The examples of one split of a folder, a file or a Hub data set."""

    def __init__(
        self,
        table: Table,
        columns: ColumnMap,
        name: str,
        split: str,
        label_names: Sequence[str] | None = None,
        max_pixels: int = MAX_PIXELS,
        ignore_index: int | None = None,
    ) -> None:
        """Prepare reading; nothing is decoded.

        Args:
            table: The rows.
            columns: Which column is which.
            name: What a person typed.
            split: Which part of the data.
            label_names: Name of each class, if there is a label column.
            max_pixels: Larger pictures are refused.
            ignore_index: The value of masks that stands for "ignore"; examples have 255 there.
        """
        self.name, self.split = name, split
        self.table = table
        self.label_names = tuple(label_names) if label_names is not None else None
        self.columns = columns.with_labels(self.label_names) if "label" in columns.features else columns
        self.features = columns.features
        self.max_pixels, self.ignore_index = max_pixels, ignore_index
        self.target: tuple[int, int] | None = None
        self._stem = Path(name).stem
        self._numbered = "messages" in columns.features  # LLaVA's ids are those of pictures, of which many speak
        self._ends = self._count() if columns.paired else None

    def _count(self) -> np.ndarray:
        """Examples up to and including each row. (rows,)."""
        rows = self.table.light_rows()
        return np.cumsum([1 if isinstance(row, DataError) else self.columns.count(row) for row in rows], dtype=np.int64)

    def __len__(self) -> int:
        if self._ends is None:
            return len(self.table)
        return int(self._ends[-1]) if len(self._ends) else 0

    def _place(self, index: int) -> tuple[int, int]:
        """Which row of the table, and which pair in it."""
        if self._ends is None:
            return index, 0
        row = int(np.searchsorted(self._ends, index, side="right"))
        return row, index - (int(self._ends[row - 1]) if row else 0)

    def where(self, row: int) -> str:
        """File and line, or row, of the table."""
        table_row, _ = self._place(row)
        return self.table.where(table_row)

    def sized(self, height: int, width: int) -> Examples:
        """The same examples, JPEGs decoded small; as they are if other columns are in pixels of the picture."""
        if _IN_PIXELS & set(self.features.values()):
            return self
        reduced = copy.copy(self)
        reduced.target = (height, width)
        return reduced

    def read(self, row: int) -> Example:
        """Read, map, check and decode."""
        example = self.peek(row)
        for column, kind in self.features.items():
            if kind == "images":
                example[column] = [self._decode(cell, kind) for cell in example[column]]
            elif kind in _PICTURES and example[column] is not None:
                example[column] = self._decode(example[column], kind)
        return example

    def peek(self, row: int) -> Example:
        """Read, map and check."""
        table_row, pair = self._place(row)
        notes: Notes = []
        example = self.columns.convert(self.table.row(table_row), pair, notes)
        if notes:
            raise DataError("; ".join(notes))
        own = example.get("id")
        if own is None:
            return example | {"id": self._made_id(table_row, pair)}
        return example | {"id": f"{own}-{table_row}" if self._numbered else str(own)}

    def column(self, name: str) -> Iterator[Any]:
        """The values of one column, in one pass over the rows; those that cannot be read are left out."""
        for row in self.table.light_rows():
            if isinstance(row, DataError):
                continue
            for pair in range(self.columns.count(row)):
                notes: Notes = []
                example = self.columns.convert(row, pair, notes)
                if not notes:
                    yield example[name]

    def _made_id(self, row: int, pair: int) -> str:
        return f"{self._stem}-{self.split}-{row}" + (f"-{pair}" if self.columns.paired else "")

    def _decode(self, cell: Any, kind: str) -> Any:
        data = self._picture_data(cell)
        if kind == "mask":
            return decode_mask(data, self.ignore_index, self.max_pixels)
        return decode(data, self.target, self.max_pixels)

    def _picture_data(self, cell: Any) -> bytes | Path:
        """The bytes of a picture, or the path of its file."""
        path = cell
        if isinstance(cell, dict):
            if isinstance(cell.get("bytes"), bytes):
                return cell["bytes"]
            path = cell.get("path")
        if isinstance(path, bytes):
            return path
        if not isinstance(path, str) or not path:
            raise DataError(f"the picture is {type(path).__name__}, neither bytes nor a path")
        if "://" in path:
            raise DataError(f"the picture is at {path[:80]}: download it first, nothing is fetched while reading")
        if self.table.folder is None:
            raise DataError(f"the picture is a path ({path[:80]}), and this data set comes without its files")
        return self.table.folder / path

    def problems(self, pictures: bool) -> Iterator[Problem]:
        """Everything that is wrong, row by row.

        Args:
            pictures: Decode every picture; else only missing files are told.
        """
        ids: dict[str, int] = {}
        for row, content in enumerate(self.table.light_rows()):
            notes: Notes = []
            if isinstance(content, DataError):
                notes.append(str(content))
            else:
                for pair in range(self.columns.count(content)):
                    example = self.columns.convert(content, pair, notes)
                own = example.get("id")
                if own is not None and not self._numbered and ids.setdefault(str(own), row) != row:
                    notes.append(f"id '{own}' is that of {self.table.where(ids[str(own)])} too")
                notes += self._picture_problems(row, example, pictures)
            where = self.table.where(row)
            yield from (Problem(printable(where), printable(note)) for note in dict.fromkeys(notes))

    def _picture_problems(self, row: int, example: Example, decoded: bool) -> Notes:
        notes: Notes = []
        for column, kind in self.features.items():
            if kind not in _PICTURES or example.get(column) is None:
                continue
            cells = example[column] if kind == "images" else [example[column]]
            for number, cell in enumerate(cells):
                try:
                    if decoded:
                        if cell is True:  # its bytes were left out
                            stored = self.table.row(row)[self.columns.sources[column]]
                            cell = stored[number] if kind == "images" else stored
                        self._decode(cell, kind)
                    elif cell is not True:
                        path = self._picture_data(cell)
                        if isinstance(path, Path) and not path.is_file():
                            notes.append(f"{path}: no such file")
                except DataError as error:
                    notes.append(str(error))
        return notes
