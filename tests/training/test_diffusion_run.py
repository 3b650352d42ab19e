"""A run of a diffusion model: its averages, its checkpoints, how it goes on, and what is published of it."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import hfmm
from hfmm.errors import DataError, UsageError
from hfmm.evaluation.prediction import Wanted, predict
from hfmm.hub.publish import publish
from hfmm.loading import load
from hfmm.training.journal import read_metrics
from hfmm.training.loop import Loop

SMALL = {
    "model.unet": {"block_out_channels": [8, 16], "norm_num_groups": 4},
    "evaluation.size": 4,
    "data.workers": 0,
    "logging.every": 1,
}
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


def train(folder, steps, **settings):
    given = {"batch_size": 8, "save_every": 2, "device": "cpu", "quiet": True, "overrides": SMALL, **settings}
    return hfmm.train("ddpm", output_dir=folder, max_steps=steps, **given)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "diffusion"
    train(folder, 4)
    return folder


def test_run_and_each_checkpoint_are_pipelines(finished):
    from diffusers import DDPMPipeline, DiffusionPipeline

    folders = [finished, *sorted((finished / "checkpoints").glob("step-*"))]
    assert len(folders) == 2
    for folder in folders:
        assert type(DiffusionPipeline.from_pretrained(folder)) is DDPMPipeline
        assert load(folder).row.name == "ddpm"
    assert [row["step"] for row in read_metrics(finished) if "loss" in row] == [1, 2, 3, 4]
    (result,) = json.loads((finished / "results.json").read_text())
    assert result["metrics"].keys() >= {"nats", "bits_per_dim"}
    (sheet,) = (finished / "samples").iterdir()
    assert Image.open(sheet).getextrema() != ((255, 255),) * 3


def test_what_is_saved_is_the_average_and_not_what_is_trained(finished):
    averages = load_file(finished / WEIGHTS)
    state = load_file(finished / "checkpoints" / "step-00000004" / "training_state.safetensors")
    for name, value in averages.items():
        assert torch.equal(value, state[f"player.model.average.unet.{name}"])
        assert not torch.equal(value, state[f"trained.unet.{name}"])


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(finished, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    whole = load_file(finished / WEIGHTS)

    class Stop(Exception):
        pass

    step = Loop.step

    def stopping(self, number, batches):
        if number == 3:
            raise Stop
        return step(self, number, batches)

    monkeypatch.setattr(Loop, "step", stopping)
    with pytest.raises(Stop):
        train(folder, 4)
    monkeypatch.setattr(Loop, "step", step)
    assert not (folder / WEIGHTS).exists()
    train(folder, 4)
    found = load_file(folder / WEIGHTS)
    assert [name for name in whole if not torch.equal(found[name], whole[name])] == []


def test_classes_and_guidance_are_learned_and_drawn(tmp_path):
    overrides = {**SMALL, "model.unet": {**SMALL["model.unet"], "num_class_embeds": 11}}
    train(tmp_path, 2, overrides={**overrides, "objective.condition_dropout": 0.5})
    model = load(tmp_path).model
    options = {"class_labels": torch.tensor([3, 7]), "guidance_scale": 2.0, "num_inference_steps": 2}
    assert model.generate_images(2, torch.Generator().manual_seed(0), **options).shape == (2, 1, 8, 8)


def test_predict_and_explain_draw(finished, tmp_path):
    (row,) = predict(str(finished), Wanted(output=tmp_path / "drawn"))
    assert Image.open(row["image"]).size == (8, 8)
    explanation = hfmm.explain(finished, hfmm.load_data("digits", split="test")[0]["image"])
    ratios = explanation.data["signal_to_noise"]
    assert ratios == sorted(ratios, reverse=True)
    assert len(explanation.data["error"]) == len(explanation.data["levels"])
    assert len(explanation.frames) == 51
    assert explanation.title.startswith("from t = 259 on there is more noise than picture")


def test_published_it_needs_no_code(finished, tmp_path):
    from diffusers import DDPMPipeline, DiffusionPipeline

    folder = Path(publish(finished, "me/noise", local_dir=tmp_path / "out"))
    assert list(folder.rglob("*.py")) == []
    pipeline = DiffusionPipeline.from_pretrained(folder)
    assert type(pipeline) is DDPMPipeline
    expected = load_file(finished / WEIGHTS)
    assert all(torch.equal(value, expected[name]) for name, value in pipeline.unet.state_dict().items())
    card = (folder / "README.md").read_text()
    assert 'DiffusionPipeline.from_pretrained("me/noise")' in card
    assert "trust_remote_code" not in card
    assert "runs" not in (folder / "unet" / "config.json").read_text()
    assert load(folder).row.name == "ddpm"


def test_a_pipeline_of_another_kind_is_told(finished, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(UsageError, match="holds a 'FluxPipeline', which is not in the catalogue"):
        load(tmp_path)
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(DataError, match="a file is damaged"):
        load(tmp_path)
