"""Names of splits, parts of one (`train[:90%]`, as `datasets` writes them), and examples without some classes."""

import re
from collections.abc import Iterable, Sequence

from hfmm.data.examples import Examples, Selection
from hfmm.errors import DataError, UsageError, unknown

ALIASES = {"training": "train", "val": "validation", "valid": "validation", "dev": "validation", "testing": "test"}
SPLITS = ("train", "validation", "test")
_PART = re.compile(r"(?P<split>[^\[\]]+)(?:\[(?P<first>-?\d+%?)?:(?P<last>-?\d+%?)?\])?")


def canonical_split(name: str) -> str:
    """The name of a split in hfmm: `val`, `valid` and `dev` are `validation`."""
    return ALIASES.get(name.lower(), name)


def in_order(splits: Iterable[str]) -> tuple[str, ...]:
    """Training before validation before test before others."""
    return tuple(sorted(splits, key=lambda split: (SPLITS.index(split) if split in SPLITS else len(SPLITS), split)))


def parted(split: str) -> tuple[str, tuple[str, str] | None]:
    """The split, and the two ends of its part, "" for an end of the split; None where all of it is meant.

    Raises:
        UsageError: Not written like `train`, `train[:90%]` or `train[1000:2000]`.
    """
    found = _PART.fullmatch(split)
    if found is None:
        raise UsageError(f"split '{split}' is not written like train, train[:90%] or train[1000:2000]")
    ends = (found["first"] or "", found["last"] or "")
    return found["split"], ends if split.endswith("]") else None


def part_of(examples: Examples, ends: tuple[str, str]) -> Examples:
    """The examples between two ends, numbers of rows or percentages, rounded to the nearest row.

    Raises:
        UsageError: None is between them.
    """
    count = len(examples)
    first, last = (
        round(int(end[:-1]) * count / 100) if end.endswith("%") else int(end) if end else None for end in ends
    )
    rows = range(*slice(first, last).indices(count))
    if not rows:
        raise UsageError(f"{examples.name} {examples.split}[{ends[0]}:{ends[1]}] holds none of its {count} examples")
    part = examples.select(rows)
    part.split = f"{examples.split}[{ends[0]}:{ends[1]}]"
    return part


def without_classes(examples: Examples, names: Sequence[str]) -> Examples:
    """The examples of all classes but these, and with a class: what is left to learn from before a zero-shot test.

    Raises:
        UsageError: There is no class of such a name.
        DataError: A row cannot be read, so that the classes cannot be told.
    """
    known = examples.label_names or ()
    for name in names:
        if name not in known:
            raise unknown(f"class of {examples.name}", name, known)
    left_out = {None, *(known.index(name) for name in names)}
    labels = list(examples.column("label"))
    if len(labels) != len(examples):
        raise DataError(f"{examples.name}: {len(examples) - len(labels)} rows have no readable class to leave out by")
    kept = Selection(examples, [row for row, label in enumerate(labels) if label not in left_out])
    kept.unseen_labels = tuple(names)
    return kept
