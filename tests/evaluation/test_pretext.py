"""Pretext tasks as a task: batches, objectives, scores, explanations, codes, and what classifiers take over."""

import json
import math

import pytest
import torch

import hfmm
from hfmm import cli, evaluation
from hfmm.data.keyed import keyed_random
from hfmm.data.tasks import collator_of
from hfmm.errors import UsageError
from hfmm.evaluation.base import Asked
from hfmm.evaluation.prediction import Wanted, predict
from hfmm.evaluation.pretext import hidden, psnr
from hfmm.explanation.pretext import explain_pretext
from hfmm.training.objectives.base import StepContext
from hfmm.training.objectives.pretext import AdversarialInpainting, Pretext
from tests.testing import seeded

TASK = "image-feature-extraction"
PRESETS = ["tiny", "tiny_relative_position", "tiny_same_image", "tiny_inpainting"]


def both(preset, **fields):
    with seeded():
        return hfmm.create_model("pretext", preset, **fields).eval(), hfmm.create_processor("pretext", preset)


def context(step=0):
    return StepContext(step, torch.Generator().manual_seed(step), lambda tensor: tensor, lambda module: module)


@pytest.fixture(scope="module")
def digits():
    return hfmm.load_data("digits", split="test").select(range(8))


def batch_of(processor, examples, seed=0):
    collator = collator_of(TASK, processor)
    return collator([collator.draw(example, keyed_random(seed, row)) for row, example in enumerate(examples)])


def test_exams_are_drawn_anew_at_each_visit_and_alike_for_a_seed(digits):
    _, processor = both("tiny")
    one, again, other = (batch_of(processor, digits, seed) for seed in (0, 0, 1))
    assert set(one) == {"pixel_values", "labels", "class_labels", "example_ids"}
    assert one["pixel_values"].shape == (8, 4, 3, 14, 14)
    assert torch.equal(one["pixel_values"], again["pixel_values"])
    assert not torch.equal(one["labels"], other["labels"])


@pytest.mark.parametrize("preset", PRESETS)
def test_the_turn_is_a_sum_over_pictures(preset, digits):
    model, processor = both(preset)
    batch = batch_of(processor, digits)
    objective = Pretext({"model": model})
    objective.prepare(digits, processor)
    (turn,) = objective.turns(batch, context())
    output = model(pixel_values=batch["pixel_values"], labels=batch["labels"])
    assert turn.count == 8
    torch.testing.assert_close(turn.loss / turn.count, output.loss)
    if output.logits is not None:
        assert turn.log["top_1"] == (output.logits.argmax(-1) == batch["labels"]).sum()


def test_a_processor_that_asks_something_else_is_refused(digits):
    model, _ = both("tiny")
    for name, message in (("tiny_same_image", "processor.task and model.task"), ("tiny_jigsaw", "permutations")):
        with pytest.raises(UsageError, match=message):
            Pretext({"model": model}).prepare(digits, hfmm.create_processor("pretext", name))
    painter, processor = both("tiny_inpainting", decoder_sizes=[16, 8])
    with pytest.raises(UsageError, match="hole_size"):
        Pretext({"model": painter}).prepare(digits, processor)


def test_the_painters_see_the_discriminator_moved(digits):
    """Two turns: what moves the discriminator leaves the painters alone, and their loss is of the moved one."""
    model, processor = both("tiny_inpainting", adversarial_weight=0.001)
    batch = batch_of(processor, digits)
    players = {name: getattr(model, name) for name in ("encoder", "head", "discriminator")}
    turns = AdversarialInpainting(players).turns(batch, context())
    first = next(turns)
    first.loss.backward()
    assert first.player == "discriminator"
    assert all(value.grad is None for name in ("encoder", "head") for value in players[name].parameters())
    with torch.no_grad():
        for value in players["discriminator"].parameters():
            value -= 0.01 * value.grad
            value.grad = None
    second = next(turns)
    second.loss.backward()
    assert second.player == ("encoder", "head")
    assert all(value.grad is not None for name in ("encoder", "head") for value in players[name].parameters())
    output = model(pixel_values=batch["pixel_values"], labels=batch["labels"])
    torch.testing.assert_close(second.loss / 8, output.loss)
    torch.testing.assert_close(second.log["adversarial"] / 8, output.losses["adversarial"].detach())
    assert next(turns, None) is None


def test_adversarial_inpainting_trains_through_the_one_loop(tmp_path):
    run = hfmm.train(
        "pretext", recipe="inpainting_adversarial", data="scenes", output_dir=tmp_path / "run", max_steps=2,
        batch_size=4, quiet=True, overrides={"evaluation.size": 4, "logging.every": 1},
    )  # fmt: skip
    logged = json.loads((run.output_dir / "metrics.jsonl").read_text().splitlines()[0])
    assert {"discriminator/real", "discriminator/fake", "encoder/reconstruction", "encoder/adversarial"} <= set(logged)
    assert set(run.metrics) == {"psnr", "psnr_of_mean"}


