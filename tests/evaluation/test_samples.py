"""Scoring samples: what a classifier of our own sees, training pictures nearby, and what a run trains for that."""

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import nn

import hfmm
from hfmm import evaluation, metrics
from hfmm.catalogue import find
from hfmm.errors import UsageError
from hfmm.evaluation import samples
from hfmm.evaluation.base import Asked
from hfmm.loading import Loaded
from hfmm.results import read_results
from hfmm.training.features import train_beside
from hfmm.training.flags import recipe_of
from tests.testing import seeded

TASK = "unconditional-image-generation"
COUNT = {"num_images": 150}


@pytest.fixture(scope="module")
def digits():
    return hfmm.load_data("digits", split="test").select(range(40))


@pytest.fixture(scope="module")
def network(digits):
    with seeded():
        model = hfmm.create_model("lenet5", id2label=dict(enumerate(digits.label_names))).eval()
    return Loaded(model, hfmm.create_processor("lenet5"), find("lenet5"), "somewhere")


class Stub(nn.Module):
    """Draws pictures from a list, in order of the batches' seeds."""

    def __init__(self, images):
        super().__init__()
        self.images = images

    def generate_images(self, num_images, generator):
        first = generator.initial_seed() * samples.BATCH_SIZE
        return self.images[torch.arange(first, first + num_images) % len(self.images)]


def processor():
    return hfmm.create_processor("vae")  # 8 x 8, gray, binary


@pytest.fixture(scope="module")
def real(digits):
    pictures = [example["image"] for example in digits]
    return processor()(pictures, do_binarize=False, return_tensors="pt")["pixel_values"]


def score(images, examples, names=(), **asked):
    return evaluation.score_model(TASK, Stub(images), processor(), examples, Asked(names, COUNT, **asked))


def test_real_pictures_are_nearer_than_noise(digits, real, network):
    same, noise = (score(images, digits, network=network).scores for images in (real, torch.rand_like(real)))
    assert same["frechet_lenet5"] < 0.1 * noise["frechet_lenet5"]
    assert same["lenet5_top_1"] == noise["lenet5_top_1"]


def test_scores_are_those_of_the_metrics(digits, real, network):
    outcome = score(real, digits, ["generation"], network=network)
    pictures = samples.pictures_of(real)
    repeated = [pictures[number % 40] for number in range(150)]
    drawn, truth = samples.look(network, repeated), samples.look(network, pictures)
    given = {"predictions": drawn.features, "references": truth.features, "network": "lenet5"}
    expected = metrics.load("generation").compute(**given, probabilities=drawn.probabilities)
    right = truth.probabilities.argmax(1) == np.array([example["label"] for example in digits])
    assert outcome.scores == pytest.approx(expected | {"lenet5_top_1": right.mean()}, rel=1e-6)
    assert [picture.tobytes() for picture in outcome.predictions] == [p.tobytes() for p in pictures[:12]]


def test_copies_of_training_pictures_are_found(digits):
    training = hfmm.load_data("digits", split="train")
    pictures = [training[row]["image"] for row in range(20)]
    stolen = processor()(pictures, do_binarize=False, return_tensors="pt")["pixel_values"]
    found = score(stolen, digits, ["memorization"], training_pictures=training).scores
    assert found == {"nearest_ratio": 0, "copied": 1}


