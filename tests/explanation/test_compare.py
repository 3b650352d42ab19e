"""The same picture through several models."""

import json

import pytest
from PIL import Image

import hfmm
from hfmm.cli import main
from hfmm.errors import DataError, UsageError
from hfmm.explanation import Explanation
from hfmm.explanation.compare import compare

NAMES = ("show_attend_tell", "show_and_tell")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Two random captioners and a picture, as files."""
    root = tmp_path_factory.mktemp("compare")
    for name in NAMES:
        hfmm.create_model(name).save_pretrained(root / name)
        hfmm.create_processor(name).save_pretrained(root / name)
    hfmm.load_data("scenes", split="test")[3]["image"].save(root / "scene.png")
    return root


def test_every_model_has_its_column_and_its_numbers(saved):
    runs = [saved / name for name in NAMES]
    both = compare(runs, saved / "scene.png", num_beams=2, max_new_tokens=5)
    assert type(both) is Explanation
    first, second = both.data["models"]
    assert [first["architecture"], second["architecture"]] == list(NAMES)
    assert first["score"] < 0
    assert len(first["attention"]) == len(first["words"])
    assert second["caption"] == second["captions"][0]
    assert both.title == f"{runs[0]}: {first['caption']} | {runs[1]}: {second['caption']}"
    twice = compare([runs[0]] * 2, saved / "scene.png", num_beams=2, max_new_tokens=5)
    assert twice.data["models"] == [first, first]
    assert twice.picture.width == 2 * (3 * 166 + 6) + 18  # two columns of three panels, and a gap
    json.dumps(both.to_dict())


def test_greedy_decoding_has_no_score(saved):
    models = compare([saved / NAMES[0]] * 2, saved / "scene.png", num_beams=1, max_new_tokens=5).data["models"]
    assert [model["score"] for model in models] == [None, None]


def test_what_cannot_be_compared_is_told(saved):
    with pytest.raises(UsageError, match="two runs or more"):
        compare([saved / NAMES[0]], saved / "scene.png")
    with pytest.raises(DataError, match="no such file"):
        compare([saved / NAMES[0]] * 2, saved / "none.png")


@pytest.mark.parametrize("ending", ["png", "html"])
def test_the_command_writes_a_page_or_a_picture(saved, tmp_path, capsys, ending):
    output = tmp_path / f"both.{ending}"
    runs = [str(saved / name) for name in NAMES]
    assert main(["compare", *runs, "--image", str(saved / "scene.png"), "--output", str(output)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == runs
    if ending == "png":
        assert Image.open(output).width > 800
    else:
        assert "data:image/png;base64," in output.read_text(encoding="utf-8")


def test_the_command_refuses_other_endings_before_it_loads_anything(capsys):
    assert main(["compare", "a", "b", "--image", "c.png", "--output", "d.gif"]) == 2
    assert ".html or .png" in capsys.readouterr().err
