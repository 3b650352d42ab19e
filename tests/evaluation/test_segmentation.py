"""Segmentation from examples to scores: batches, objective, scorer, explanation, and what `predict` says."""

import json
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import cross_entropy

import hfmm
from hfmm import cli, evaluation, metrics
from hfmm.data.augmentation import Augmentation
from hfmm.data.collate import AugmentedCollator, MaskCollator
from hfmm.data.columns import class_names
from hfmm.data.examples import ListExamples
from hfmm.data.tasks import collator_of
from hfmm.errors import DataError, UsageError
from hfmm.evaluation import reading, segmentation
from hfmm.evaluation.base import Asked
from hfmm.evaluation.prediction import Wanted, predict
from hfmm.explanation.segmentation import segment
from hfmm.training.flags import recipe_of
from hfmm.training.objectives.segmentation import Segmentation
from tests.testing import seeded, shared_data

RINGS = 6  # the class of rings


@pytest.fixture(scope="module")
def scenes():
    return hfmm.load_data("scenes:segmentation", split="test", overlap=True).select(range(7))


@pytest.fixture(scope="module")
def segmenter(scenes):
    """An untrained segmenter that takes everything dark for a ring, and the rest for background."""
    with seeded():
        model = hfmm.create_model("unet", id2label=dict(enumerate(scenes.label_names))).eval()
    with torch.no_grad():
        model.classifier.weight *= 0.02
        model.classifier.bias[:] = torch.tensor([0.1 if label in (0, RINGS) else -9 for label in range(9)])
    return model, hfmm.create_processor("unet")


@pytest.fixture(scope="module")
def run(segmenter, tmp_path_factory):
    folder = tmp_path_factory.mktemp("segmenter")
    for part in segmenter:
        part.save_pretrained(folder)
    return folder


def picture_of(height, width):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_masks_become_labels_without_new_classes(segmenter):
    """A mask is made smaller by taking pixels, not by mixing them; what is ignored stays so."""
    collator = collator_of("image-segmentation", segmenter[1])
    assert isinstance(collator, MaskCollator)
    mask = np.random.default_rng(0).choice(np.array([0, 7, 255]), (90, 130))
    example = {"id": "x", "image": picture_of(90, 130), "mask": mask}
    batch = collator([collator.draw(example, Random(0))] * 2)
    assert batch["pixel_values"].shape == (2, 3, 64, 64)
    assert batch["labels"].unique().tolist() == [0, 7, 255]
    expected = np.asarray(Image.fromarray(mask.astype(np.uint8)).resize((64, 64), Image.Resampling.NEAREST))
    assert np.array_equal(batch["labels"][1], expected)
    assert batch["example_ids"] == ["x", "x"]


def test_scenes_keep_their_masks(segmenter, scenes):
    collator = MaskCollator(segmenter[1])
    batch = collator([collator.draw(scenes[row], Random(0)) for row in range(3)])
    assert np.array_equal(batch["labels"], np.stack([scenes[row]["mask"] for row in range(3)]))


def test_a_flip_takes_the_mask_along(segmenter, scenes):
    collator = AugmentedCollator(MaskCollator(segmenter[1]), Augmentation(flip=True))
    drawn = [collator.draw(scenes[0], Random(seed)) for seed in range(8)]
    flipped = [row for row in drawn if not np.array_equal(row["image"], scenes[0]["image"])]
    assert 0 < len(flipped) < 8
    assert np.array_equal(collator(flipped)["labels"][0], scenes[0]["mask"][:, ::-1])


def test_examples_that_cannot_be_learned_are_refused(segmenter, scenes):
    collator = MaskCollator(segmenter[1])
    for missing in ("image", "mask"):
        with pytest.raises(DataError, match=f"example x has no {missing}"):
            collator.draw({**scenes[0], "id": "x", missing: None}, Random(0))
    with pytest.raises(DataError, match="example x has a mask of 5 x 4 pixels for a picture of 64 x 64"):
        collator.draw({**scenes[0], "id": "x", "mask": np.zeros((4, 5), int)}, Random(0))


def test_the_turn_is_a_sum_over_known_pixels(segmenter, scenes):
    model, processor = segmenter
    collator = MaskCollator(processor)
    batch = collator([collator.draw(scenes[row], Random(0)) for row in range(3)])
    batch["labels"][0, :20] = 255
    (turn,) = Segmentation({"model": model}).turns(batch, None)
    logits = model(batch["pixel_values"]).logits
    assert turn.count == 3 * 64 * 64 - 20 * 64
    expected = cross_entropy(logits, batch["labels"], ignore_index=255, reduction="sum")
    torch.testing.assert_close(turn.loss, expected)
    right = (logits.argmax(1) == batch["labels"]).sum()
    assert turn.log == {"pixel_accuracy": right}


