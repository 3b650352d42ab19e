"""Puts measurements on the cards: `python scripts/update_cards.py [RUN ...]`.

Rows of the runs' `results.json` are added to `hfmm/recipes/<name>/measured.json`, where a newer measurement of the
same thing takes the place of an older one; then every card's table is written again. With `--check`, only says whether
that would change a card.
"""

import json
import shutil
import sys
from pathlib import Path

from hfmm import catalogue
from hfmm.hub import cards
from hfmm.results import read_results

SAME = ("data", "split", "examples", "preset", "how", "seed")


def collect(run: Path) -> None:
    """Add the rows of a run."""
    for row in read_results(run):
        path = cards.recipes_of(row["architecture"]) / "measured.json"
        if (run / cards.NEIGHBORS).exists():
            shutil.copyfile(run / cards.NEIGHBORS, cards.recipes_of(row["architecture"]) / cards.NEIGHBORS)
        rows = [old for old in cards.measured(row["architecture"]) if any(old[key] != row[key] for key in SAME)]
        path.write_text(json.dumps([*rows, row], indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(words: list[str]) -> int:
    """Run; return how many cards differ from their measurements, with `--check`."""
    check = "--check" in words
    for word in words:
        if word != "--check":
            collect(Path(word))
    stale = 0
    for row in catalogue.ready():
        path = cards.path_of(row.name)
        old = path.read_text(encoding="utf-8")
        new = cards.with_results(old, cards.measured(row.name))
        new = cards.with_neighbors(new, cards.recipes_of(row.name))
        stale += new != old
        if not check:
            path.write_text(new, encoding="utf-8")
    if check and stale:
        print(f"{stale} cards differ from their measurements: python scripts/update_cards.py")
    return stale if check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
