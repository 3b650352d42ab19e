"""From what a person typed after `--data` to examples: built-in names, folders, files and Hub data sets.

What is heavy (`datasets`, Arrow) is imported only by the sources that need it.
"""

import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

from hfmm.data.checks import is_text
from hfmm.data.columns import map_columns, parse_columns
from hfmm.data.examples import Examples
from hfmm.data.images import MAX_PIXELS
from hfmm.data.mapped import MappedExamples
from hfmm.data.tables import CsvTable, FolderTable, JsonLinesTable, Table, list_pictures
from hfmm.errors import DataError, UsageError, unknown

BUILT_IN = ("scenes", "digits")
ALIASES = {"training": "train", "val": "validation", "valid": "validation", "dev": "validation", "testing": "test"}
SPLITS = ("train", "validation", "test")
CLASSES = "classes.json"  # of a folder with masks: names of the classes, in order
_FILE_KINDS = (".parquet", ".jsonl", ".csv")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_SHARD = re.compile(r"[-_]\d+(-of-\d+)?$")


def canonical_split(name: str) -> str:
    """The name of a split in hfmm: `val`, `valid` and `dev` are `validation`."""
    return ALIASES.get(name.lower(), name)


def _in_order(splits: Iterable[str]) -> tuple[str, ...]:
    """Training before validation before test before others."""
    return tuple(sorted(splits, key=lambda split: (SPLITS.index(split) if split in SPLITS else len(SPLITS), split)))


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
        self.splits = _in_order(self._parts)

    def table(self, split: str) -> Table:
        """The rows of the files of a split."""
        part = self._parts[split]
        if part.kind == ".parquet":
            from hfmm.data.arrow import read_parquet

            return read_parquet(part.files, f"{self.path} {split}")
        if part.kind:
            if len(part.files) > 1:
                raise DataError(f"{self.path}: {' and '.join(file.name for file in part.files)} both are '{split}'")
            return JsonLinesTable(part.files[0]) if part.kind == ".jsonl" else CsvTable(part.files[0])
        folders = [part.files[0] for part in self._parts.values()]
        names = sorted({name for folder in folders for name in _class_folders(folder)})
        return FolderTable(part.files[0], names)


