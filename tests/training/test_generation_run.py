"""A run of a generator: its directory and each checkpoint load as a model and as a pipeline, and pictures are drawn."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

import hfmm
from hfmm.hub.publish import publish
from hfmm.training.journal import read_metrics

SMALL = {"evaluation.size": 4, "evaluation.every": 0, "data.workers": 0, "logging.every": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "generator"
    hfmm.train(
        "vae", output_dir=folder, max_steps=4, batch_size=8, save_every=2, device="cpu", quiet=True, overrides=SMALL
    )
    return folder


def test_its_journal_holds_the_parts_of_the_bound(finished):
    row = read_metrics(finished)[0]
    assert row["loss"] == pytest.approx(row["reconstruction"] + row["kl"])
    (result,) = json.loads((finished / "results.json").read_text())
    assert result["metrics"].keys() == {"nats", "bits_per_dim"}


def test_run_and_each_checkpoint_load_as_a_model_and_as_a_pipeline(finished):
    from diffusers import DiffusionPipeline
    from transformers import AutoModel

    folders = [finished, *sorted((finished / "checkpoints").glob("step-*"))]
    assert len(folders) == 3
    for folder in folders:
        model = AutoModel.from_pretrained(folder).eval()
        expected = model.generate_images(2, generator=torch.Generator().manual_seed(0))
        pipeline = DiffusionPipeline.from_pretrained(folder)
        found = pipeline(2, generator=torch.Generator().manual_seed(0), output_type="pt").images
        assert torch.equal(found, expected)


def test_pictures_are_drawn_as_it_learns(finished):
    (sheet,) = (finished / "samples").iterdir()
    assert Image.open(sheet).getextrema() != ((255, 255),) * 3


def test_published_it_says_how_to_draw(finished, tmp_path):
    folder = Path(publish(finished, "me/generator", local_dir=tmp_path / "out"))
    assert json.loads((folder / "model_index.json").read_text())["_class_name"] == ["pipeline_vae", "VaePipeline"]
    card = (folder / "README.md").read_text()
    assert 'DiffusionPipeline.from_pretrained("me/generator", trust_remote_code=True)' in card
