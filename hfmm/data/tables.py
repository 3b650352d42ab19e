"""Rows as they are stored: JSON Lines, CSV and folders of classes, each with random access and exact places.

A table knows nothing of what its columns mean. Pictures stay undecoded: a cell holds bytes, or a path beside the table.
"""

import csv
import json
import os
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hfmm.errors import DataError

MAX_LINE_BYTES = 16 * 2**20
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


class JsonLinesTable(Table):
    """One JSON object a line, read where it lies: what is kept in memory is the place of each line."""

    _descriptor: int | None = None  # opened at the first reading, by each process that unpickled the table

    def __init__(self, path: Path) -> None:
        self.path, self.folder = path, path.parent
        self.kinds, self.class_names = {}, {}
        self._starts, self._numbers = array("Q"), array("Q")  # byte where each row starts, its line number
        self._broken: dict[int, str] = {}
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if line.strip():
                    self._add(file.tell() - len(line), number, line)
                while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                    line = file.readline(MAX_LINE_BYTES + 1)
        self._starts.append(path.stat().st_size)

    def _add(self, start: int, number: int, line: bytes) -> None:
        """Note a row, the kinds of its columns, and whether it can be read."""
        try:
            for column, value in _json_object(line).items():
                if self.kinds.get(column, "value") == "value":  # not known yet: nothing or an empty list so far
                    self.kinds[column] = kind_of(value)
        except DataError as error:
            self._broken[len(self._starts)] = str(error)
        self._starts.append(start)
        self._numbers.append(number)

    def __len__(self) -> int:
        return len(self._numbers)

    def row(self, index: int) -> Row:
        """One row, parsed now."""
        if index in self._broken:
            raise DataError(self._broken[index])
        start = self._starts[index]
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self.path, os.O_RDONLY)
            # pread moves no shared file position, so forked workers can read through one descriptor.
            lines = os.pread(self._descriptor, self._starts[index + 1] - start, start)
        except OSError as error:
            raise DataError(f"the file cannot be read any more ({error})") from error
        return _json_object(lines.split(b"\n", 1)[0])

    def where(self, index: int) -> str:
        """File and line."""
        return f"{self.path} line {self._numbers[index]}"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_descriptor": None}

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _json_object(line: bytes) -> Row:
    """Parse one line, strictly."""
    if len(line) > MAX_LINE_BYTES:
        raise DataError(f"the line is longer than {MAX_LINE_BYTES >> 20} MiB")
    if line.startswith(b"\xef\xbb\xbf"):
        raise DataError("the line starts with a byte order mark (BOM): save the file as UTF-8 without one")
    try:
        row = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise DataError("the line is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise DataError(f"the line is not UTF-8 (byte {error.start + 1})") from error
    except ValueError as error:
        raise DataError(f"not valid JSON ({error})") from error
    if not isinstance(row, dict):
        raise DataError(f"the line holds a {type(row).__name__}, not an object of columns")
    return row


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
