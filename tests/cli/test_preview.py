"""`hfmm preview`: sheets of built-in data and of folders, and mistakes."""

import json

import pytest
from PIL import Image

from hfmm.cli import preview
from hfmm.data.scenes.dataset import VIEWS


@pytest.fixture
def folder(tmp_path):
    """Three pictures with columns of other names than hfmm's."""
    rows = []
    for number in range(3):
        Image.effect_noise((40, 30), 60).convert("RGB").save(tmp_path / f"{number}.png")
        rows.append({"photo": f"{number}.png", "said": [f"noise <{number}>"], "year": 1999})
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@pytest.mark.parametrize("data", ["scenes", "digits", *(f"scenes:{view}" for view in VIEWS if view != "stills")])
def test_a_sheet_of_every_view(data, call, tmp_path):
    output = tmp_path / "sheet.png"
    code, out, err = call("preview", data, "--split", "test", "--number", "3", "--output", str(output))
    assert (code, out) == (0, f"{output}\n")
    assert err.startswith(f"{data} test, 3 of ")
    assert Image.open(output).width > 800


def test_a_page_of_a_folder_with_columns_of_its_own(call, folder, tmp_path):
    output = tmp_path / "sheet.html"
    words = ("--columns", "captions=said", "--output", str(output), "--quiet")
    assert call("preview", str(folder), *words) == (0, f"{output}\n", "")
    page = output.read_text(encoding="utf-8")
    assert page.count("<img") == 3
    assert "<p class=caption>noise &lt;2&gt;</p>" in page
    assert "<small>year: 1999</small>" in page


def test_the_same_sheet_again(call, tmp_path):
    for name in ("a.png", "b.png"):
        assert call("preview", "scenes:dialogue", "--number", "2", "--output", str(tmp_path / name))[0] == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_without_an_output_it_is_written_here(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("preview", "digits", "--split", "test")[:2] == (0, "preview.png\n")
    assert (tmp_path / "preview.png").is_file()


def test_a_small_data_set_is_shown_whole(call, folder, tmp_path):
    output = str(tmp_path / "sheet.png")
    assert call("preview", str(folder), "--output", output)[2] == f"{folder} train, 3 of 3 examples\n"


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["scenez"], 3, "no data set 'scenez'"),
        (["scenes:vqu"], 2, "did you mean 'vqa'?"),
        (["scenes", "--split", "tset"], 2, "did you mean 'test'?"),
        (["{folder}", "--split", "test"], 3, "has no split 'test': it has train"),
        (["{folder}", "--columns", "captions=sayd"], 3, "did you mean 'said'?"),
        (["scenes", "--columns", "captions=said"], 2, "its columns have their names already"),
        (["scenes", "--output", "sheet.gif"], 2, "give a file that ends in .png or .html"),
        (["scenes", "--output", "nowhere/sheet.png"], 2, "there is no folder 'nowhere'"),
        (["scenes", "--number", "0"], 2, f"--number 0: a sheet holds 1 to {preview.MOST} examples"),
        (["scenes", "--number", "201"], 2, f"--number 201: a sheet holds 1 to {preview.MOST} examples"),
        (["{folder}", "--number", "4"], 2, "--number 4: {folder} train has 3 examples"),
        (["scenes", "--number", "few"], 2, "invalid int value: 'few'"),
        ([], 2, "the following arguments are required: D"),
    ],
)
def test_mistakes_are_told_in_one_line(words, code, part, call, folder, monkeypatch):
    monkeypatch.chdir(folder)
    done, out, err = call("preview", *(word.replace("{folder}", str(folder)) for word in words))
    assert (done, out) == (code, "")
    assert part.replace("{folder}", str(folder)) in err
    assert len(err.splitlines()) == 1
    assert not list(folder.glob("preview*"))


def test_a_picture_that_cannot_be_read_is_named(call, folder):
    (folder / "1.png").write_bytes(b"no picture")
    code, _, err = call("preview", str(folder), "--output", str(folder / "sheet.png"))
    assert code == 3
    assert "train.jsonl line 2" in err
