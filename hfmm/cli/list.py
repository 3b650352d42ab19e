"""`hfmm list`: the catalogue."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hfmm.catalogue import Row, list_architectures
from hfmm.cli.common import Parser, columns, print_json, talk

KEYS = ("name", "title", "family", "year", "paper", "origin", "tasks", "presets", "status", "source")
SHOWN = ("name", "title", "family", "year", "origin", "status")  # together they fit 100 columns


def run(words: Sequence[str]) -> None:
    parser = Parser("list", "What there is: architectures, tools and references.", json=True)
    parser.add_argument("--family", help="a room of hfmm/models, such as vision, or tool or reference")
    parser.add_argument("--task", help="a task, such as image-captioning")
    parser.add_argument("--source", help="a lecture deck, such as S1, or a row of the inventory, such as S1:2b")
    parser.add_argument("--status", help="ready or planned")
    given = parser.parse(words)

    rows = list_architectures(given.family, given.task, given.source, given.status)
    if given.json:
        print_json([as_dict(row) for row in rows])
        return
    print(columns([SHOWN, *([str(getattr(row, key)) for key in SHOWN[:-1]] + [status_of(row)] for row in rows)]))
    counts = Counter(row.status for row in rows)
    talk(f"{len(rows)} rows, {counts['ready']} ready; hfmm info NAME tells more of one", given.quiet)


def as_dict(row: Row) -> dict[str, Any]:
    """A row as `hfmm list --json` prints it."""
    return {key: getattr(row, key) for key in KEYS}


def status_of(row: Row) -> str:
    """The status as a person reads it: a reference row will have no code."""
    return "no code" if row.origin == "reference" else row.status
