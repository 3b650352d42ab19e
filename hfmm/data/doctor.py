"""Every problem of a data set, with its line or row: what `hfmm doctor --data` prints."""

from collections.abc import Iterator, Mapping
from typing import Any

from hfmm.data.checks import Problem
from hfmm.data.columns import parse_columns
from hfmm.data.local import Source
from hfmm.data.sources import examples_of, is_built_in, load_built_in, open_source
from hfmm.data.splits import canonical_split
from hfmm.errors import DataError


def diagnose(
    spec: str, split: str | None = None, columns: str | Mapping[str, str] | None = None, **options: Any
) -> list[Problem]:
    """Read all of a data set, pictures decoded, and list what is wrong.

    Args:
        spec: As in `hfmm.data.load`.
        split: Only this one; every split if None.
        columns: As in `hfmm.data.load`.
        **options: As in `hfmm.data.load`.

    Returns:
        Problems in the order of the data; none for built-in data, which are drawn and not read.

    Raises:
        DataError: There is no such data set at all.
        UsageError: Built-in data have no such view, split or option.
    """
    if is_built_in(spec):
        load_built_in(spec, canonical_split(split or "train"), dict(options))
        return []
    explicit = parse_columns(columns)
    source = open_source(spec, options.get("config"), options.get("revision"))
    splits = source.splits if split is None else (canonical_split(split),)
    return [problem for name in splits for problem in _split_problems(source, spec, name, explicit, options)]


def _split_problems(
    source: Source, spec: str, split: str, explicit: Mapping[str, str], options: Mapping[str, Any]
) -> Iterator[Problem]:
    try:
        examples = examples_of(source, spec, split, explicit, options)
    except DataError as error:
        yield Problem(f"{spec} {split}", str(error))
    else:
        yield from examples.problems(pictures=True)
