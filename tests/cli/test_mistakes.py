"""A user's mistakes, end to end: one clear line on stderr, the right exit code, no traceback, nothing lost."""

import json
import shutil
from types import SimpleNamespace

import pytest
from PIL import Image

import hfmm
from hfmm.cli import main

NAME = "show_attend_tell"
SHORT = ["--max-steps", "1", "--batch-size", "2", "--device", "cpu", "evaluation.size=2", "data.workers=0"]


@pytest.fixture
def hfmm_says(tmp_path, monkeypatch, capsys):
    """Run a command in this process (`test_divergence` runs one in its own) and hear what it says."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=said.out, stderr=said.err)

    return run


@pytest.fixture
def folder(tmp_path):
    """A good little data set: pictures beside a jsonl file."""
    data = tmp_path / "data"
    data.mkdir()
    rows = []
    for number in range(4):
        Image.effect_noise((40, 40), 60).convert("RGB").save(data / f"{number}.png")
        rows.append({"image": f"{number}.png", "captions": [f"noise number {number}", "grey noise"]})
    for split in ("train", "validation", "test"):
        (data / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return data


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A saved model with random weights."""
    target = tmp_path_factory.mktemp("model")
    hfmm.create_model("show_and_tell").save_pretrained(target)
    hfmm.create_processor("show_and_tell").save_pretrained(target)
    return target


def refused(done, code, *parts):
    assert done.returncode == code, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("hfmm: ")]
    assert len(lines) == 1, done.stderr
    for part in parts:
        assert part in lines[0]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def rewrite(path, number, row):
    lines = path.read_text().splitlines()
    lines[number] = row if isinstance(row, str) else json.dumps(row)
    path.write_text("\n".join(lines) + "\n")


def test_no_such_data(hfmm_says):
    refused(hfmm_says("train", NAME, "--data", "no/such/folder", *SHORT), 3, "no/such/folder")


def test_a_truncated_picture(hfmm_says, folder):
    whole = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(whole[: len(whole) // 2])
    refused(hfmm_says("train", NAME, "--data", folder, *SHORT, "data.batch_size=4"), 3, "train.jsonl", "line 3")


def test_an_empty_caption(hfmm_says, folder, tmp_path):
    rewrite(folder / "train.jsonl", 1, {"image": "1.png", "captions": ["noise", "  "]})
    refused(hfmm_says("train", NAME, "--data", folder, *SHORT), 3, "train.jsonl", "line 2")
    assert not list(tmp_path.rglob("model.safetensors"))


def test_a_wrong_column(hfmm_says, folder):
    done = hfmm_says("train", NAME, "--data", folder, "--columns", "captions=sentence", *SHORT)
    refused(done, 3, "sentence", "captions")


def test_data_without_a_split_for_scores(hfmm_says, folder):
    (folder / "validation.jsonl").unlink()
    done = hfmm_says("train", NAME, "--data", folder, *SHORT)
    refused(
        done, 3, "has no split 'validation': it has train, test", "data.split=train[:90%] evaluation.split=train[90%:]"
    )


def test_a_line_that_is_not_json(hfmm_says, folder):
    rewrite(folder / "train.jsonl", 2, '{"image": ')
    refused(hfmm_says("train", NAME, "--data", folder, *SHORT), 3, "train.jsonl", "line 3")


def test_a_bad_example_can_be_skipped(hfmm_says, folder):
    (folder / "2.png").write_bytes(b"garbage")
    done = hfmm_says("train", NAME, "--data", folder, "--on-bad-example", "skip", *SHORT, "evaluation.split=train")
    assert done.returncode in (0, 3), done.stderr  # the evaluation reads the bad example, too, and says so
    assert "Traceback" not in done.stderr


def test_an_unknown_key(hfmm_says):
    refused(hfmm_says("train", NAME, "data.bach_size=3"), 2, "did you mean 'batch_size'?")
    refused(hfmm_says("train", NAME, "--max-stepz", "3"), 2, "did you mean '--max-steps'?")
    refused(hfmm_says("train", "show_atend_tell"), 2, "did you mean 'show_attend_tell'?")


def test_a_checkpoint_of_another_architecture(hfmm_says, model):
    refused(hfmm_says("train", NAME, "--init-from", model, *SHORT), 2, "is a ShowAndTellFor", "shares no part")


def test_a_folder_without_a_model(hfmm_says, tmp_path):
    refused(hfmm_says("evaluate", tmp_path, "--data", "scenes"), 2, "holds no model")
    refused(hfmm_says("predict", "nowhere", "--image", tmp_path / "x.png"), 2, "nowhere")


def test_damaged_weights(hfmm_says, model, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(model, damaged)
    weights = (damaged / "model.safetensors").read_bytes()
    (damaged / "model.safetensors").write_bytes(weights[:1000])
    Image.new("RGB", (64, 64)).save(tmp_path / "picture.png")
    refused(hfmm_says("predict", damaged, "--image", "picture.png"), 3, "damaged")


def test_a_picture_that_is_none(hfmm_says, model, tmp_path):
    refused(hfmm_says("predict", model, "--image", "gone.png"), 3, "gone.png")
    (tmp_path / "note.png").write_text("not a picture")
    refused(hfmm_says("predict", model, "--image", "note.png"), 3, "note.png")


def test_divergence(run_hfmm):
    done = run_hfmm(
        "train",
        NAME,
        "--learning-rate",
        "1e30",
        "players.model.clip=null",
        "players.model.warmup=0",
        *SHORT,
        "max_steps=9",
    )
    assert done.returncode == 5, done.stderr
    assert "examples scenes-train-" in done.stderr
    assert "Traceback" not in done.stderr


def test_pictures_are_described(hfmm_says, model, tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (80, 64)).save(tmp_path / name)
    done = hfmm_says("predict", model, "--image", tmp_path, "--num-return-sequences", "2", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [len(row["predictions"]) for row in rows] == [2, 2]
