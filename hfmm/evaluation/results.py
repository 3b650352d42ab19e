"""`results.json` of a run: what was measured, on what, beside what the deck and the paper say."""

import datetime
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from hfmm.files import write_atomically

RESULTS = "results.json"


def reported(architecture: str, data: str, preset: str | None) -> dict[str, Any]:
    """What deck and paper report for an architecture on a data set, as `{"deck": {...}, "paper": {...}}`.

    The first row of `recipes/<architecture>/reported.json` whose data set's name starts `data`, and whose presets, if
    it names some, hold `preset`.
    """
    path = Path(str(files("hfmm"))) / "recipes" / architecture / "reported.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    fitting = (row for row in rows if data.startswith(row["data"]) and preset in row.get("presets", [preset]))
    return next(fitting, {})


def read_results(run: Path) -> list[dict[str, Any]]:
    """The rows of a run, oldest first."""
    path = run / RESULTS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def with_reported(row: dict[str, Any]) -> dict[str, Any]:
    """A measurement with today's date, and beside it what deck and paper report."""
    beside = reported(row["architecture"], row["data"], row["preset"])
    measured = {key: row[key] for key in ("data", "split", "examples", "metrics")}
    described = {key: row[key] for key in ("how", "architecture", "preset", "seed", "steps", "hardware")}
    said = {"deck": beside.get("deck", {}), "paper": beside.get("paper", {})}
    return {**measured, **said, **described, "date": datetime.date.today().isoformat()}


def add_result(run: Path, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Add a row to `results.json`; the same measurement made again takes the place of the older one.

    Args:
        run: The run directory.
        row: Data, split, number of examples, metrics, and how they were obtained.

    Returns:
        All rows, the new one last.
    """
    full = with_reported(row)
    same = ("data", "split", "examples", "how")
    rows = [old for old in read_results(run) if any(old[key] != full[key] for key in same)]
    write_atomically(run / RESULTS, json.dumps([*rows, full], indent=2, ensure_ascii=False) + "\n")
    return [*rows, full]
