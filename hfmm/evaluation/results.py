"""`results.json` of a run: what was measured, on what, beside what the deck and the paper say."""

import datetime
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

RESULTS = "results.json"


def reported(architecture: str, data: str) -> dict[str, Any]:
    """What deck and paper report for an architecture on a data set, as `{"deck": {...}, "paper": {...}, "how": ...}`."""
    path = Path(str(files("hfmm"))) / "recipes" / architecture / "reported.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return next((row for row in rows if data.startswith(row["data"])), {})


def read_results(run: Path) -> list[dict[str, Any]]:
    """The rows of a run, oldest first."""
    path = run / RESULTS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def add_result(run: Path, row: dict[str, Any]) -> dict[str, Any]:
    """Add a row to `results.json`; the same measurement made again takes the place of the older one."""
    beside = reported(row["architecture"], row["data"])
    full = {
        "data": row["data"],
        "split": row["split"],
        "examples": row["examples"],
        "metrics": row["metrics"],
        "deck": beside.get("deck", {}),
        "paper": beside.get("paper", {}),
        **{key: row[key] for key in ("how", "architecture", "preset", "seed", "steps", "hardware")},
        "date": datetime.date.today().isoformat(),
    }
    same = ("data", "split", "examples", "how", "steps")
    rows = [old for old in read_results(run) if any(old[key] != full[key] for key in same)]
    staged = run / f".{RESULTS}.staged"
    staged.write_text(json.dumps([*rows, full], indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    staged.replace(run / RESULTS)
    return full
