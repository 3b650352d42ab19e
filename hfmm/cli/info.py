"""`hfmm info`: one architecture, read from its own files."""

import json
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from hfmm import catalogue
from hfmm.catalogue import Row
from hfmm.cli import papers
from hfmm.cli.common import Parser, columns, print_json
from hfmm.cli.list import as_dict, status_of
from hfmm.errors import unknown
from hfmm.hub import cards

PACKAGE = Path(__file__).resolve().parents[1]
WIDTH = 100


def run(words: Sequence[str]) -> None:
    parser = Parser("info", "One architecture: paper, idea, equations, presets, recipes, results.", json=True)
    parser.add_argument("name", metavar="NAME", help="an architecture, tool or reference of `hfmm list`")
    parser.add_argument("--preset", help="only this preset, with its settings")
    given = parser.parse(words)

    row = catalogue.find(given.name)
    if row is None:
        raise unknown("architecture", given.name, (row.name for row in catalogue.ROWS))
    if given.preset is not None and given.preset not in row.presets:
        raise unknown(f"preset of {row.name}", given.preset, row.presets)
    facts = collect(row, given.preset)
    if given.json:
        print_json(facts)
    else:
        print(render(row, facts))


def collect(row: Row, preset: str | None = None) -> dict[str, Any]:
    """Everything that is known of a row, as `hfmm info --json` prints it."""
    facts: dict[str, Any] = {**as_dict(row), "note": row.note}
    if not row.presets:  # planned, a tool or a reference: there is nothing to read
        return facts
    modeling = PACKAGE / "models" / row.family / row.name / f"modeling_{row.name}.py"
    return facts | {
        "idea": papers.idea(papers.docstring_of(modeling)),
        "equations": papers.equations(cards.path_of(row.name).read_text(encoding="utf-8")),
        "presets": {name: _preset(row, name, preset is not None) for name in row.presets if preset in (None, name)},
        "recipes": _recipes(row),
        "reported": _reported(row),
        "results": cards.measured(row.name),
    }


def _preset(row: Row, name: str, settings: bool) -> dict[str, Any]:
    """Parameter count of a preset, counted without allocating it, and its settings."""
    import torch

    from hfmm.factory import create_module, find_preset

    with torch.device("meta"):
        model = create_module(row.name, name)
    return {"parameters": model.num_parameters(), **(find_preset(row, name) if settings else {})}


def _recipes(row: Row) -> dict[str, dict[str, Any]]:
    """What each shipped recipe trains on and is scored with."""
    import yaml

    found = {}
    for path in sorted((PACKAGE / "recipes" / row.name).glob("*.yaml")):
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
        found[path.stem] = {
            "data": recipe.get("data", {}).get("name", ""),
            "metrics": recipe.get("evaluation", {}).get("metrics", []),
            "max_steps": recipe.get("max_steps"),
        }
    return found


def _reported(row: Row) -> list[dict[str, Any]]:
    """The numbers of the deck and of the paper."""
    path = PACKAGE / "recipes" / row.name / "reported.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return rows


def render(row: Row, facts: dict[str, Any]) -> str:
    """The facts as text."""
    head = [
        ("name", row.name),
        ("title", row.title),
        ("paper", f"{row.paper}, {row.year}".removeprefix(", ")),
        ("family", row.family),
        ("origin", row.origin),
        ("status", status_of(row)),
        ("tasks", ", ".join(row.tasks)),
        ("source", ", ".join(row.source)),
    ]
    sections = [columns([pair for pair in head if pair[1]])]
    if row.note:
        sections.append(fill(row.note, WIDTH))
    if not row.presets:
        return "\n\n".join(sections)
    sections.append("\n".join(fill(paragraph, WIDTH) for paragraph in facts["idea"]))
    sections.append("Equations\n" + "\n".join(_equation(entry) for entry in facts["equations"]))
    sections.append("Presets\n" + "\n".join(_preset_lines(facts["presets"])))
    recipes = [
        (name, f"data {entry['data']}", f"{entry['max_steps']} steps", f"metrics {', '.join(entry['metrics'])}")
        for name, entry in facts["recipes"].items()
    ]
    if recipes:
        sections.append("Recipes\n" + columns(recipes, indent=2))
    sections += _results(facts)
    return "\n\n".join(sections)


def _equation(entry: dict[str, str]) -> str:
    head = f"{entry['equation']}: {entry['symbol']}"
    return f"  {head}\n      here: {entry['file and name']}\n      test: {entry['test']}"


def _preset_lines(presets: dict[str, dict[str, Any]]) -> list[str]:
    lines = [columns([(name, f"{entry['parameters']:,} parameters") for name, entry in presets.items()], indent=2)]
    for entry in presets.values():
        lines += [f"    {section}: {json.dumps(entry[section])}" for section in entry if section != "parameters"]
    return lines


def _results(facts: dict[str, Any]) -> list[str]:
    sections = []
    if facts["reported"]:
        lines = [
            f"  {entry['data']}{_of(entry)}, {who}: {', '.join(f'{key} {value}' for key, value in entry[who].items())}"
            for entry in facts["reported"]
            for who in ("deck", "paper")
            if entry.get(who)
        ]
        sections.append("Reported\n" + "\n".join(lines))
    if facts["results"]:
        cells = [
            (f"{entry['data']} {entry['split']}", entry["preset"], metric, f"{value:.3f}")
            for entry in facts["results"]
            for metric, value in entry["metrics"].items()
        ]
        sections.append("Measured here\n" + columns(cells, indent=2))
    return sections


def _of(entry: dict[str, Any]) -> str:
    """The presets that a reported row is of, where it names some."""
    return f" ({', '.join(entry['presets'])})" if "presets" in entry else ""
