"""Maps of picture collections, and the bars and attention of classifiers."""

import json

import numpy as np
import pytest
from PIL import Image
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

import hfmm
from hfmm.cli import main
from hfmm.data.examples import ListExamples
from hfmm.errors import UsageError
from hfmm.explanation import explain_class, explain_collection
from hfmm.explanation.classification import BAR, RIGHT, WRONG, bars
from hfmm.explanation.collection import queries
from hfmm.explanation.maps import grid, point_map
from hfmm.explanation.media import color_of


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    hfmm.create_model("lenet5").save_pretrained(folder)
    hfmm.create_processor("lenet5").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def vit():
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = ViTConfig(image_size=64, patch_size=16, num_labels=6, **sizes)
    model = ViTForImageClassification(config).eval()
    return model, ViTImageProcessorPil(size={"height": 64, "width": 64})


def holds(picture, color):
    return bool((np.asarray(picture) == color).all(-1).any())


def test_a_map_from_the_command_line_with_its_numbers(run, tmp_path, capsys):
    words = ["explain", str(run), "--data", "digits", "--limit", "14"]
    assert main([*words, "--output", str(tmp_path / "map.png")]) == 0
    assert main([*words, "--output", str(tmp_path / "map.html")]) == 0
    assert main([*words, "--split", "validation", "--output", str(tmp_path / "map.json")]) == 0
    assert "14 pictures, " in capsys.readouterr().out
    assert Image.open(tmp_path / "map.png").width > 1280
    data = json.loads((tmp_path / "map.json").read_text())
    assert data["ids"][2] == "digits-validation-2"
    assert np.array(data["codes"]).shape == (14, 96)
    assert np.array(data["points"]).shape == np.array(data["places"]).shape == (14, 2)
    assert np.array(data["nearest"]).shape == (14, 6)
    assert (np.diff(data["distances"], axis=1) >= 0).all()
    assert 0 <= data["purity"] <= 1
    assert data["labels"][0] in ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "digits", "--limit", "3"], "--limit 3: a map needs 4 pictures or more"),
        (["--data", "digits", "--num-beams", "3"], "--num-beams goes with --image"),
        (["--image", "a.png", "--limit", "9"], "--limit goes with --data"),
        ([], "give --image FILE to explain a prediction, or --data D"),
        (["--data", "digits", "--image", "a.png"], "give --image FILE to explain a prediction, or --data D"),
    ],
)
def test_what_cannot_be_asked_is_told(run, tmp_path, capsys, words, message):
    assert main(["explain", str(run), *words, "--output", str(tmp_path / "a.png")]) == 2
    assert message in capsys.readouterr().err


def test_models_without_codes_are_refused(tmp_path):
    hfmm.create_model("show_and_tell").save_pretrained(tmp_path)
    hfmm.create_processor("show_and_tell").save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="show_and_tell has no codes of pictures to map"):
        hfmm.explain(tmp_path, data=hfmm.load_data("scenes", split="test").select(range(5)))
    with pytest.raises(UsageError, match="a picture, or data"):
        hfmm.explain(tmp_path)


def test_pictures_without_classes_are_mapped(vit):
    pictures = [Image.new("RGB", (20 + row, 30), (row * 40, 9, 99)) for row in range(5)]
    examples = ListExamples([{"image": picture} for picture in pictures], {"image": "image"})
    data = explain_collection(*vit, examples).to_dict()
    assert data["purity"] is None
    assert data["labels"] == [None] * 5
    assert np.array(data["nearest"]).shape == (5, 4)


def test_queries_are_one_of_each_class():
    assert queries([2, 2, 0, None, 1]) == [0, 2, 4]
    assert queries([None] * 3) == [0, 1, 2]
    assert queries([5] * 3) == [0, 1, 2]
    assert len(queries(range(100))) == 8


def test_every_picture_is_whole_at_its_place_of_the_grid():
    pictures = [Image.new("RGB", (8, 8), color_of(number)) for number in range(4)]
    sheet = grid(pictures, [[0, 1], [1, 1], [1, 0], [0, 0]], side=80)
    assert sheet.getpixel((60, 20)) == color_of(0)
    assert sheet.getpixel((20, 20)) == color_of(3)


def test_points_have_the_color_of_their_class_and_a_key():
    sheet = point_map(np.array([[0.0, 0.0], [1.0, 2.0]]), [0, 1], ["left", "right"], side=100)
    assert sheet.getpixel((8, 8)) == color_of(0)
    assert sheet.getpixel((91, 91)) == color_of(1)
    assert sheet.height > 100
    bare = point_map(np.array([[0.0, 0.0], [1.0, 2.0]]), [None, None], [], side=100)
    assert bare.height == 100


def test_bars_are_green_where_right_and_red_elsewhere_only_when_the_truth_is_known():
    picture = Image.new("RGB", (160, 160))
    plain = bars([picture], ["cat", "dog"], [0.7, 0.3])
    told = bars([picture], ["cat", "dog"], [0.7, 0.3], truth="dog")
    assert [holds(plain, color) for color in (BAR, RIGHT, WRONG)] == [True, False, False]
    assert [holds(told, color) for color in (BAR, RIGHT, WRONG)] == [False, True, True]
    left = 160 + 6 + 12 + 2
    assert told.getpixel((left, 10)) == WRONG
    assert told.getpixel((left, 42)) == RIGHT


def test_a_vision_transformer_shows_where_it_looked(vit):
    model, processor = vit
    picture = hfmm.load_data("scenes", split="test")[3]["image"]
    explanation = explain_class(model, processor, picture, truth=model.config.id2label[0])
    assert np.array(explanation.data["attention"]).shape == (4, 4)
    assert len(explanation.data["labels"]) == 5
    convolutional = explain_class(hfmm.create_model("lenet5").eval(), hfmm.create_processor("lenet5"), picture)
    assert "attention" not in convolutional.data
    assert explanation.picture.width == convolutional.picture.width + 160 + 6


def test_the_same_picture_gives_the_same_drawing(vit):
    picture = hfmm.load_data("scenes", split="test")[3]["image"]
    first, second = (np.asarray(explain_class(*vit, picture).picture) for _ in range(2))
    assert np.array_equal(first, second)