def test_a_process_draws_its_share_of_the_batches():
    whole = samples.draw_samples(Stub(torch.rand(7, 1, 2, 2)), Asked(generation={"num_images": 250}))
    images = torch.rand(250, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    parts = [
        samples.draw_samples(Stub(images), Asked(generation={"num_images": 250}, processes=(2, i))) for i in (0, 1)
    ]
    assert whole[1] == [100, 100, 50]
    assert [sizes for _, sizes in parts] == [[100, 50], [100]]
    expected = [picture.tobytes() for picture in samples.pictures_of(images)]
    assert [picture.tobytes() for picture in parts[1][0]] == expected[100:200]


def test_what_is_lacking_is_named(digits, real, network):
    with pytest.raises(UsageError, match="name a trained one with --features"):
        score(real, digits)
    with pytest.raises(UsageError, match="the training pictures, which cannot be read"):
        score(real, digits, ["memorization"])
    with pytest.raises(UsageError, match="VaeModel draws without 'steps': leave it out"):
        samples.draw_samples(hfmm.create_model("vae"), Asked(generation={"num_images": 2, "steps": 2}))
    with pytest.raises(UsageError, match="Stub has no likelihood: it is scored by its samples"):
        score(real, digits, ["likelihood"])
    drawer = Loaded(hfmm.create_model("vae"), processor(), find("vae"), "runs/vae")
    with pytest.raises(UsageError, match="runs/vae classifies no pictures"):
        score(real, digits, network=drawer)


SMALL = {"evaluation.size": 4, "data.workers": 0, "evaluation.metrics": ["likelihood", "generation"]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run whose samples are scored by a classifier that it trains first."""
    folder = tmp_path_factory.mktemp("runs") / "generator"
    arguments = {"max_steps": 2, "batch_size": 8, "device": "cpu", "quiet": True}
    hfmm.train("vae", output_dir=folder, overrides=SMALL | {"evaluation.generation": {"num_images": 20}}, **arguments)
    return folder


def test_a_run_trains_the_classifier_that_its_scores_name(finished):
    (row,) = read_results(finished)
    assert {"nats", "frechet_lenet5", "lenet5_top_1"} <= row["metrics"].keys()
    (beside,) = read_results(finished / "features")
    assert beside["architecture"] == "lenet5"
    assert beside["metrics"]["top_1"] > 0.9


def test_evaluate_finds_it_beside_the_model(finished):
    asked = {"limit": 20, "metrics": ["generation", "memorization"], "generation": {"num_images": 20}}
    row = hfmm.evaluate(finished, **asked)[-1]
    assert {"frechet_lenet5", "copied"} <= row["metrics"].keys()
    assert row["how"] == "hfmm evaluate (num_images=20, metrics=generation+memorization)"
    named = hfmm.evaluate(finished, **asked | {"generation": {"num_images": 20, "features": finished / "features"}})[-1]
    assert named["metrics"] == row["metrics"]
    assert named["how"] == "hfmm evaluate (num_images=20, features=features, metrics=generation+memorization)"


def test_evaluate_draws_and_looks_as_the_recipe_of_the_run_says(tmp_path, finished):
    generation = {"num_images": 20}
    planned = SMALL | {"evaluation.features": str(finished / "features"), "evaluation.generation": generation}
    arguments = {"max_steps": 1, "batch_size": 8, "device": "cpu", "quiet": True}
    hfmm.train("vae", output_dir=tmp_path, overrides=planned, **arguments)
    assert not (tmp_path / "features").exists()
    row = hfmm.evaluate(tmp_path, limit=20)[-1]
    assert {"nats", "frechet_lenet5"} <= row["metrics"].keys()
    asked = {"metrics": ["likelihood", "generation"], "generation": generation | {"features": finished / "features"}}
    assert hfmm.evaluate(tmp_path, limit=20, **asked)[-1]["metrics"] == row["metrics"]
    assert "nats" not in hfmm.evaluate(tmp_path, limit=20, metrics=["generation"])[-1]["metrics"]


def test_a_run_tells_other_pictures_from_its_own_kind(finished):
    row = hfmm.evaluate(finished, data="scenes", limit=20, metrics=["out_of_distribution"])[-1]
    assert row["metrics"].keys() == {"surprise_auroc", "atypicality_auroc"}
    assert row["data"] == "scenes"


def test_a_run_without_labels_or_with_a_poor_classifier_is_refused_first(tmp_path, finished):
    arguments = {"max_steps": 2, "device": "cpu", "quiet": True}
    with pytest.raises(UsageError, match="scenes has no labels to learn: name a trained one"):
        hfmm.train("vae", tmp_path / "scenes", data="scenes", overrides=SMALL, **arguments)
    strict = recipe_of("vae", overrides={"evaluation.features_top_1": 1.0})
    with pytest.raises(UsageError, match=r"features reaches top_1 0\.\d+, not 1\.0: name a trained one"):
        train_beside(strict, finished, lambda *args, **named: None, Accelerator(cpu=True))
