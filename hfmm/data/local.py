"""Folders and files as data sets: which files are which split."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from hfmm.data.json_tables import JsonLinesTable, JsonListTable, is_list_of_objects
from hfmm.data.splits import SPLITS, canonical_split, in_order
from hfmm.data.tables import CsvTable, FolderTable, Table, list_pictures
from hfmm.errors import DataError

FILE_KINDS = (".parquet", ".jsonl", ".csv", ".json")
_READERS: dict[str, Callable[[Path], Table]] = {".jsonl": JsonLinesTable, ".csv": CsvTable, ".json": JsonListTable}
_SHARD = re.compile(r"[-_]\d+(-of-\d+)?$")


class Source(ABC):
    """A data set that is not built in.

    Attributes:
        splits: Names of its splits.
    """

    splits: tuple[str, ...]

    @abstractmethod
    def table(self, split: str) -> Table:
        """The rows of a split."""


class _Part(NamedTuple):
    """The files of one split: those of one kind, or one folder of pictures (kind "")."""

    kind: str
    files: tuple[Path, ...]


class LocalSource(Source):
    """A folder or a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._parts = {_file_split(path): _Part(_file_kind(path), (path,))} if path.is_file() else _find_parts(path)
        self.splits = in_order(self._parts)

    def table(self, split: str) -> Table:
        """The rows of the files of a split."""
        part = self._parts[split]
        if part.kind == ".parquet":
            from hfmm.data.arrow import read_parquet

            return read_parquet(part.files, f"{self.path} {split}")
        if part.kind:
            if len(part.files) > 1:
                raise DataError(f"{self.path}: {' and '.join(file.name for file in part.files)} both are '{split}'")
            return _READERS[part.kind](part.files[0])
        folders = [part.files[0] for part in self._parts.values()]
        names = sorted({name for folder in folders for name in _class_folders(folder)})
        return FolderTable(part.files[0], names)


def _file_kind(path: Path) -> str:
    if path.suffix.lower() not in FILE_KINDS:
        raise DataError(f"{path}: a data file is one of {', '.join(FILE_KINDS)}")
    return path.suffix.lower()


def _stem_split(path: Path) -> str:
    """The split that a file's name says: train-00000-of-00004, train-extra, val, test_heldout, or anything."""
    stem = _SHARD.sub("", path.stem)
    first = canonical_split(stem.split("-")[0])
    return first if first in SPLITS else canonical_split(stem)


def _file_split(path: Path) -> str:
    """The split of a file given by itself: `train` unless its name says another."""
    split = _stem_split(path)
    return split if split.split("_")[0] in SPLITS else "train"


def _find_parts(folder: Path) -> dict[str, _Part]:
    """The splits of a folder: parquet, else metadata of pictures, else JSON Lines, CSV or JSON lists, else pictures."""
    inside = sorted(path for path in folder.iterdir() if path.is_dir())
    split_folders = {canonical_split(path.name): path for path in inside if canonical_split(path.name) in SPLITS}
    places = split_folders or {"train": folder}
    parts = (
        _group(sorted(folder.glob("*.parquet")))
        or _group(sorted(folder.glob("data/*.parquet")))
        or _by_folder(split_folders, "*.parquet")
        or _by_folder(places, "metadata.jsonl")
        or _by_folder(places, "metadata.csv")
        or _by_folder({"train": folder}, "metadata.jsonl")
        or _by_folder({"train": folder}, "metadata.csv")
        or _group(sorted(folder.glob("*.jsonl")))
        or _group(sorted(folder.glob("*.csv")))
        or _group([path for path in sorted(folder.glob("*.json")) if is_list_of_objects(path)])
        or {split: _Part("", (path,)) for split, path in places.items() if list_pictures(path) or _class_folders(path)}
    )
    if not parts:
        raise DataError(
            f"{folder} holds no parquet, jsonl, csv or json files and no pictures, nor do data/, train/ or others"
        )
    return parts


def _by_folder(places: Mapping[str, Path], pattern: str) -> dict[str, _Part]:
    """The files of that pattern in the folder of each split."""
    found = {split: tuple(sorted(path.glob(pattern))) for split, path in places.items()}
    return {split: _Part(_file_kind(files[0]), files) for split, files in found.items() if files}


def _group(files: list[Path]) -> dict[str, _Part]:
    """Files of one kind by split; a single group whose name is no split is the training data."""
    groups: dict[str, tuple[Path, ...]] = {}
    for file in files:
        groups[_stem_split(file)] = (*groups.get(_stem_split(file), ()), file)
    if len(groups) == 1:
        groups = {_file_split(files[0]): tuple(files)}
    return {split: _Part(_file_kind(files[0]), members) for split, members in groups.items()}


def _class_folders(folder: Path) -> list[str]:
    """Names of the subfolders that hold pictures."""
    return [path.name for path in sorted(folder.iterdir()) if path.is_dir() and list_pictures(path)]