def _file_kind(path: Path) -> str:
    if path.suffix.lower() not in _FILE_KINDS:
        raise DataError(f"{path}: a data file is one of {', '.join(_FILE_KINDS)}")
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
    """The splits of a folder: parquet files, else metadata of pictures, else JSON Lines or CSV, else bare pictures."""
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
        or {split: _Part("", (path,)) for split, path in places.items() if list_pictures(path) or _class_folders(path)}
    )
    if not parts:
        raise DataError(
            f"{folder} holds no parquet, jsonl or csv files and no pictures, nor do data/, train/ or others"
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


class HubSource(Source):
    """A data set of the Hub, or of the local cache of it."""

    def __init__(self, name: str, config: str | None, revision: str | None) -> None:
        from hfmm.data.arrow import load_hub

        self.name = name
        self._datasets = {canonical_split(split): rows for split, rows in load_hub(name, config, revision).items()}
        self.splits = _in_order(self._datasets)

    def table(self, split: str) -> Table:
        """The rows of a loaded split."""
        from hfmm.data.arrow import ArrowTable

        return ArrowTable(self._datasets[split], f"{self.name} {split}")


def open_source(spec: str, config: str | None = None, revision: str | None = None) -> Source:
    """Find a data set that is not built in.

    Raises:
        DataError: Nothing of that name.
        AccessError: It may be on the Hub, which cannot be reached.
    """
    path = Path(os.path.expanduser(spec))
    if os.path.exists(path):  # unlike Path.exists, False for names that no file can have
        return LocalSource(path)
    if _HUB_ID.fullmatch(spec) and not spec.startswith(("./", "../")) and path.suffix not in _FILE_KINDS:
        return HubSource(spec, config, revision)
    near = get_close_matches(spec, BUILT_IN, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    known = f"neither a file or folder, nor built in ({', '.join(BUILT_IN)}), nor a Hub id (USER/NAME)"
    raise DataError(f"no data set '{spec}': {known}{hint}")


def load_built_in(spec: str, split: str, options: dict[str, Any]) -> Examples:
    """The built-in data: `scenes`, `scenes:VIEW` or `digits`."""
    from hfmm.data import scenes

    name, _, view = spec.partition(":")
    options = {"split": split, **options, **({"view": view} if view else {})}
    Source: type[Examples]
    if name == "digits":
        from hfmm.data.digits import Digits as Source
    elif options.get("view") in scenes.CLIP_VIEWS:
        Source = getattr(scenes, scenes.CLIP_VIEWS[options.pop("view")])
    else:
        Source = scenes.Scenes
    known = list(signature(Source).parameters)
    for option in options:
        if option not in known:
            raise unknown(f"option of {name}", option, known)
    return Source(**options)


def is_built_in(spec: str) -> bool:
    """Whether the data are drawn here rather than read."""
    return spec.partition(":")[0] in BUILT_IN


def load_examples(
    spec: str, split: str, columns: str | Mapping[str, str] | None, on_bad_example: str, options: dict[str, Any]
) -> Examples:
    """See `hfmm.data.load`."""
    if on_bad_example not in ("error", "skip"):
        raise unknown("on_bad_example", on_bad_example, ("error", "skip"))
    split = canonical_split(split)
    explicit = parse_columns(columns)
    if is_built_in(spec):
        if explicit:
            raise UsageError(f"{spec} is built in: its columns have their names already")
        return load_built_in(spec, split, options)
    examples = open_examples(spec, split, explicit, options)
    if on_bad_example == "error":
        problems = examples.problems(pictures=False)
        first = next(problems, None)
        if first is not None:
            more = sum(1 for _ in problems)
            also = f" (and {more} more problems: hfmm doctor --data {spec})" if more else ""
            raise DataError(f"{first.where}: {first.what}{also}")
    return examples


def open_examples(spec: str, split: str, explicit: Mapping[str, str], options: Mapping[str, Any]) -> MappedExamples:
    """The examples of a folder, file or Hub data set, unchecked."""
    known = ("config", "revision", "max_pixels", "ignore_index")
    for option in options:
        if option not in known:
            raise unknown(f"option of data '{spec}'", option, known)
    source = open_source(spec, options.get("config"), options.get("revision"))
    return examples_of(source, spec, split, explicit, options)


def examples_of(
    source: Source, spec: str, split: str, explicit: Mapping[str, str], options: Mapping[str, Any]
) -> MappedExamples:
    """The examples of one split of an opened source, unchecked."""
    if split not in source.splits:
        raise DataError(f"{spec} has no split '{split}': it has {', '.join(source.splits)}")
    table = source.table(split)
    if not len(table):
        raise DataError(f"{spec} {split} holds no rows")
    mapping = map_columns(table.kinds, explicit, f"{spec} {split}")
    names = _label_names(source, table, mapping.sources.get("label"))
    if "mask" in mapping.sources and names is None:
        names = _mask_names(source, options.get("ignore_index"))
    return MappedExamples(
        table,
        mapping,
        spec,
        split,
        names,
        options.get("max_pixels") or MAX_PIXELS,
        options.get("ignore_index"),
    )


def _label_names(source: Source, table: Table, column: str | None) -> tuple[str, ...] | None:
    """The names of the classes: the data's own, or its labels of all splits in order (numbers: 0 to the largest)."""
    if column is None or column in table.class_names:
        return table.class_names[column] if column is not None else None
    tables = (source.table(split) for split in source.splits)
    labels = {label for other in tables if column in other.kinds for label in other.distinct(column)}
    if table.kinds[column] == "text":
        names = {label for label in labels if is_text(label)}
        return tuple(sorted(names, key=lambda name: (int(name), name) if name.isdecimal() else (2**63, name)))
    numbers = [label for label in labels if isinstance(label, int)]
    return tuple(str(number) for number in range(max(numbers, default=-1) + 1)) if len(numbers) == len(labels) else None


def _mask_names(source: Source, ignore_index: int | None) -> tuple[str, ...] | None:
    """The names of the classes of masks, from the file `classes.json` of a folder; one to ignore, if last, is none."""
    path = source.path / CLASSES if isinstance(source, LocalSource) else None
    if path is None or not path.is_file():
        return None
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{path} is not a list of names, one a class")
    return tuple(names[:-1] if ignore_index == len(names) - 1 else names)
