"""Runs of latent diffusion: one stage after the other, drawings of texts, and adapters over what was trained."""

import json
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

import hfmm
from hfmm.errors import UsageError
from hfmm.evaluation.prediction import Wanted, predict
from hfmm.hub.publish import publish
from hfmm.loading import load

TEXTS = ["a small red star", "a blue ring"]
SMALL = {
    "model.vae": {"block_out_channels": [8, 8, 16], "norm_num_groups": 4},
    "model.unet": {"block_out_channels": [8, 16], "norm_num_groups": 4, "attention_head_dim": 4},
    "evaluation.size": 4,
    "evaluation.generation": {"num_inference_steps": 2},
    "data.workers": 0,
}


def train(folder, **settings):
    overrides = {**SMALL, **settings.pop("overrides", {})}
    given = {"max_steps": 2, "batch_size": 4, "device": "cpu", "quiet": True, "overrides": overrides}
    return hfmm.train("latent_diffusion", output_dir=folder, **given, **settings)


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """The run of the autoencoder, and that of the diffusion which started from it."""
    folder = tmp_path_factory.mktemp("runs")
    first = train(folder / "first", recipe="autoencoder").output_dir
    return first, train(folder / "second", init_from=str(first)).output_dir


@pytest.fixture(scope="module")
def finished(stages):
    return stages[1]


def test_the_second_stage_keeps_the_autoencoder_and_measures_its_scale(stages):
    first, second = (load(run).model for run in stages)
    for name, value in first.vae.state_dict().items():
        assert torch.equal(value, second.vae.state_dict()[name])
    assert not torch.equal(first.unet.conv_in.weight, second.unet.conv_in.weight)
    assert first.scale == 1
    assert second.scale != 1
    assert json.loads((stages[0] / "results.json").read_text())[0]["metrics"].keys() == {"psnr"}


def test_one_command_trains_the_stages_one_after_the_other(tmp_path, monkeypatch):
    from hfmm.training import recipe

    short = tmp_path / "short.yaml"
    text = recipe.shipped("latent_diffusion")["autoencoder"].read_text()
    short.write_text(re.sub(r"^max_steps: \d+$", "max_steps: 1", text, flags=re.MULTILINE))
    assert "max_steps: 1\n" in short.read_text()
    run = train(tmp_path / "run", overrides={"first": str(short)}).output_dir
    begun, done = load(run / "first").model, load(run).model
    assert torch.equal(begun.vae.encoder.conv_in.weight, done.vae.encoder.conv_in.weight)
    assert train(run, overrides={"first": str(short)}).output_dir == run


def test_texts_are_drawn_and_explained(finished, tmp_path):
    rows = predict(str(finished), Wanted(texts=TEXTS, count=2, output=tmp_path / "drawn"))
    assert [row["text"] for row in rows] == [TEXTS[0], TEXTS[0], TEXTS[1], TEXTS[1]]
    assert Image.open(rows[3]["image"]).size == (32, 32)
    with pytest.raises(UsageError, match="give some with --text"):
        predict(str(finished), Wanted(output=tmp_path / "drawn"))
    picture = hfmm.load_data("scenes", split="test")[0]["image"]
    explanation = hfmm.explain(finished, picture, texts=TEXTS)
    assert len(explanation.frames) == 51
    assert len(explanation.data["error"]) == len(explanation.data["levels"])


def test_drawings_are_scored_by_what_a_classifier_sees(finished, tmp_path):
    hfmm.create_model("small_cnn", id2label={0: "red star", 1: "x"}, label2id={"red star": 0, "x": 1}).save_pretrained(
        tmp_path
    )
    hfmm.create_processor("small_cnn").save_pretrained(tmp_path)
    given = {"features": str(tmp_path), "num_inference_steps": 2}
    scores = hfmm.evaluate(finished, limit=4, generation=given)[-1]["metrics"]
    assert scores.keys() == {"psnr", "named", "named_real", "frechet_small_cnn"}
    assert 0 <= scores["named"] <= 1


def test_published_the_pipeline_draws_texts_without_code(finished, tmp_path):
    from diffusers import DiffusionPipeline, StableDiffusionPipeline

    folder = Path(publish(finished, "me/words", local_dir=tmp_path / "out"))
    assert list(folder.rglob("*.py")) == []
    assert "_name_or_path" not in (folder / "model_index.json").read_text()
    pipeline = DiffusionPipeline.from_pretrained(folder)
    assert type(pipeline) is StableDiffusionPipeline
    pipeline.set_progress_bar_config(disable=True)
    given = {"num_inference_steps": 2, "generator": torch.Generator().manual_seed(0), "guidance_scale": 2.0}
    images = pipeline(TEXTS, output_type="pt", **given).images
    model = load(finished).model
    found = model.generate_images(
        2, torch.Generator().manual_seed(0), prompts=TEXTS, num_inference_steps=2, guidance_scale=2.0
    )
    torch.testing.assert_close(found, images, rtol=1e-4, atol=1e-4)


def test_adapters_are_trained_loaded_and_merged(finished, tmp_path):
    run = train(tmp_path / "run", recipe="lora", init_from=str(finished)).output_dir
    assert not list(run.glob("unet"))
    given = {"prompts": TEXTS, "num_inference_steps": 2}
    adapted = load(run).model.generate_images(2, torch.Generator().manual_seed(0), **given)
    folder = Path(publish(run, "me/adapted", local_dir=tmp_path / "out", merge=True))
    merged = load(folder).model.generate_images(2, torch.Generator().manual_seed(0), **given)
    torch.testing.assert_close(merged, adapted, rtol=1e-4, atol=1e-4)
    before = load(finished).model
    assert load(run).model.scale == before.scale
