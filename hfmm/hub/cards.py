"""Model cards: hand-written documentation whose numbers come from `results.json` and from nowhere else."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from hfmm.catalogue import Row
from hfmm.errors import UsageError

RESULTS_MARK = "<!-- results -->"


def template(name: str) -> str:
    """The documentation of an architecture, `model_cards/<name>.md`.

    Raises:
        UsageError: There is none.
    """
    package = Path(str(files("hfmm")))
    for folder in (package / "model_cards", package.parent / "model_cards"):  # in a wheel, in a checkout
        path = folder / f"{name}.md"
        if path.exists():
            return path.read_text(encoding="utf-8")
    raise UsageError(f"{name} has no model card")


def results_table(rows: list[dict[str, Any]]) -> str:
    """Rows of `results.json` as a table: deck, paper and measured stand in columns of their own."""
    if not rows:
        return "Not measured yet."
    lines = ["| data (split, examples) | metric | deck | paper | measured here | how |", "|---|---|---|---|---|---|"]
    for row in rows:
        where = f"{row['data']} ({row['split']}, {row['examples']})"
        how = f"{row['how']}; {row['steps']} steps, seed {row['seed']}, {row['hardware']}, {row['date']}"
        for metric, value in row["metrics"].items():
            said = [f"{row[kind][metric]:g}" if metric in row[kind] else "" for kind in ("deck", "paper")]
            lines.append(f"| {where} | {metric} | {said[0]} | {said[1]} | {value:.4g} | {how} |")
    return "\n".join(lines)


def run_card(row: Row, run: Path) -> str:
    """The card of a run: the architecture's documentation with the run's own numbers."""
    path = run / "results.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return template(row.name).replace(RESULTS_MARK, results_table(rows))
