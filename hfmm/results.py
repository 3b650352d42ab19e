"""`results.json`: what was measured, on what, beside what the deck and the paper say; and several seeds as one row."""

import datetime
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from hfmm.files import write_atomically

RESULTS = "results.json"
STATE_VALUES = "training_state.json"  # of a checkpoint
SAME = ("data", "split", "examples", "preset", "how", "hardware")  # of rows that differ by their seed alone


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


def by_command(verb: str, options: Mapping[str, Any], recipe: str = "default") -> str:
    """How a row was obtained: the command, the recipe trained by, and what was not its default."""
    details = ", ".join(f"{key}={value}" for key, value in options.items())
    trained = f", recipe {recipe}" if recipe != "default" else ""
    return f"hfmm {verb}{trained}{f' ({details})' if details else ''}"


def of_training(row: Mapping[str, Any]) -> bool:
    """Whether training noted a row, of the split that it was watched by."""
    return str(row["how"]).startswith("hfmm train")


def steps_of(run: Path) -> int | None:
    """After how many steps the weights of a run, or of a checkpoint, were taken, as training noted it."""
    noted = next((row["steps"] for row in read_results(run) if of_training(row)), None)
    path = run / STATE_VALUES
    return json.loads(path.read_text(encoding="utf-8"))["progress"]["step"] if path.exists() else noted


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
    rows = [*(old for old in read_results(run) if any(old[key] != full[key] for key in same)), full]
    write_results(run, rows)
    return rows


def write_results(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows that are whole."""
    write_atomically(folder / RESULTS, json.dumps(rows, indent=2, ensure_ascii=False) + "\n")


def summarized(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that differ by their seed alone as one.

    Returns:
        Rows with the means as `metrics`, and besides `seeds`, `spread` (the sample standard deviation of each metric;
        none of a single seed) and `steps` as (fewest, most).
    """
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in SAME), []).append(row)
    return [_as_one(group) for group in groups.values()]


def _as_one(group: Sequence[dict[str, Any]]) -> dict[str, Any]:
    names = [name for name in group[0]["metrics"] if all(name in row["metrics"] for row in group)]
    values = {name: [row["metrics"][name] for row in group] for name in names}
    steps = [row["steps"] for row in group]
    return {
        **group[-1],
        "metrics": {name: fmean(found) for name, found in values.items()},
        "spread": {name: stdev(found) for name, found in values.items()} if len(group) > 1 else {},
        "seeds": [row["seed"] for row in group],
        "steps": (min(steps), max(steps)) if None not in steps else None,
    }


def told(row: dict[str, Any], name: str) -> str:
    """A metric of a summarized row, as tables print it: `0.534` or `0.534 ± 0.012`."""
    if name not in row["metrics"]:
        return ""
    spread = f" ± {row['spread'][name]:.3f}" if name in row["spread"] else ""
    return f"{row['metrics'][name]:.3f}{spread}"


def obtained(row: dict[str, Any]) -> str:
    """How a summarized row was obtained, in one phrase."""
    first, last = row["steps"] or (None, None)
    steps = "" if first is None else f"; {first} steps" if first == last else f"; {first} to {last} steps"
    seeds = f"seed {row['seeds'][0]}" if len(row["seeds"]) == 1 else f"seeds {', '.join(map(str, row['seeds']))}"
    return f"{row['how']}{steps}, {seeds}, {row['hardware']}, {row['date']}"


def by_metric(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Deck, paper and this run beside each other, a line a metric and a head over them, as cells of text."""
    lines = [["data", "metric", "deck", "paper", "this run", "how obtained"]]
    for row in summarized(rows):
        start = f"{row['data']} {row['split']}, {row['examples']}"
        for name in row["metrics"]:
            beside = [f"{row[who][name]:g}" if name in row[who] else "" for who in ("deck", "paper")]
            lines.append([start, name, *beside, told(row, name), obtained(row)])
    return lines


def by_measurement(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A line what was measured, and under it what deck and paper report, with a head over them, as cells of text."""
    names = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    lines = [["data", "split", "examples", "preset", "by", *names, "how"]]
    for row in summarized(rows):
        start = [row["data"], row["split"], str(row["examples"]), row["preset"] or ""]
        lines.append([*start, "measured here", *(told(row, name) for name in names), obtained(row)])
        for who in ("deck", "paper"):
            scores = [f"{row[who][name]:.3f}" if name in row[who] else "" for name in names]
            line = [*start, who, *scores, ""]
            if any(scores) and line not in lines:  # it stands once, though the same be measured in several ways
                lines.append(line)
    return lines
