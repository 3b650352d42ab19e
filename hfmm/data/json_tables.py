"""Rows of JSON objects, read where they lie: one a line, or the elements of one list, as LLaVA's own files are."""

import json
import mmap
import os
import re
from abc import abstractmethod
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from hfmm.data.tables import Row, Table, kind_of
from hfmm.errors import DataError

MAX_LINE_BYTES = 16 * 2**20  # of one object
_MARK = b"\xef\xbb\xbf"
_MARKED = "starts with a byte order mark (BOM): save the file as UTF-8 without one"
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]', re.DOTALL)  # a string, or a bracket outside of any


class JsonTable(Table):
    """JSON objects of a file: what is kept in memory is the place of each."""

    _descriptor: int | None = None  # opened at the first reading, by each process that unpickled the table

    def __init__(self, path: Path) -> None:
        self.path, self.folder = path, path.parent
        self.kinds, self.class_names = {}, {}
        self._starts, self._ends, self._numbers = array("Q"), array("Q"), array("Q")  # bytes of each row, and its line
        self._broken: dict[int, str] = {}
        self._find()

    @abstractmethod
    def _find(self) -> None:
        """Add every row."""

    def _add(self, start: int, number: int, text: bytes) -> None:
        """Note a row, the kinds of its columns, and whether it can be read."""
        try:
            for column, value in _json_object(text).items():
                known = self.kinds.get(column, "value")
                if known == "value":  # not known yet: nothing or an empty list so far
                    self.kinds[column] = kind_of(value)
                elif known == "text" and kind_of(value) == "texts":  # one in some rows, several in others
                    self.kinds[column] = "texts"
        except DataError as error:
            self._broken[len(self._starts)] = str(error)
        self._starts.append(start)
        self._ends.append(start + len(text))
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
            text = os.pread(self._descriptor, self._ends[index] - start, start)
        except OSError as error:
            raise DataError(f"the file cannot be read any more ({error})") from error
        return _json_object(text)

    def where(self, index: int) -> str:
        """File and line."""
        return f"{self.path} line {self._numbers[index]}"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_descriptor": None}

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


class JsonLinesTable(JsonTable):
    """One JSON object a line."""

    def _find(self) -> None:
        with self.path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if line.strip():
                    self._add(file.tell() - len(line), number, line)
                while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                    line = file.readline(MAX_LINE_BYTES + 1)


class JsonListTable(JsonTable):
    """The objects of one list, on as many lines as they like; the line of each is where it starts."""

    def _find(self) -> None:
        with self.path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise DataError(f"{self.path} is empty")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if content[: len(_MARK)] == _MARK:
                    raise DataError(f"{self.path} {_MARKED}")
                number, last = 1, 0
                for start, end in self._elements(content):
                    number += content[last:start].count(b"\n")
                    self._add(start, number, content[start:end])
                    last = start

    def _elements(self, content: mmap.mmap) -> Iterator[tuple[int, int]]:
        """Where each object starts and ends.

        Raises:
            DataError: The file is not a list of objects, or is cut.
        """
        depth = start = end = 0
        before = b"["  # what must stand before the next object
        for token in _TOKEN.finditer(content):
            mark = token[0]
            if mark in b"[{":
                start = token.start() if depth == 1 else start
                depth += 1
                if depth == 2:
                    self._expect(content, end, start, before)
            elif mark in b"]}":
                depth -= 1
                if depth == 1:
                    end, before = token.end(), b","
                    yield start, end
                elif depth < 1:
                    self._expect(content, end, len(content), b"]" if end else b"[]")
                    return
        raise DataError(f"{self.path} ends inside of the list: it has been cut, or is no JSON")

    def _expect(self, content: mmap.mmap, start: int, end: int, mark: bytes) -> None:
        """Refuse anything else than a mark, and space around it, between two places."""
        found = b"".join(content[start:end].split())
        if found != mark:
            line = content[:end].count(b"\n") + 1
            raise DataError(f"{self.path} line {line}: the file is not one list of objects")


def is_list_of_objects(path: Path) -> bool:
    """Whether a JSON file begins like a list of objects; others beside data say what their classes are."""
    with path.open("rb") as file:
        return b"".join(file.read(100).split()).startswith(b"[{")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _json_object(line: bytes) -> Row:
    """Parse one line or object, strictly."""
    if len(line) > MAX_LINE_BYTES:
        raise DataError(f"the line is longer than {MAX_LINE_BYTES >> 20} MiB")
    if line.startswith(_MARK):
        raise DataError(f"the line {_MARKED}")
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
