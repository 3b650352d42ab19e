"""Models that compare pictures, from training to scores, neighbors and explanation."""

import itertools

import pytest
import torch

import hfmm
from hfmm import evaluation
from hfmm.errors import DataError, UsageError
from hfmm.evaluation.base import Asked
from hfmm.evaluation.prediction import Wanted, predict
from hfmm.evaluation.verification import embed_examples
from hfmm.explanation.verification import explain_face, roc_picture
from hfmm.reproduction.pictures import sections
from hfmm.reproduction.verification import told_apart
from hfmm.training.flags import recipe_of

TASK = "face-verification"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return hfmm.train(
        "facenet",
        output_dir=tmp_path_factory.mktemp("runs") / "faces",
        max_steps=3,
        batch_size=4,
        device="cpu",
        quiet=True,
        overrides={"evaluation.size": 20, "data.per_label": 2, "model.backbone_config.hidden_sizes": [8, 8]},
    )


@pytest.fixture(scope="module")
def digits():
    return hfmm.load_data("digits", split="test").select(range(30))


def test_a_run_logs_the_loss_and_what_there_is_to_see_of_it(run):
    assert set(run.metrics) == {"accuracy", "accuracy_error", "eer", "eer_threshold", "auc", "val"}
    logged = (run.output_dir / "metrics.jsonl").read_text()
    assert all(f'"{name}"' in logged for name in ("loss", "active", "positive", "negative"))
    assert evaluation.chosen(run.metrics, "eer") == -run.metrics["eer"]


def test_the_score_is_of_every_two_pictures(run, digits):
    loaded = run.load()
    outcome = evaluation.score_model(TASK, loaded.model, loaded.processor, digits, Asked())
    embeds, read = embed_examples(loaded.model, loaded.processor, digits)
    assert [example["id"] for example in read] == [digits[row]["id"] for row in range(30)]
    pairs = list(itertools.combinations(range(30), 2))
    expected = hfmm.metrics.load("verification").compute(
        predictions=[float(embeds[a] @ embeds[b]) for a, b in pairs],
        references=[int(read[a]["label"] == read[b]["label"]) for a, b in pairs],
    )
    assert outcome.scores == pytest.approx(expected)
    similarity = embeds @ embeds[4]
    similarity[4] = -2
    name = digits.label_names[read[int(similarity.argmax())]["label"]]
    assert outcome.predictions[4] == f"like {name}, {similarity.max():.2f}"


def test_scores_that_cannot_be_had_are_refused(run, digits, monkeypatch):
    loaded = run.load()
    with pytest.raises(UsageError, match="unknown metric of a verifier 'cider'"):
        evaluation.score_model(TASK, loaded.model, loaded.processor, digits, Asked(["cider"]))
    with pytest.raises(DataError, match="at least two pairs of one person"):
        evaluation.score_model(TASK, loaded.model, loaded.processor, digits.select([0, 1]), Asked())
    monkeypatch.setattr("hfmm.evaluation.verification.MOST", 20)
    with pytest.raises(UsageError, match="30 pictures make too many pairs: score at most 20 with --limit 20"):
        evaluation.score_model(TASK, loaded.model, loaded.processor, digits, Asked())


def test_predictions_are_the_other_pictures_most_alike_first(run, digits, tmp_path):
    for row in range(4):
        digits[row]["image"].save(tmp_path / f"{row}.png")
    rows = predict(run.output_dir, Wanted([tmp_path], count=2))
    assert [row["image"] for row in rows] == [str(tmp_path / f"{row}.png") for row in range(4)]
    loaded = run.load()
    embeds, _ = embed_examples(loaded.model, loaded.processor, digits.select(range(4)))
    expected = sorted(((float(embeds[0] @ embeds[other]), other) for other in (1, 2, 3)), reverse=True)[:2]
    assert rows[0]["predictions"] == [str(tmp_path / f"{other}.png") for _, other in expected]
    assert rows[0]["scores"] == pytest.approx([score for score, _ in expected], abs=1e-5)
    with pytest.raises(UsageError, match="facenet compares pictures: name two or more"):
        predict(run.output_dir, Wanted([tmp_path / "0.png"]))


def test_the_explanation_shows_the_nearest_of_a_gallery(run, digits):
    loaded = run.load()
    gallery = [(digits[row]["image"], str(row)) for row in range(1, 8)] + [(digits[0]["image"], "itself")]
    found = explain_face(loaded.model.eval(), loaded.processor, digits[0]["image"], gallery).to_dict()
    assert found["names"][0] == "itself"
    assert found["similarities"] == sorted(found["similarities"], reverse=True)
    assert len(found["names"]) == 5
    assert found["title"] == "itself, 1.00"


def test_without_a_gallery_it_shows_what_hiding_a_place_moves(run, digits):
    explanation = hfmm.explain(run.output_dir, image=digits[0]["image"])
    moved = torch.tensor(explanation.to_dict()["moved"])
    assert moved.shape == (8, 8)
    assert (moved >= 0).all()
    assert moved.max() > 0


def test_the_page_begins_with_how_well_persons_are_told_apart(run, digits):
    loaded = run.load()
    outcome = evaluation.score_model(TASK, loaded.model, loaded.processor, digits, Asked())
    found = told_apart(loaded.model, loaded.processor, digits).to_dict()
    assert found["eer"] == pytest.approx(outcome.scores["eer"], abs=1e-9)
    assert 0 < found["pixels"] < 0.5
    (heading, _), (why, _) = sections(run.output_dir, recipe_of("facenet"), quiet=True)
    assert heading == "How well they are told apart"
    assert why == "Test pictures, and why"


def test_a_curve_is_drawn():
    from hfmm.metrics.verification import roc

    similarities = torch.linspace(1, 0, 50).double().numpy()
    curve = roc(similarities, similarities > 0.5)
    picture = roc_picture({"a model": (curve.false_accepts, curve.true_accepts)})
    assert picture.getcolors(1 << 20)
