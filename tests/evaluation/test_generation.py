"""Scoring generators: each picture once, binary pixels and noise alike at every call; and what `predict` writes."""

import pytest
import torch
from PIL import Image

import hfmm
from hfmm import evaluation
from hfmm.errors import UsageError
from hfmm.evaluation import generation
from hfmm.evaluation.base import Asked
from hfmm.evaluation.prediction import predict
from hfmm.explanation.drawing import pictures_of
from tests.testing import seeded


@pytest.fixture(scope="module")
def generator():
    with seeded():
        return hfmm.create_model("vae").eval(), hfmm.create_processor("vae")


@pytest.fixture(scope="module")
def digits():
    return hfmm.load_data("digits", split="test").select(range(7))


def test_every_picture_is_scored_once_and_alike(generator, digits):
    model, processor = generator
    found, dimensions = generation.log_likelihoods(model, processor, digits, batch_size=3)
    assert (len(found), dimensions) == (7, 64)
    assert generation.log_likelihoods(model, processor, digits, batch_size=3)[0] == found
    pictures = [digits[row]["image"] for row in range(3)]
    pixel_values = processor(pictures, seeds=range(3), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        expected = model.log_likelihood(pixel_values, generator=torch.Generator().manual_seed(0))
    assert found[:3] == pytest.approx(expected.tolist(), rel=1e-5)


def test_scores_are_means_over_pictures(generator, digits):
    outcome = evaluation.score_model("unconditional-image-generation", *generator, digits, Asked())
    values, dimensions = generation.log_likelihoods(*generator, digits)
    assert outcome.scores["nats"] == pytest.approx(-sum(values) / 7)
    assert outcome.scores["bits_per_dim"] == pytest.approx(outcome.scores["nats"] / dimensions / 0.693147, rel=1e-5)
    assert len(outcome.examples) == 7
    assert [type(picture) for picture in outcome.predictions] == [Image.Image] * generation.SHOWN
    with pytest.raises(UsageError, match="unknown metric of a generator 'cider'"):
        evaluation.score_model("unconditional-image-generation", *generator, digits, Asked(["cider"]))


def test_early_stopping_takes_the_lowest_of_what_should_be_low():
    assert evaluation.chosen({"nats": 3.0}, "nats") == -3.0
    assert evaluation.chosen({"cider": 3.0}, "cider") == 3.0


def test_tensors_as_pictures():
    gray, color = pictures_of(torch.full((1, 1, 2, 3), 0.2)), pictures_of(torch.ones(1, 3, 2, 3))
    assert (gray[0].mode, gray[0].size, gray[0].getpixel((0, 0))) == ("L", (3, 2), 51)
    assert (color[0].mode, color[0].getpixel((0, 0))) == ("RGB", (255, 255, 255))


def test_predict_writes_pictures_of_a_seed(generator, tmp_path):
    model, processor = generator
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    rows = predict(str(tmp_path / "model"), [], num_return_sequences=2, output=tmp_path / "drawn", seed=5)
    expected = generation.draw(model, 2, 5)
    assert [row["image"] for row in rows] == [str(tmp_path / "drawn" / f"000{number}.png") for number in range(2)]
    assert [Image.open(row["image"]).tobytes() for row in rows] == [picture.tobytes() for picture in expected]
    with pytest.raises(UsageError, match="name the folder to write them to with --output"):
        predict(str(tmp_path / "model"), [])
