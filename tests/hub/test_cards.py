"""Cards: the documentation of an architecture with measured numbers, and none typed."""

import json
import re
from pathlib import Path

import pytest

from hfmm import catalogue
from hfmm.cli import papers
from hfmm.errors import UsageError
from hfmm.hub import cards

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = [
    "The idea", "Use", "Paper to code", "Training recipe", "Results", "Departures", "Limits and data licenses",
    "Citation",
]  # fmt: skip
ROW = {
    "data": "flickr8k_1k", "split": "test", "examples": 100, "metrics": {"bleu_1": 0.512345, "cider": 0.3},
    "deck": {"bleu_1": 0.67}, "paper": {}, "how": "hfmm evaluate", "preset": "tiny", "steps": 5, "seed": 0,
    "hardware": "a processor", "date": "2026-11-21",
}  # fmt: skip


def test_numbers_come_from_results(tmp_path):
    row = catalogue.find("show_attend_tell")
    cards.write_run_card(row, tmp_path, tmp_path)
    assert "Not measured." in (tmp_path / "README.md").read_text()
    assert (tmp_path / "images" / "show_attend_tell.png").exists()
    (tmp_path / "results.json").write_text(json.dumps([ROW]))
    cards.write_run_card(row, tmp_path, tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "| data | split | examples | preset | by | bleu_1 | cider | how |" in card
    assert (
        "| flickr8k_1k | test | 100 | tiny | measured here | 0.512 | 0.300 | hfmm evaluate; 5 steps, seed 0, " in card
    )
    assert "| flickr8k_1k | test | 100 | tiny | deck | 0.670 |  |  |" in card
    assert card.count("<!-- results -->") == card.count("<!-- /results -->") == 1


@pytest.mark.parametrize("row", catalogue.ready(), ids=lambda row: row.name)
def test_cards_show_what_was_measured(row):
    card = cards.path_of(row.name).read_text(encoding="utf-8")
    assert cards.BETWEEN.search(card)
    assert cards.with_results(card, cards.measured(row.name)) == card
    assert cards.with_neighbors(card, cards.recipes_of(row.name)) == card


@pytest.mark.parametrize("row", catalogue.ready(), ids=lambda row: row.name)
def test_cards_keep_one_order(row):
    card = cards.path_of(row.name).read_text(encoding="utf-8")
    _, _, text = card.split("---\n", 2)
    head, *sections = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)
    assert sections[::2] == SECTIONS
    picture = re.fullmatch(r"\n# .*\n\n!\[.+\]\((images/.+\.png)\)\n\n", head)
    assert picture, "a title, and a picture at the head"
    assert picture[1] == f"images/{row.name}.png"
    assert (cards.path_of(row.name).parent / picture[1]).exists()
    idea, use = (sections[1::2][SECTIONS.index(name)].strip() for name in ("The idea", "Use"))
    assert len(idea.splitlines()) <= 5
    assert len(use.removeprefix("```python\n").removesuffix("\n```").split("\n")) - use.count("\n\n") == 3


@pytest.mark.parametrize("row", catalogue.ready(), ids=lambda row: row.name)
def test_what_a_card_says_of_code_and_tests_is_there(row):
    rows = papers.equations(cards.path_of(row.name).read_text(encoding="utf-8"))
    assert rows
    home = ROOT / "hfmm" / "models" / row.family / row.name
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for entry in rows:
        file, name = re.fullmatch(r"`(\S+)`: `(\w+)`", entry["file and name"]).groups()
        source = (ROOT / file if "/" in file else home / file).read_text(encoding="utf-8")
        assert re.search(rf"\b{name}\b", source), entry
        for test in re.findall(r"`(\w+)`", entry["test"]) or pytest.fail(f"no test: {entry}"):
            assert f"def {test}(" in tests, entry


def test_a_missing_card_is_told():
    with pytest.raises(UsageError, match="nothing has no model card"):
        cards.path_of("nothing")
