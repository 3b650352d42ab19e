"""Cards: the documentation of an architecture with measured numbers, and none typed."""

import json

import pytest

from hfmm import catalogue
from hfmm.errors import UsageError
from hfmm.hub import cards

ROW = {
    "data": "flickr8k_1k", "split": "test", "examples": 100, "metrics": {"bleu_1": 0.512345, "cider": 0.3},
    "deck": {"bleu_1": 0.67}, "paper": {}, "how": "hfmm evaluate", "preset": "tiny", "steps": 5, "seed": 0,
    "hardware": "a processor", "date": "2026-11-21",
}  # fmt: skip


def test_numbers_come_from_results(tmp_path):
    row = catalogue.find("show_attend_tell")
    assert "Not measured." in cards.run_card(row, tmp_path)
    (tmp_path / "results.json").write_text(json.dumps([ROW]))
    card = cards.run_card(row, tmp_path)
    assert "| data | split | examples | preset | by | bleu_1 | cider | how |" in card
    assert (
        "| flickr8k_1k | test | 100 | tiny | measured here | 0.512 | 0.300 | hfmm evaluate; 5 steps, seed 0, " in card
    )
    assert "| flickr8k_1k | test | 100 | tiny | deck | 0.670 |  |  |" in card
    assert card.count("<!-- results -->") == card.count("<!-- /results -->") == 1


@pytest.mark.parametrize("row", catalogue.own(), ids=lambda row: row.name)
def test_cards_show_what_was_measured(row):
    card = cards.path_of(row.name).read_text(encoding="utf-8")
    assert cards.BETWEEN.search(card)
    assert cards.with_results(card, cards.measured(row.name)) == card


def test_a_missing_card_is_told():
    with pytest.raises(UsageError, match="nothing has no model card"):
        cards.path_of("nothing")