@pytest.mark.parametrize("preset", PRESETS[:3])
def test_exams_are_scored_by_their_rows(preset, digits):
    model, processor = both(preset)
    outcome = evaluation.score_model(TASK, model, processor, digits, Asked())
    batch = processor([example["image"] for example in digits], seeds=range(8), return_tensors="pt")
    with torch.no_grad():
        right = model(**batch).logits.argmax(-1) == batch["labels"]
    assert outcome.scores["top_1"] == right.double().mean().item()
    assert ["right" in text for text in outcome.predictions] == right.tolist()
    with pytest.raises(UsageError, match=f"unknown metric of a model of {model.config.task} 'cider'"):
        evaluation.score_model(TASK, model, processor, digits, Asked(["cider"]))


def test_psnr_by_hand():
    truth = torch.full((2, 3, 4, 4), 0.5)
    assert psnr(truth + 0.1, truth).tolist() == pytest.approx([20.0, 20.0], abs=1e-4)
    assert psnr(truth, truth).tolist() == [100.0, 100.0]
    assert hidden(torch.arange(36.0).view(1, 1, 6, 6), 2).tolist() == [[[[7.5, 8.0], [10.5, 11.0]]]]


def test_holes_are_scored_where_nothing_was_seen(digits):
    model, processor = both("tiny_inpainting")
    outcome = evaluation.score_model(TASK, model, processor, digits, Asked())
    batch = processor([example["image"] for example in digits], return_tensors="pt")
    with torch.no_grad():
        painted = model(batch["pixel_values"]).reconstruction
    found, truth = ((part[..., 4:28, 4:28].double() + 1) / 2 for part in (painted, batch["labels"]))
    expected = [-10 * math.log10(error) for error in ((found - truth) ** 2).mean((1, 2, 3)).tolist()]
    assert outcome.scores["psnr"] == pytest.approx(sum(expected) / 8, rel=1e-4)
    spread = truth.var((2, 3), correction=0).mean(1).tolist()  # what the mean color misses
    expected = [-10 * math.log10(error) for error in spread]
    assert outcome.scores["psnr_of_mean"] == pytest.approx(sum(expected) / 8, rel=1e-4)


@pytest.mark.parametrize("preset", PRESETS)
def test_explanations_show_the_exam(preset, digits):
    model, processor = both(preset)
    explanation = explain_pretext(model, processor, digits[0]["image"])
    assert explanation.picture.mode == "RGB"
    if preset == "tiny_inpainting":
        assert explanation.title.startswith("painted with a mean error of ")
    else:
        assert sum(explanation.data["probabilities"]) == pytest.approx(1, abs=1e-5)
        verdict = max(range(len(explanation.data["probabilities"])), key=explanation.data["probabilities"].__getitem__)
        assert explanation.title.endswith("right") == (verdict == explanation.data["label"])


def test_codes_are_the_encoder_s_of_the_whole_picture(digits, tmp_path, capsys):
    model, processor = both("tiny")
    model.save_pretrained(tmp_path / "run")
    processor.save_pretrained(tmp_path / "run")
    digits[0]["image"].save(tmp_path / "digit.png")
    (row,) = predict(tmp_path / "run", Wanted([tmp_path / "digit.png"]))
    inputs = processor([digits[0]["image"]], do_pretext=False, return_tensors="pt")
    with torch.no_grad():
        expected = model.encoder(**inputs).pooler_output[0]
    assert row["code"] == pytest.approx(expected.tolist(), rel=1e-4)
    assert cli.main(["predict", str(tmp_path / "run"), "--image", str(tmp_path / "digit.png")]) == 0
    assert len(capsys.readouterr().out.split("\t")) == 1 + 96


def test_a_classifier_begins_with_the_trained_encoder(tmp_path):
    with seeded(5):
        model = hfmm.create_model("pretext")
    model.save_pretrained(tmp_path / "run")
    hfmm.create_processor("pretext").save_pretrained(tmp_path / "run")
    run = hfmm.train(
        "small_cnn", data="digits", output_dir=tmp_path / "classes", max_steps=1, batch_size=2, quiet=True,
        init_from=str(tmp_path / "run"), learning_rate=1e-9,
        overrides={"evaluation.size": 2, "players.model.weight_decay": 0.0},
    )  # fmt: skip
    found, given = run.load().model.backbone.state_dict(), model.encoder.backbone.state_dict()
    assert found.keys() == given.keys()
    for name in given:
        torch.testing.assert_close(found[name], given[name], rtol=0, atol=1e-6)
