"""Detection from examples to scores: batches, the objective, the scorer, the explanation, and what `predict` says."""

import json
import re
from random import Random

import pytest
import torch
from PIL import Image

import hfmm
from hfmm import cli, evaluation, metrics
from hfmm.data.collate import ObjectCollator
from hfmm.data.columns import attribute_names, class_names
from hfmm.data.examples import ListExamples
from hfmm.data.scenes.grammar import SHAPES
from hfmm.data.tasks import collator_of
from hfmm.errors import DataError, UsageError
from hfmm.evaluation import detection, reading
from hfmm.evaluation.base import Asked
from hfmm.evaluation.prediction import Wanted, predict
from hfmm.explanation.detection import THRESHOLD, boxes_over, listed
from hfmm.training.objectives.detection import Detection
from tests.testing import seeded

SURE = {SHAPES.index("triangle"): 0.9, len(SHAPES): 0.95, len(SHAPES) + 1: 0.8}  # class and confidences of a cell


@pytest.fixture(scope="module")
def detector():
    """An untrained detector that is sure of triangles everywhere."""
    with seeded():
        model = hfmm.create_model("yolo", id2label=dict(enumerate(SHAPES))).eval()
    with torch.no_grad():
        model.prediction.weight *= 0.01
        for place, value in SURE.items():
            model.prediction.bias[place] = value
    return model, hfmm.create_processor("yolo")


@pytest.fixture(scope="module")
def scenes():
    return hfmm.load_data("scenes:detection", split="test", overlap=True).select(range(7))


@pytest.fixture(scope="module")
def run(detector, tmp_path_factory):
    folder = tmp_path_factory.mktemp("detector")
    for part in detector:
        part.save_pretrained(folder)
    return folder


def test_objects_become_labels_in_parts_of_the_picture(detector, scenes):
    collator = collator_of("object-detection", detector[1])
    assert isinstance(collator, ObjectCollator)
    batch = collator([collator.draw(scenes[row], Random(0)) for row in range(3)])
    assert batch["pixel_values"].shape == (3, 3, 64, 64)
    assert batch["example_ids"] == [scenes[row]["id"] for row in range(3)]
    for row, label in enumerate(batch["labels"]):
        objects = scenes[row]["objects"]
        assert label["class_labels"].tolist() == [thing["label"] for thing in objects]
        torch.testing.assert_close(label["boxes"] * 64, torch.tensor([thing["box"] for thing in objects]).float())


def test_examples_that_cannot_be_learned_are_refused(detector, scenes):
    collator = ObjectCollator(detector[1])
    with pytest.raises(DataError, match="example x has no image"):
        collator.draw({"id": "x", "image": None, "objects": []}, Random(0))
    with pytest.raises(DataError, match="example x has an object whose label is 'dog': give class numbers"):
        collator.draw({**scenes[0], "id": "x", "objects": [{"box": [0, 0, 1, 1], "label": "dog"}]}, Random(0))


def test_the_turn_is_a_sum_over_pictures(detector, scenes):
    model, processor = detector
    collator = ObjectCollator(processor)
    batch = collator([collator.draw(scenes[row], Random(0)) for row in range(3)])
    (turn,) = Detection({"model": model}).turns(batch, None)
    output = model(batch["pixel_values"], labels=batch["labels"])
    assert turn.count == 3
    torch.testing.assert_close(turn.loss, 3 * output.loss)
    assert {name: part.item() for name, part in turn.log.items()} == pytest.approx(
        {name: 3 * part.item() for name, part in output.loss_dict.items()}
    )


def test_every_picture_is_scored_once(detector, scenes, monkeypatch):
    monkeypatch.setattr(reading, "BATCH_SIZE", 3)
    model, processor = detector
    found, read = detection.detect(model, processor, scenes)
    assert [example["id"] for example in read] == [scenes[row]["id"] for row in range(7)]
    for row in (0, 6):
        with torch.no_grad():
            outputs = model(**processor(scenes[row]["image"], return_tensors="pt"))
        (alone,) = processor.post_process_object_detection(outputs, detection.LEAST, [(64, 64)])
        assert len(found[row]["boxes"]) == len(alone["boxes"]) > 10
        torch.testing.assert_close(torch.tensor(found[row]["boxes"]), alone["boxes"], rtol=1e-3, atol=1e-3)
        assert found[row]["names"][0] == "triangle"
        assert found[row]["scores"] == sorted(found[row]["scores"], reverse=True)


def test_scores_are_those_of_the_metric(detector, scenes):
    outcome = evaluation.score_model("object-detection", *detector, scenes, Asked())
    truth = [
        {"boxes": [thing["box"] for thing in objects], "labels": [thing["label"] for thing in objects]}
        for objects in scenes.column("objects")
    ]
    expected = metrics.load("detection").compute(predictions=outcome.predictions, references=truth)
    assert outcome.scores == expected
    assert list(expected) == ["map", "map_50", "map_75"]
    with pytest.raises(UsageError, match="unknown metric of a detector 'cider'"):
        evaluation.score_model("object-detection", *detector, scenes, Asked(["cider"]))
    other = ListExamples([scenes[0]], scenes.features, label_names=("cat", "dog"))
    with pytest.raises(DataError, match="the model's 8 classes are not the 2 of the data"):
        evaluation.score_model("object-detection", *detector, other, Asked())


