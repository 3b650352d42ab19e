"""From what a person typed after `--data` to examples: built-in names, folders, files and Hub data sets.

What is heavy (`datasets`, Arrow) is imported only by the sources that need it.
"""

import json
import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from typing import Any

from hfmm.data.checks import is_text
from hfmm.data.columns import map_columns, parse_columns
from hfmm.data.examples import Examples
from hfmm.data.images import MAX_PIXELS
from hfmm.data.local import FILE_KINDS, LocalSource, Source
from hfmm.data.mapped import MappedExamples
from hfmm.data.splits import canonical_split, in_order
from hfmm.data.tables import Table
from hfmm.errors import DataError, SplitError, UsageError, unknown

BUILT_IN = ("scenes", "digits")
CLASSES = "classes.json"  # of a folder with masks: names of the classes, in order
_OPTIONS = ("config", "revision", "max_pixels", "ignore_index", "pictures")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class HubSource(Source):
    """A data set of the Hub, or of the local cache of it."""

    def __init__(self, name: str, config: str | None, revision: str | None) -> None:
        from hfmm.data.arrow import load_hub

        self.name = name
        self._datasets = {canonical_split(split): rows for split, rows in load_hub(name, config, revision).items()}
        self.splits = in_order(self._datasets)

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
    if _HUB_ID.fullmatch(spec) and not spec.startswith(("./", "../")) and path.suffix not in FILE_KINDS:
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
    for option in options:
        if option not in _OPTIONS:
            raise unknown(f"option of data '{spec}'", option, _OPTIONS)
    source = open_source(spec, options.get("config"), options.get("revision"))
    return examples_of(source, spec, split, explicit, options)


def examples_of(
    source: Source, spec: str, split: str, explicit: Mapping[str, str], options: Mapping[str, Any]
) -> MappedExamples:
    """The examples of one split of an opened source, unchecked."""
    if split not in source.splits:
        raise SplitError(f"{spec} has no split '{split}': it has {', '.join(source.splits)}")
    table = source.table(split)
    if not len(table):
        raise DataError(f"{spec} {split} holds no rows")
    if options.get("pictures"):
        table.folder = _picture_folder(options["pictures"])
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


def _picture_folder(name: str) -> Path:
    """Where the paths of pictures start, if not beside the data.

    Raises:
        DataError: There is no such folder.
    """
    folder = Path(os.path.expanduser(name))
    if not folder.is_dir():
        raise DataError(f"{name}: no such folder of pictures")
    return folder


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
