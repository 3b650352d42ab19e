"""`hfmm index` and `hfmm search`, and `hfmm predict` of models for retrieval: what they print, write and refuse."""

import json

import pytest
from PIL import Image

import hfmm
from hfmm.retrieval.index import Index
from tests.retrieval.conftest import clip_run as clip_run


@pytest.fixture
def photos(tmp_path):
    """Pictures of one color each, with captions."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rows = []
    for name in ("red", "green", "blue", "white"):
        Image.new("RGB", (48, 40), name).save(folder / f"{name}.png")
        rows.append({"image": f"{name}.png", "captions": [f"a {name} square", f"{name}"]})
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def index(call, clip_run, photos, tmp_path):
    folder = tmp_path / "index"
    code, out, err = call("index", str(clip_run), "--data", str(photos), "--of", "both", "--output-dir", str(folder))
    assert (code, out, err) == (0, f"{folder}\n", "4 images and 8 captions, width 12\n")
    return folder


def test_words_and_pictures_find_pictures_and_captions(call, index, photos, tmp_path):
    code, out, err = call("search", str(index), "a red square", "--top", "3")
    assert (code, err) == (0, "")
    cells = [line.split("\t") for line in out.splitlines()]
    assert [len(line) for line in cells] == [2, 2, 2]
    assert {name for _, name in cells} < {"red.png", "green.png", "blue.png", "white.png"}
    scores = [float(score) for score, _ in cells]
    assert scores == sorted(scores, reverse=True)
    out = call("search", str(index), "--image", str(photos / "blue.png"))[1]
    assert out.splitlines()[0] == "1.000\tblue.png"
    assert len(out.splitlines()) == 4
    code, out, _ = call("search", str(index), "--image", str(photos / "blue.png"), "--for", "captions", "--json")
    found = json.loads(out)
    assert found["query"] == str(photos / "blue.png")
    assert {hit["caption"] for hit in found["hits"]} == {
        said for name in ("red", "green", "blue", "white") for said in (name, f"a {name} square")
    }
    assert set(found["hits"][0]) == {"score", "id", "row", "caption"}


@pytest.mark.parametrize("name", ["sheet.png", "sheet.html"])
def test_a_sheet_shows_what_was_found(call, index, tmp_path, name):
    code, out, err = call("search", str(index), "a red square", "--output", str(tmp_path / name))
    assert (code, len(out.splitlines())) == (0, 4)
    assert err == f"the sheet is {tmp_path / name}\n"
    assert (tmp_path / name).stat().st_size > 1000


def test_without_a_place_it_is_named_after_model_and_data(call, clip_run, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = call("index", str(clip_run), "--data", str(photos), "--limit", "2", "--quiet", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"index": "indices/clip-photos", "counts": {"images": 2}, "width": 12, "kind": "exact"}
    assert call("search", "indices/clip-photos", "red", "--output", "s.png", "--quiet")[0] == 0


def test_model_and_data_that_moved_are_named(call, index, clip_run, photos, tmp_path):
    clip_run.rename(tmp_path / "elsewhere")
    code, out, err = call("search", str(index), "red")
    assert (code, out) == (2, "")
    assert "no such run directory; --model says where it is" in err
    assert call("search", str(index), "red", "--model", str(tmp_path / "elsewhere"))[0] == 0
    photos.rename(tmp_path / "albums")
    sheet = ("--output", str(tmp_path / "s.png"), "--model", str(tmp_path / "elsewhere"))
    assert call("search", str(index), "red", *sheet)[0] == 3
    assert call("search", str(index), "red", *sheet, "--data", str(tmp_path / "albums"))[0] == 0


def test_pictures_that_cannot_be_read(call, clip_run, photos, tmp_path):
    (photos / "red.png").write_bytes(b"garbage")
    words = ("index", str(clip_run), "--data", str(photos), "--output-dir", str(tmp_path / "i"))
    code, _, err = call(*words)
    assert code == 3
    assert "train.jsonl line 1" in err
    assert call(*words, "--on-bad-example", "skip")[2] == "3 images, width 12; 1 could not be read\n"


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["search", "{index}"], 2, "give words to search for, or --image FILE"),
        (["search", "{index}", "red", "--image", "x.png"], 2, "give words to search for, or --image FILE"),
        (["search", "nowhere", "red"], 2, "nowhere is not an index"),
        (["search", "{index}", "red", "--top", "0"], 2, "--top 0: 1 to 200 are shown"),
        (["search", "{index}", "red", "--output", "x.gif"], 2, "give a file that ends in .png or .html"),
        (["search", "{index}", "red", "--output", "no/x.png"], 2, "there is no folder 'no'"),
        (["search", "{index}", "--image", "gone.png"], 3, "gone.png"),
        (["search", "{index}", " "], 2, "the query is empty"),
        (["search", "{index}", "red circle " * 40], 2, "has 82 tokens, and the model takes 64: shorten the text"),
        (["search", "{index}", "red", "--for", "sounds"], 2, "invalid choice: 'sounds'"),
        (["search", "{index}", "red", "--topp", "3"], 2, "did you mean '--top'?"),
        (["index", "{run}"], 2, "required: --data"),
        (["index", "{run}", "--data", "{photos}", "--output-dir", "{index}"], 2, "--overwrite replaces it"),
        (["index", "{run}", "--data", "{photos}", "--output-dir", "{photos}", "--overwrite"], 2, "something else"),
        (["index", "{run}", "--data", "{photos}", "--limit", "0"], 2, "--limit 0: give 1 or more"),
        (["index", "{run}", "--data", "nothing"], 3, "no data set 'nothing'"),
        (["index", "nowhere", "--data", "{photos}"], 2, "nowhere: no such run directory"),
        (["predict", "{run}", "--image", "{photos}"], 2, "clip tells which text fits a picture: give some with --text"),
    ],
)
def test_mistakes_are_told_in_one_line(words, code, part, call, index, photos, clip_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = {"{index}": str(index), "{photos}": str(photos), "{run}": str(clip_run)}
    done, out, err = call(*(places.get(word, word) for word in words))
    assert (done, out) == (code, "")
    assert part in err
    assert len(err.splitlines()) == 1


def test_another_model_is_refused(call, index, tmp_path):
    from tests.retrieval import models

    for part in models.clip(seed=1):
        part.save_pretrained(tmp_path / "other")
    code, out, err = call("search", str(index), "red", "--model", str(tmp_path / "other"))
    assert (code, out) == (2, "")
    assert "is an index of another model than" in err


def test_a_model_of_pictures_alone_finds_pictures(call, tmp_path):
    run = tmp_path / "lenet"
    hfmm.create_model("lenet5").save_pretrained(run)
    hfmm.create_processor("lenet5").save_pretrained(run)
    folder = str(tmp_path / "digits")
    assert call("index", str(run), "--data", "digits", "--limit", "20", "--output-dir", folder)[0] == 0
    hfmm.load_data("digits")[4]["image"].save(tmp_path / "query.png")
    out = call("search", folder, "--image", str(tmp_path / "query.png"))[1]
    assert out.splitlines()[0] == f"1.000\t{hfmm.load_data('digits')[4]['id']}"
    assert call("search", folder, "a seven")[0] == 2
    assert Index(folder).about.architecture == "lenet5"


def test_texts_are_ranked_for_pictures(call, clip_run, photos):
    texts = ("a red square", "a blue square", "green")
    pictures = ("--image", str(photos / "red.png"), str(photos / "blue.png"))
    out = call("predict", str(clip_run), *pictures, "--text", *texts, "--num-return-sequences", "3", "--json")[1]
    rows = json.loads(out)
    assert [row["image"] for row in rows] == [str(photos / "red.png"), str(photos / "blue.png")]
    for row in rows:
        assert set(row["predictions"]) == set(texts)
        assert row["scores"] == sorted(row["scores"], reverse=True)
    best = call("predict", str(clip_run), *pictures, "--text", *texts)[1]
    assert best.splitlines()[0] == f"{photos / 'red.png'}\t{rows[0]['predictions'][0]}\t{rows[0]['scores'][0]:.3f}"