def test_explanations_draw_the_boxes_that_predict_tells(run, scenes, tmp_path, capsys):
    picture = scenes[0]["image"]
    picture.save(tmp_path / "scene.png")
    explanation = hfmm.explain(run, tmp_path / "scene.png")
    (row,) = predict(str(run), Wanted([tmp_path / "scene.png"]))
    assert row == {"image": str(tmp_path / "scene.png"), "objects": explanation.data["objects"]}
    best = row["objects"][0]
    assert best["label"] == "triangle"
    assert best["score"] > THRESHOLD
    assert explanation.title.startswith(f"triangle {best['score']:.2f}, ")
    assert cli.main(["predict", str(run), "--image", str(tmp_path / "scene.png")]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'scene.png'}\ttriangle\t{best['score']:.3f}\t[")
    assert cli.main(["predict", str(run), "--image", str(tmp_path / "scene.png"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [row]
    with pytest.raises(UsageError, match="yolo looks at pictures: name them with --image"):
        predict(str(run), Wanted())


def test_boxes_are_drawn_where_they_are(scenes):
    picture = scenes[0]["image"]
    found = {"boxes": [[16, 16, 48, 32], [0, 0, 64, 64]], "labels": [0, 1], "names": ["a", "b"], "scores": [0.9, 0.1]}
    drawn, words = boxes_over(picture, found, side=128)
    plain, nothing = boxes_over(picture, {name: [] for name in found}, side=128)
    assert (words, nothing) == ("a 0.90", "nothing")
    changed = [
        (x, y) for x in range(128) for y in range(128) if drawn.getpixel((x, y)) != plain.getpixel((x, y))
    ]  # of a box of a small score nothing
    assert 30 <= min(x for x, _ in changed) <= 32 <= 96 <= max(x for x, _ in changed) <= 98
    assert 30 <= min(y for _, y in changed) <= 32 <= 64 <= max(y for _, y in changed) <= 66


def test_a_plan_tells_the_shapes_of_the_first_labels(capsys):
    assert cli.main(["train", "yolo", "--dry-run", "--batch-size", "2"]) == 0
    assert re.search(r"pixel_values \(2, 3, 64, 64\), labels\[0\].class_labels \(\d,\)", capsys.readouterr().out)


def test_classes_come_from_the_data(scenes, tmp_path):
    run = hfmm.train(
        "yolo", data="scenes:detection", output_dir=tmp_path / "run", max_steps=1, batch_size=2, quiet=True,
        overrides={"evaluation.size": 4},
    )  # fmt: skip
    config = run.load().model.config
    assert config.id2label == dict(enumerate(scenes.label_names))
    assert {"map", "map_50", "map_75"} == set(run.metrics)
    assert (run.output_dir / "samples" / "step-00000001.png").exists()


def test_classes_without_names_are_numbered():
    objects = [{"box": [0, 0, 1, 1], "label": 2}, {"box": [0, 0, 1, 1], "label": 0}]
    examples = ListExamples([{"objects": objects}, {"objects": []}], {"image": "image", "objects": "objects"})
    assert class_names(examples) == ("class 0", "class 1", "class 2")
    assert class_names(ListExamples([], {"image": "image"})) == ()


def test_attributes_are_right_of_objects_that_are_found():
    """Of four objects one is not found and one has no attribute; of the two others one is told right."""
    objects = [
        {"box": [0, 0, 10, 10], "label": 0, "attributes": [1, 5]},
        {"box": [20, 20, 30, 30], "label": 0, "attributes": [2]},
        {"box": [40, 40, 50, 50], "label": 1, "attributes": [3]},
        {"box": [20, 20, 30, 30], "label": 2},
    ]
    found = {
        "boxes": [[0, 0, 10, 9], [0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 50, 44], [20, 20, 30, 30], [0, 0, 10, 10]],
        "labels": [0, 0, 0, 1, 2, 1],
        "attributes": [1, 2, 5, 3, 4, 4],  # the second finds nothing that the first did not; the fourth overlaps 0.4
    }
    assert detection.attribute_accuracy([found], [objects]) == 0.5
    assert detection.attribute_accuracy([{**found, "attributes": [5, 2, 2, 3, 4, 4]}], [objects]) == 0.5
    nothing = {"boxes": [], "labels": [], "attributes": []}
    assert detection.attribute_accuracy([nothing, found], [objects, []]) == 0
    assert detection.attribute_accuracy([nothing, found], [[], objects]) == 0.5


def test_objects_are_told_with_their_attributes():
    found = {
        "boxes": [[0, 0, 9, 9]], "labels": [0], "names": ["square"], "scores": [0.98], "attribute_names": ["red"]
    }  # fmt: skip
    assert boxes_over(Image.new("RGB", (16, 16)), found)[1] == "red square 0.98"
    assert listed(found) == [{"label": "square", "score": 0.98, "box": [0, 0, 9, 9], "attribute": "red"}]


def test_other_attributes_are_refused(scenes):
    with seeded():
        names = {"id2label": dict(enumerate(SHAPES)), "id2attribute": {0: "old", 1: "new"}}
        model = hfmm.create_model("faster_rcnn", **names).eval()
    with pytest.raises(DataError, match="the model's 2 attributes are not the 10 of the data"):
        detection.score_detector(model, hfmm.create_processor("faster_rcnn"), scenes.select(range(2)), Asked())


def test_attributes_without_names_are_numbered(scenes):
    assert attribute_names(scenes) == scenes.attribute_names
    things = [{"box": [0, 0, 1, 1], "label": 2, "attributes": [1, 0]}, {"box": [0, 0, 1, 1], "label": 0}]
    features = {"image": "image", "objects": "objects"}
    examples = ListExamples([{"objects": things}, {"objects": []}], features)
    assert attribute_names(examples) == ("attribute 0", "attribute 1")
    assert attribute_names(ListExamples([], {"image": "image"})) == ()
    with pytest.raises(DataError, match="give a list of numbers"):
        attribute_names(ListExamples([{"objects": [{"attributes": ["red"]}]}], features))
