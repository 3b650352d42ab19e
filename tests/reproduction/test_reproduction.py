"""`hfmm reproduce`: seeds together on one card and one page, and nothing done twice."""

import json

import pytest

from hfmm.cli import main
from hfmm.results import obtained, read_results, summarized, told
from tests.data.files import write_parquet

ROW = {
    "data": "rsicd", "split": "test", "examples": 10, "metrics": {"cider": 0.5}, "deck": {"cider": 0.7}, "paper": {},
    "how": "hfmm evaluate (num_beams=1)", "architecture": "show_and_tell", "preset": "tiny", "seed": 0, "steps": 100,
    "hardware": "a processor", "date": "2026-11-21",
}  # fmt: skip


def test_seeds_become_mean_and_sample_standard_deviation():
    other = {**ROW, "how": "hfmm evaluate (num_beams=5)"}
    one, alone = summarized([ROW, other, {**ROW, "metrics": {"cider": 0.7}, "seed": 1, "steps": 300}])
    assert one["metrics"]["cider"] == pytest.approx(0.6)
    assert one["spread"]["cider"] == pytest.approx(0.1414213562)
    assert told(one, "cider") == "0.600 \u00b1 0.141"
    assert obtained(one).startswith("hfmm evaluate (num_beams=1); 100 to 300 steps, seeds 0, 1, ")
    assert told(alone, "cider") == "0.500"
    assert obtained(alone).startswith("hfmm evaluate (num_beams=5); 100 steps, seed 0, ")


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    root = tmp_path_factory.mktemp("reproduced")
    for number, split in enumerate(("train", "validation", "test")):
        write_parquet(root / "photos" / f"{split}.parquet", 12, 100 * number)
    return [
        "reproduce", "show_and_tell", "--data", root / "photos", "--output-dir", root / "out", "--seeds", "2",
        "--max-steps", "2", "--batch-size", "4", "--limit", "6", "--device", "cpu", "evaluation.size=2",
        "data.workers=0",
    ]  # fmt: skip


def test_every_seed_is_trained_scored_and_shown_once(words, capsys):
    assert main([str(word) for word in words]) == 0
    out, err = capsys.readouterr()
    folder = words[5]
    rows = read_results(folder)
    assert [(row["seed"], row["how"]) for row in rows] == [
        (seed, f"hfmm evaluate, recipe real (num_beams={beams})") for seed in (0, 1) for beams in (1, 5, 20)
    ]
    assert "seeds 0, 1" in out
    assert err.count("scoring") == 6
    assert "| photos | test |" in (folder / "README.md").read_text()
    page = (folder / "index.html").read_text()
    for heading in ("Scores", "Right captions", "Wrong captions", "The 5 best of a beam of 20", "Neighbors of words"):
        assert heading in page
    assert len(json.loads((folder / "neighbors.json").read_text())) > 0
    assert main([str(word) for word in [*words, "--json"]]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == rows
    assert "scoring" not in err
    assert "is finished" in err


def test_more_examples_are_scored_anew(words, capsys):
    more = [*words, "--limit", "8"]
    assert main([str(word) for word in more]) == 0
    assert capsys.readouterr().err.count("scoring") == 6
    assert {row["examples"] for row in read_results(words[5])} == {6, 8}


@pytest.mark.parametrize("name", ["lenet5", "layer_norm_ranking"])  # of classes, and of the other pictures' captions
def test_a_page_shows_test_pictures_and_what_was_chosen_for_each(name, tmp_path):
    short = ["--max-steps", "2", "--batch-size", "4", "--limit", "10", "--device", "cpu", "--quiet"]
    assert main(["reproduce", name, "--output-dir", str(tmp_path / "out"), *short, "data.workers=0"]) == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.partition("Test pictures, and why")[2].count("<img ") == 8


def test_no_seeds_are_refused(words, capsys):
    assert main([str(word) for word in [*words, "--seeds", "0"]]) == 2
    assert "--seeds is 0" in capsys.readouterr().err
