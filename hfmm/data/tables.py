"""Rows as they are stored: CSV and folders of classes, each with random access and exact places.

A table knows nothing of what its columns mean. Pictures stay undecoded: a cell holds bytes, or a path beside the table.
"""

import csv
import os
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hfmm.errors import DataError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".ppm", ".pgm", ".pbm")

Row = dict[str, Any]


class Table(ABC):
    """Rows of one split.

    Attributes:
        kinds: Column -> kind (those of `Examples.features`), from the types or the first value met.
        class_names: Column of class numbers -> the name of each class.
        folder: Where paths in the table start, None if the table may not name files.
    """

    kinds: dict[str, str]
    class_names: dict[str, tuple[str, ...]]
    folder: Path | None

    @abstractmethod
    def __len__(self) -> int:
        """Number of rows, those that cannot be read among them."""

    @abstractmethod
    def row(self, index: int) -> Row:
        """One row. Raises DataError, without saying where, if it cannot be read."""

    @abstractmethod
    def where(self, index: int) -> str:
        """What an error calls a row: its file and line, or row."""

    def light_rows(self) -> Iterator[Row | DataError]:
        """Every row in order, or the reason it cannot be read; large cells may stand in as True."""
        for index in range(len(self)):
            try:
                yield self.row(index)
            except DataError as error:
                yield error

    def distinct(self, column: str) -> set[Any]:
        """The texts and numbers that a column holds."""
        rows = [row for row in self.light_rows() if not isinstance(row, DataError)]
        return {row[column] for row in rows if isinstance(row.get(column), str | int | float)}


def kind_of(value: Any) -> str:
    """The kind of a column, from a value of it."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return "texts" if isinstance(value, list) and value and isinstance(value[0], str) else "value"


class CsvTable(Table):
    """Comma-separated values with a header line. Every value is text; an empty one is None."""

    def __init__(self, path: Path) -> None:
        self.path, self.folder = path, path.parent
        self._rows: list[list[str]] = []
        self._numbers = array("Q")
        self._broken: dict[int, str] = {}
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            try:
                self._read(reader)
            except UnicodeDecodeError as error:
                raise DataError(f"{path} is not UTF-8, after line {reader.line_num}") from error
        self.kinds, self.class_names = dict.fromkeys(self._header, "text"), {}

    def _read(self, reader: Any) -> None:
        self._header: list[str] = []
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                cells, problem = [""], f"not valid CSV ({error})"
            else:
                problem = f"{len(cells)} cells under a header of {len(self._header)}" if self._header else ""
                problem = "" if len(cells) == len(self._header) else problem
            if not self._header and cells:
                if problem or len(set(cells)) < len(cells):
                    raise DataError(f"{self.path} line {line}: {problem or 'two columns have the same name'}")
                self._header = cells
            elif cells:
                if problem:
                    self._broken[len(self._rows)] = problem
                self._rows.append(cells)
                self._numbers.append(line)

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, index: int) -> Row:
        """One row; an empty cell is None."""
        if index in self._broken:
            raise DataError(self._broken[index])
        return {column: cell or None for column, cell in zip(self._header, self._rows[index], strict=True)}

    def where(self, index: int) -> str:
        """File and line."""
        return f"{self.path} line {self._numbers[index]}"


class FolderTable(Table):
    """Pictures in folders, each folder a class; or pictures without classes."""

    def __init__(self, folder: Path, class_names: Sequence[str]) -> None:
        """List the pictures.

        Args:
            folder: Holds a folder for each class, or, without classes, the pictures.
            class_names: Name of each class (of the whole data set: a split may lack some).
        """
        self.folder = folder
        self.kinds = {"image": "image"} | ({"label": "label"} if class_names else {})
        self.class_names = {"label": tuple(class_names)} if class_names else {}
        self._rows = [
            (str(path.relative_to(folder)), number)
            for number, name in enumerate(class_names or (".",))
            for path in list_pictures(folder / name)
        ]

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, index: int) -> Row:
        """The path of the picture, and the number of its class."""
        path, number = self._rows[index]
        return {"image": path, "label": number} if self.class_names else {"image": path}

    def where(self, index: int) -> str:
        """Folder and row, in the order of the names."""
        return f"{self.folder} row {index}"


def list_pictures(folder: Path) -> list[Path]:
    """The picture files of a folder, in the order of their names."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(
            Path(entry.path) for entry in entries if entry.name.lower().endswith(PICTURE_SUFFIXES) and entry.is_file()
        )
