"""Classifiers from training to scores, explanation and the captioner that starts from one."""

import pytest
import torch

import hfmm
from hfmm import evaluation
from hfmm.errors import DataError, UsageError
from hfmm.evaluation.base import Asked
from hfmm.evaluation.classification import classify
from tests.testing import seeded

TASK = "image-classification"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return hfmm.train(
        "small_cnn",
        output_dir=tmp_path_factory.mktemp("runs") / "classes",
        max_steps=3,
        batch_size=4,
        device="cpu",
        quiet=True,
        overrides={"data.workers": 0, "evaluation.size": 6, "model.position_size": 8},
    )


@pytest.fixture(scope="module")
def scenes():
    return hfmm.load_data("scenes:classification", split="test", size=7)


def test_the_data_name_the_classes(run, scenes):
    config = run.load().model.config
    assert tuple(config.id2label.values()) == scenes.label_names
    assert config.label2id[scenes.label_names[3]] == 3
    assert set(run.metrics) >= {"top_1", "top_5"}


def test_a_checkpoint_is_scored_under_its_own_steps(tmp_path):
    run = hfmm.train(
        "small_cnn", output_dir=tmp_path / "run", max_steps=2, save_every=1, keep=2, batch_size=2, device="cpu",
        quiet=True, overrides={"data.workers": 0, "evaluation.size": 2},
    )  # fmt: skip
    (first, *_) = sorted((run.output_dir / "checkpoints").glob("step-*"))
    for folder, steps in ((first, 1), (run.output_dir, 2)):
        assert hfmm.evaluate(folder, limit=2)[-1]["steps"] == steps


def test_a_limit_draws_more_pictures_than_the_recipe_scores(tmp_path):
    run = hfmm.train(
        "small_cnn", output_dir=tmp_path / "run", max_steps=1, batch_size=2, device="cpu", quiet=True,
        overrides={"data.workers": 0, "evaluation.size": 2, "evaluation.options": {"size": 3}},
    )  # fmt: skip
    for limit, examples in ((None, 3), (5, 5), (2, 2)):
        row = hfmm.evaluate(run.output_dir, limit=limit)[-1]
        assert row["examples"] == examples
        assert row["how"] == f"hfmm evaluate (size={examples})"


def test_every_example_is_classified_once_in_order(run, scenes):
    loaded = run.load()
    logits, read = classify(loaded.model, loaded.processor, scenes)
    assert [example["id"] for example in read] == [scenes[row]["id"] for row in range(7)]
    assert "image" not in read[0]
    alone = loaded.model(**loaded.processor([scenes[2]["image"]], return_tensors="pt")).logits[0]
    torch.testing.assert_close(torch.tensor(logits[2]), alone.detach())


def test_scores_are_those_of_the_metric(run, scenes):
    loaded = run.load()
    outcome = evaluation.score_model(TASK, loaded.model, loaded.processor, scenes, Asked())
    right = [name == scenes.label_names[scenes[row]["label"]] for row, name in enumerate(outcome.predictions)]
    assert outcome.scores["top_1"] == pytest.approx(sum(right) / 7)
    with pytest.raises(UsageError, match="unknown metric of a classifier 'cider'"):
        evaluation.score_model(TASK, loaded.model, loaded.processor, scenes, Asked(["cider"]))


def test_several_views_are_averaged_and_told(run, scenes):
    loaded = run.load()
    pixel_values = loaded.processor([scenes[2]["image"]], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        seen = [loaded.model(view).logits.softmax(-1) for view in (pixel_values, pixel_values.flip(-1))]
    probabilities, _ = classify(loaded.model, loaded.processor, scenes, views="flip")
    torch.testing.assert_close(torch.tensor(probabilities[2]), torch.stack(seen).mean(0)[0])
    assert hfmm.evaluate(run.output_dir, limit=2, generation={"views": "flip"})[-1]["how"].endswith("views=flip)")


def test_views_that_there_are_not_are_refused(run, scenes):
    with pytest.raises(UsageError, match="unknown views 'flop': did you mean 'flip'"):
        hfmm.evaluate(run.output_dir, limit=2, generation={"views": "flop"})


def test_views_are_of_classifiers(tmp_path):
    run = hfmm.train(
        "unet", output_dir=tmp_path / "run", max_steps=1, batch_size=2, device="cpu", quiet=True,
        overrides={"data.workers": 0, "evaluation.size": 2},
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"the task of .* is image-segmentation"):
        hfmm.evaluate(run.output_dir, limit=2, generation={"views": "flip"})


def test_data_of_other_classes_are_refused(run):
    loaded = run.load()
    with pytest.raises(DataError, match="the model's 64 classes are not the 10 of the data"):
        evaluation.score_model(TASK, loaded.model, loaded.processor, hfmm.load_data("digits", split="test"), Asked())


def test_the_explanation_has_a_bar_a_class(run, scenes):
    explanation = hfmm.explain(run.output_dir, image=scenes[0]["image"])
    data = explanation.to_dict()
    assert len(data["labels"]) == len(data["probabilities"]) == 5
    assert data["title"] == data["labels"][0]
    assert data["probabilities"] == sorted(data["probabilities"], reverse=True)


def captioner(run, folder, **more):
    settings = {"data.workers": 0, "evaluation.size": 2, **more}
    return hfmm.train(
        "show_attend_tell",
        output_dir=folder,
        max_steps=1,
        batch_size=2,
        device="cpu",
        quiet=True,
        init_from=str(run.output_dir),
        overrides=settings,
    )


def test_a_captioner_starts_from_a_classifiers_backbone(run, tmp_path):
    frozen = {"players.model.freeze": [r"model\.encoder\..*"]}
    trained = captioner(run, tmp_path / "sat", **frozen).load().model.model.encoder.backbone.state_dict()
    expected = run.load().model.backbone.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in trained.items())


def test_a_run_that_shares_no_part_is_refused(run, tmp_path):
    with pytest.raises(UsageError, match="shares no part of the same sizes with ShowAttendTellFor"):
        captioner(run, tmp_path / "sat", **{"model.backbone_config.hidden_sizes": [8, 16, 96]})


def test_classifiers_of_the_catalogue_learn_a_batch():
    for name in ("small_cnn", "vgg"):
        with seeded():
            model = hfmm.create_model(name, id2label={0: "a", 1: "b"}, label2id={"a": 0, "b": 1})
        model.eval()
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)
        pixels, labels = (
            torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)),
            torch.tensor([0, 1, 0, 1]),
        )
        for _ in range(30):
            loss = model(pixel_values=pixels, labels=labels).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert loss < 0.1
