"""Parts of a split: `train[:90%]` and `train[90%:]`, as `datasets` writes them, where data have no validation split."""

import re

from hfmm.data.examples import Examples
from hfmm.errors import UsageError

_PART = re.compile(r"(?P<split>[^\[\]]+)(?:\[(?P<first>-?\d+%?)?:(?P<last>-?\d+%?)?\])?")


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
