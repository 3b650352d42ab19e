"""Model cards: hand-written documentation whose numbers come from measurements and from nowhere else.

A card has two lines, `<!-- results -->` and `<!-- /results -->`; [`with_results`] writes what is between them.
In the repository these are the rows of `recipes/<name>/measured.json`; in a run, the rows of its own `results.json`.
"""

import json
import re
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

from hfmm import results
from hfmm.catalogue import Row
from hfmm.errors import UsageError

PICTURES = "images"
NEIGHBORS = "neighbors.json"  # words and the words near them
OTHER = """---
library_name: transformers
pipeline_tag: {task}
tags: [hfmm]
---

# {title}

Upstream's `{name}`, trained with hfmm as its `{host}` is. The architecture, its paper and the license of the weights
are those of the model that it began with, which the recipe names as `init_from`.

## Use

## Results

<!-- results -->

<!-- /results -->
"""
BETWEEN_WORDS = re.compile(r"(<!-- neighbors -->\n).*?(<!-- /neighbors -->)", re.DOTALL)
BETWEEN = re.compile(r"(<!-- results -->\n).*?(<!-- /results -->)", re.DOTALL)


def path_of(name: str) -> Path:
    """Where the documentation of an architecture is, `model_cards/<name>.md`.

    Raises:
        UsageError: There is none.
    """
    package = Path(str(files("hfmm")))
    for folder in (package / "model_cards", package.parent / "model_cards"):  # in a wheel, in a checkout
        if (folder / f"{name}.md").exists():
            return folder / f"{name}.md"
    raise UsageError(f"{name} has no model card")


def text_of(row: Row) -> str:
    """The documentation of an architecture; where its row stands in for another one, what there is to say of that."""
    if row.stands_in:
        return OTHER.format(title=row.title, name=row.auto[0][1], task=row.tasks[0], host=row.name)
    return path_of(row.name).read_text(encoding="utf-8")


def copy_pictures(row: Row, folder: Path) -> None:
    """Copy the pictures of a card to where the card will look for them; one that is still to be drawn stops nothing."""
    (folder / PICTURES).mkdir(exist_ok=True)
    for picture in re.findall(rf"\(({PICTURES}/[\w.-]+)\)", text_of(row)):
        source = path_of(row.name).parent / picture
        if source.exists():
            shutil.copyfile(source, folder / picture)


def recipes_of(name: str) -> Path:
    """The folder of an architecture's recipes, where its measurements are kept as well."""
    return Path(str(files("hfmm"))) / "recipes" / name


def measured(name: str) -> list[dict[str, Any]]:
    """The rows that the maintainers measured, in the form of `results.json`."""
    path = recipes_of(name) / "measured.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return rows


def results_table(rows: list[dict[str, Any]]) -> str:
    """Rows of `results.json` as a Markdown table, a line a measurement."""
    if not rows:
        return "Not measured."
    head, *body = ([str(cell) for cell in line] for line in results.by_measurement(rows))
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, *body)).replace("\n", f"\n|{'---|' * len(head)}\n", 1)


def with_results(card: str, rows: list[dict[str, Any]]) -> str:
    """A card with a table of these rows between its two lines."""
    return BETWEEN.sub(lambda found: f"{found[1]}\n{results_table(rows)}\n\n{found[2]}", card)


def with_neighbors(card: str, folder: Path) -> str:
    """A card with the neighbors of words that a folder holds, where both have a place for them."""
    path = folder / NEIGHBORS
    if not path.exists():
        return card
    near = json.loads(path.read_text(encoding="utf-8"))
    lines = ["| word | nearest by cosine |", "|---|---|", *(f"| {word} | {text} |" for word, text in near.items())]
    return BETWEEN_WORDS.sub(lambda found: f"{found[1]}\n{chr(10).join(lines)}\n\n{found[2]}", card)


def write_run_card(row: Row, run: Path, folder: Path) -> None:
    """Write the card of a run, the architecture's documentation with the run's own numbers, into a folder."""
    text = with_results(text_of(row), results.read_results(run))
    (folder / "README.md").write_text(text, encoding="utf-8")
    copy_pictures(row, folder)
