"""Models that make a picture of a picture: batches, scores beside the baseline's, predictions, and what is shown."""

import json
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image

import hfmm
from hfmm import evaluation, metrics
from hfmm.data.edits import EditCollator
from hfmm.data.tasks import collator_of
from hfmm.errors import DataError, UsageError
from hfmm.evaluation.base import Asked
from hfmm.evaluation.prediction import Wanted, predict
from hfmm.explanation.editing import difference, distance, edit
from hfmm.training.objectives.base import StepContext
from hfmm.training.objectives.editing import Editing
from tests.testing import seeded

TASK = "image-to-image"


def built(name):
    with seeded():
        return hfmm.create_model(name).eval(), hfmm.create_processor(name)


@pytest.fixture(scope="module")
def enlarger():
    return built("super_resolution")


@pytest.fixture(scope="module")
def scenes():
    return hfmm.load_data("scenes", split="test").select(range(5))


def test_batches_hold_what_was_worsened_and_what_it_was(enlarger, scenes):
    collator = collator_of(TASK, enlarger[1])
    assert type(collator) is EditCollator
    batch = collator([collator.draw(scenes[row], Random(row)) for row in range(3)])
    assert batch["pixel_values"].shape == (3, 1, 24, 24)
    assert batch["labels"].shape == (3, 1, 48, 48)
    assert len(batch["example_ids"]) == 3


def test_one_turn_is_the_summed_loss(enlarger, scenes):
    model, processor = enlarger
    collator = collator_of(TASK, processor)
    batch = collator([collator.draw(scenes[row], Random(row)) for row in range(3)])
    context = StepContext(0, torch.Generator(), lambda value: value, lambda module: module)
    (turn,) = Editing({"model": model}).turns(batch, context)
    loss = model(batch["pixel_values"], batch["labels"]).loss
    torch.testing.assert_close(turn.loss, 3 * loss)
    assert (turn.player, turn.count.item()) == ("model", 3)


def test_answers_are_scored_beside_the_baseline(enlarger, scenes):
    model, processor = enlarger
    outcome = evaluation.score_model(TASK, model, processor, scenes, Asked())
    truths = processor.truths([scenes[row]["image"] for row in range(5)])
    given = processor.worsened(truths)
    metric = metrics.load("reconstruction")
    for prefix, answers in (("", edit(model, processor, given)), ("bicubic_", processor.plain(given))):
        expected = metric.compute(predictions=answers, references=truths, channel="luminance", border=2)
        found = {name: outcome.scores[f"{prefix}{name}"] for name in expected}
        assert found == pytest.approx(expected)
    assert len(outcome.scores) == 4
    assert [picture.size for picture in outcome.predictions] == [(64, 64)] * 5
    with pytest.raises(UsageError, match="unknown metric of a model that edits pictures 'cider'"):
        evaluation.score_model(TASK, model, processor, scenes, Asked(["cider"]))


def test_pictures_of_many_sizes_are_edited_in_their_order(enlarger):
    model, processor = enlarger
    pictures = [Image.linear_gradient("L").resize(size).convert("RGB") for size in ((20, 12), (9, 30), (20, 12))]
    found = edit(model, processor, pictures)
    assert [picture.size for picture in found] == [(40, 24), (18, 60), (40, 24)]
    assert found[0].tobytes() == found[2].tobytes() == edit(model, processor, pictures[:1])[0].tobytes()


def test_predict_writes_what_it_made(enlarger, tmp_path, capsys):
    from hfmm.cli import main

    model, processor = enlarger
    for part in (model, processor):
        part.save_pretrained(tmp_path / "model")
    Image.linear_gradient("L").resize((20, 12)).save(tmp_path / "small.png")
    asked = Wanted(images=[tmp_path / "small.png"], output=tmp_path / "large")
    (row,) = predict(tmp_path / "model", asked)
    assert row == {"image": str(tmp_path / "small.png"), "edited": str(tmp_path / "large" / "small.png")}
    assert Image.open(row["edited"]).size == (40, 24)
    command = ["predict", str(tmp_path / "model"), "--image", row["image"], "--output", str(tmp_path / "large")]
    assert main(command) == 0
    assert capsys.readouterr().out == f"{row['image']}\t{row['edited']}\n"
    with pytest.raises(UsageError, match="makes pictures of pictures: name the folder"):
        predict(tmp_path / "model", Wanted(images=[tmp_path / "small.png"]))


@pytest.mark.parametrize("name", ["autoencoder", "super_resolution"])
def test_what_is_shown_is_what_is_told(name, tmp_path, scenes):
    model, processor = built(name)
    for part in (model, processor):
        part.save_pretrained(tmp_path)
    picture = scenes[0]["image"]
    explanation = hfmm.explain(tmp_path, picture)
    (truth,), given = processor.truths([picture]), processor.worsened([picture])
    (edited,) = edit(model, processor, given)
    assert explanation.data["distance"] == distance(edited, truth)
    assert explanation.title.startswith(f"{explanation.data['distance']:.1f} levels of 255 from the truth")
    if name == "super_resolution":
        assert explanation.data["bicubic"] == distance(processor.plain(given)[0], truth)
    else:
        with torch.no_grad():
            code = model.encode(processor([picture], return_tensors="pt")["pixel_values"])[0]
        assert explanation.data["code"] == pytest.approx(code.tolist(), abs=1e-5)
    assert json.dumps(explanation.to_dict())
    assert explanation.picture.width > 3 * 192


def test_a_picture_that_is_too_small_is_told_of(enlarger, tmp_path):
    for part in enlarger:
        part.save_pretrained(tmp_path)
    with pytest.raises(DataError, match="1 x 1 pixels is too small to be reduced 2 times"):
        hfmm.explain(tmp_path, Image.new("RGB", (1, 1)))


def test_distance_and_difference_by_hand():
    dark, light = Image.new("RGB", (3, 2), (10, 10, 10)), Image.new("RGB", (3, 2), (10, 40, 10))
    assert distance(dark, light) == pytest.approx((30**2 / 3) ** 0.5)
    assert np.asarray(difference(dark, light)).tolist() == [[40] * 3] * 2
