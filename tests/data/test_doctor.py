"""The doctor: every problem of a data set, with its line or row."""

import json
from pathlib import Path

import datasets
import pytest
from PIL import Image

from hfmm.data.checks import Problem
from hfmm.data.doctor import diagnose
from hfmm.errors import DataError, UsageError
from tests.testing import shared_data

pytestmark = pytest.mark.usefixtures("own_cache_and_no_network")


def found(problems: list[Problem]) -> list[tuple[str, str]]:
    """File name with line, and the problem."""
    return [(problem.where.rsplit("/", 1)[-1], problem.what) for problem in problems]


def write(folder: Path, *lines: str | dict | bytes) -> str:
    encoded = [
        line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode()
        for line in lines
    ]
    (folder / "train.jsonl").write_bytes(b"\n".join(encoded))
    return str(folder)


def test_built_in_data_are_fine():
    assert diagnose("scenes") == diagnose("scenes:vqa") == diagnose("digits") == []
    assert diagnose("scenes:motion") == diagnose("scenes:sound") == diagnose("scenes:spoken", "test_heldout") == []


def test_built_in_data_without_such_a_view_are_told():
    with pytest.raises(UsageError, match="unknown view of scenes 'moton': did you mean 'motion'"):
        diagnose("scenes:moton")


def test_real_data_are_fine():
    assert diagnose(str(shared_data("flickr8k_1k"))) == []


def test_every_problem_with_its_line(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "good.png")
    noise = Image.effect_noise((32, 32), 50)
    noise.save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:500])
    (tmp_path / "text.jpg").write_text("not a picture")
    data = write(
        tmp_path,
        b'\xef\xbb\xbf{"image": "good.png", "captions": ["fine"]}',
        {"image": "good.png", "captions": ["fine", ""]},
        {"image": "absent.png", "captions": [" \t"]},
        {"image": "cut.png", "captions": ["fine"]},
        {"image": "text.jpg", "captions": [3]},
        {"captions": []},
        "",
        '{"image": "good.png", "captions": [NaN]}',
        {"image": "good.png", "captions": ["nul\0", "half \ud800"]},
        {"image": "good.png", "captions": ["x" * 10_001]},
        {"image": "good.png", "captions": ["fine"]},
        "{broken",
    )
    folder = str(tmp_path)
    problems = found(diagnose(data))
    assert [where for where, _ in problems] == [
        f"train.jsonl line {n}" for n in (1, 2, 3, 3, 4, 5, 5, 6, 6, 8, 9, 9, 10, 12)
    ]
    said = [what.replace(folder + "/", "") for _, what in problems]
    assert said[0].startswith("the line starts with a byte order mark (BOM)")
    assert said[1:4] == ["caption 2 is empty", "caption 1 is empty", "absent.png: no such file"]
    assert said[4].startswith("cut.png is truncated or damaged")
    assert said[5] == "caption 1 is int (3), not text"
    assert said[6].startswith("text.jpg is not a JPEG")
    assert said[7:9] == ["no captions", "no image"]
    assert said[9].startswith("not valid JSON (NaN is not JSON")
    assert said[10:12] == [
        "caption 1 has a NUL character",
        "caption 2 has half of a surrogate pair, which is no character",
    ]
    assert said[12] == "caption 1 has 10001 characters, more than the limit of 10000"
    assert said[13].startswith("not valid JSON")


def test_unreadable_pictures_of_parquet(tmp_path):
    good = tmp_path / "good.png"
    Image.new("RGB", (8, 8)).save(good)
    cells = [{"bytes": data, "path": None} for data in (good.read_bytes(), b"junk", None)]
    rows = datasets.Dataset.from_dict({"image": cells, "captions": [["a"], ["b"], ["c"]]})
    rows.to_parquet(tmp_path / "train.parquet")
    assert found(diagnose(str(tmp_path))) == [
        ("train.parquet row 1", "the picture is not a JPEG, PNG, WebP, GIF, TIFF, BMP or PPM picture"),
        ("train.parquet row 2", "no image"),
    ]


def test_what_is_said_fits_on_a_line_of_any_terminal(tmp_path):
    data = write(
        tmp_path, {"image": "no\n\ud800\0.png", "label": "\ud800"}, {"image": "https://\u001b[2J", "objects": "\r"}
    )
    problems = diagnose(data)
    assert len(problems) == 5
    assert all(what.isprintable() and what.encode() for _, what in problems)


def test_all_splits_or_one(tmp_path):
    for split in ("train", "val"):
        (tmp_path / f"{split}.jsonl").write_text('{"captions": ""}\n')
    assert found(diagnose(str(tmp_path))) == [
        ("train.jsonl line 1", "caption 1 is empty"),
        ("val.jsonl line 1", "caption 1 is empty"),
    ]
    assert found(diagnose(str(tmp_path), split="validation")) == [("val.jsonl line 1", "caption 1 is empty")]


def test_wrong_columns_splits_and_files_are_problems_too(tmp_path):
    data = write(tmp_path, {"photo": "a.png", "sentence": "a"})
    name = tmp_path.name
    problem = f"{data} train has no column 'sentences' (for captions): did you mean 'sentence'? it has photo, sentence"
    assert found(diagnose(data, columns="captions=sentences")) == [(f"{name} train", problem)]
    assert found(diagnose(data, split="test")) == [(f"{name} test", f"{data} has no split 'test': it has train")]
    (tmp_path / "train.parquet").write_bytes(b"none")
    assert "is not a readable parquet file" in diagnose(data)[0].what


def test_dialogues_and_questions(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "good.png")
    turns = [{"from": "human", "value": "what?"}, {"from": "gpt", "value": "a cat"}]
    assert found(diagnose(write(tmp_path, {"image": "good.png", "conversations": turns}))) == [
        ("train.jsonl line 1", "the messages speak of 0 images but the row has 1")
    ]
    data = write(tmp_path, {"image": "good.png", "questions": ["a?", "b?"], "answers": ["c"]})
    assert found(diagnose(data)) == [("train.jsonl line 1", "2 questions but 1 answers")]


def test_what_is_not_a_data_set_at_all(tmp_path):
    with pytest.raises(DataError, match="no data set"):
        diagnose(str(tmp_path / "absent"))
    with pytest.raises(UsageError, match="unknown example column"):
        diagnose(str(tmp_path), columns="captoins=x")