def test_every_picture_is_segmented_once_at_its_own_size(segmenter, monkeypatch):
    monkeypatch.setattr(reading, "BATCH_SIZE", 3)
    model, processor = segmenter
    sizes = [(64, 64), (50, 90), (128, 40), (64, 64), (30, 31)]
    rows = [{"image": picture_of(*size), "mask": np.zeros(size, int)} for size in sizes]
    examples = ListExamples(rows, {"image": "image", "mask": "mask"})
    found, read = segmentation.segment_all(model, processor, examples)
    assert [mask.shape for mask in found] == sizes
    assert [example["id"] for example in read] == [f"list-train-{row}" for row in range(5)]
    (alone,) = segment(model, processor, [rows[1]["image"]])
    assert (alone == found[1]).mean() > 0.999
    assert {0, RINGS} >= set(np.unique(alone))


def test_scores_are_those_of_the_metric(segmenter, scenes):
    outcome = evaluation.score_model("image-segmentation", *segmenter, scenes, Asked())
    masks = list(scenes.column("mask"))
    assert outcome.scores == metrics.load("segmentation").compute(predictions=outcome.predictions, references=masks)
    assert list(outcome.scores) == ["mean_iou", "pixel_accuracy"]
    with pytest.raises(UsageError, match="unknown metric of a segmenter 'map'"):
        evaluation.score_model("image-segmentation", *segmenter, scenes, Asked(["map"]))
    other = ListExamples([scenes[0]], scenes.features, label_names=("cat", "dog"))
    with pytest.raises(DataError, match="the model's 9 classes are not the 2 of the data"):
        evaluation.score_model("image-segmentation", *segmenter, other, Asked())


def test_explanations_tell_the_shares_that_predict_tells(run, segmenter, tmp_path, capsys):
    picture = picture_of(50, 90)
    picture.save(tmp_path / "noise.png")
    explanation = hfmm.explain(run, tmp_path / "noise.png")
    (row,) = predict(str(run), Wanted([tmp_path / "noise.png"], output=tmp_path / "masks"))
    mask = np.asarray(Image.open(tmp_path / "masks" / "noise.png"))
    assert np.array_equal(mask, segment(*segmenter, [picture])[0])
    assert row == {
        "image": str(tmp_path / "noise.png"),
        "mask": str(tmp_path / "masks" / "noise.png"),
        "classes": explanation.data["classes"],
    }
    best = row["classes"][0]
    label = {0: "background", RINGS: "ring"}[int(np.bincount(mask.ravel()).argmax())]
    assert best == {"label": label, "share": pytest.approx(np.bincount(mask.ravel()).max() / 4500, abs=1e-6)}
    assert explanation.title.startswith(f"{label} {best['share']:.2f}")
    explanation.save(tmp_path / "why.png")
    command = ["predict", str(run), "--image", str(tmp_path / "noise.png")]
    assert cli.main(command) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'noise.png'}\t{label}\t{best['share']:.3f}\n")
    assert cli.main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{key: row[key] for key in ("image", "classes")}]


def test_classes_come_from_the_data(scenes, tmp_path):
    run = hfmm.train(
        "unet", data="scenes:segmentation", output_dir=tmp_path / "run", max_steps=1, batch_size=2, quiet=True,
        overrides={"evaluation.size": 4},
    )  # fmt: skip
    assert run.load().model.config.id2label == dict(enumerate(scenes.label_names))
    assert {"mean_iou", "pixel_accuracy"} == set(run.metrics)
    assert (run.output_dir / "samples" / "step-00000001.png").exists()


def test_classes_of_masks_without_names_are_numbered():
    masks = [np.array([[0, 255]]), np.array([[3, 1]])]
    examples = ListExamples([{"mask": mask} for mask in masks], {"image": "image", "mask": "mask"})
    assert class_names(examples) == ("class 0", "class 1", "class 2", "class 3")


def test_camvid_has_eleven_classes_and_what_is_unlabelled_is_ignored():
    folder = str(shared_data("camvid"))
    examples = hfmm.load_data(folder, split="test", ignore_index=11)
    assert examples.label_names[::10] == ("Sky", "Bicyclist")
    assert len(examples.label_names) == 11
    assert set(np.unique(examples[0]["mask"])) <= {*range(11), 255}
    assert hfmm.load_data(folder, split="test").label_names[11] == "Unlabelled"


def test_a_damaged_list_of_classes_is_told(tmp_path):
    for name in ("image", "mask"):
        Image.new("RGB" if name == "image" else "L", (4, 4)).save(tmp_path / f"{name}.png")
    (tmp_path / "train.jsonl").write_text('{"image": "image.png", "mask": "mask.png"}\n')
    assert hfmm.load_data(str(tmp_path)).label_names is None
    for text, message in (("[", "cannot be read"), ('{"a": 1}', "is not a list of names")):
        (tmp_path / "classes.json").write_text(text)
        with pytest.raises(DataError, match=f"classes.json {message}"):
            hfmm.load_data(str(tmp_path))
    (tmp_path / "classes.json").write_text('["nothing", "something"]')
    assert hfmm.load_data(str(tmp_path)).label_names == ("nothing", "something")


def test_what_a_recipe_says_of_its_data_holds_for_a_copy_of_it(tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("data: {name: camvid, options: {ignore_index: 11}, augmentation: {flip: true}}")
    for name, same in (("camvid", True), ("somewhere/camvid", True), ("somewhere/cityscapes", False)):
        data = recipe_of("unet", str(recipe), data=name).data
        assert (data.name, data.options == {"ignore_index": 11}, data.augmentation.flip) == (name, same, same)
