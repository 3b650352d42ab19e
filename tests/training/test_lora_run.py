"""Runs with adapters: they continue exactly, load in three ways to the same answer, and are published as one model."""

import json

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForImageClassification

import hfmm
from hfmm.cli import main
from hfmm.errors import UsageError
from hfmm.training.state import RunDirectory

NAME = "lenet5"
SMALL = {"evaluation.size": 4, "data.workers": 0, "logging.every": 1, "lora.rank": 2, "lora.dropout": 0.2}
ADAPTERS = "adapter_model.safetensors"


def train(folder, steps=4, overrides=None, **flags):
    given = {"batch_size": 4, "save_every": 2, "device": "cpu", "quiet": True, **flags}
    plain = {key: value for key, value in SMALL.items() if "lora_on" in given or not key.startswith("lora.")}
    return hfmm.train(NAME, output_dir=folder, max_steps=steps, overrides={**plain, **(overrides or {})}, **given)


def adapt(folder, base, **overrides):
    given = {"lora.also_train": ["dense2"], **overrides}
    return train(folder, init_from=str(base), lora_on=["dense1"], overrides=given)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return train(tmp_path_factory.mktemp("runs") / "base").output_dir


@pytest.fixture(scope="module")
def adapted(base, tmp_path_factory):
    return adapt(tmp_path_factory.mktemp("runs") / "adapted", base).output_dir


def test_every_checkpoint_holds_adapters_alone(adapted):
    for folder in (adapted, *adapted.glob("checkpoints/step-*")):
        names = {name.removeprefix("base_model.model.") for name in load_file(folder / ADAPTERS)}
        assert {name.partition(".")[0] for name in names} == {"dense1", "dense2"}
        assert not (folder / "model.safetensors").exists()
        assert json.loads((folder / "adapter_config.json").read_text())["target_modules"] == "dense1"


@torch.no_grad()
def test_three_ways_of_loading_give_the_same_answer(base, adapted, tmp_path):
    pixels = torch.randn(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    loaded = hfmm.loading.load(adapted)
    pixels = pixels.expand(-1, loaded.model.config.num_channels, -1, -1)
    expected = loaded.model(pixels).logits
    before = hfmm.loading.load(base).model
    assert type(loaded.model) is type(before)
    assert not torch.equal(before(pixels).logits, expected)
    plain = PeftModel.from_pretrained(AutoModelForImageClassification.from_pretrained(base), adapted).eval()
    assert torch.equal(plain(pixels).logits, expected)
    hfmm.publish(adapted, "me/merged", local_dir=tmp_path / "merged", merge=True)
    assert not list((tmp_path / "merged").glob("adapter*"))
    merged = AutoModelForImageClassification.from_pretrained(tmp_path / "merged").eval()
    torch.testing.assert_close(merged(pixels).logits, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("overrides", [{}, {"players.model.ema": 0.9}])
def test_continuing_equals_never_stopping(base, tmp_path, monkeypatch, overrides):
    whole = adapt(tmp_path / "whole", base, **overrides).output_dir
    save = RunDirectory.save

    def save_then_die(self, built, progress):
        save(self, built, progress)
        if progress.step == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(RunDirectory, "save", save_then_die)
    with pytest.raises(KeyboardInterrupt):
        adapt(tmp_path / "stopped", base, **overrides)
    monkeypatch.undo()
    stopped = adapt(tmp_path / "stopped", base, **overrides).output_dir
    assert (stopped / ADAPTERS).read_bytes() == (whole / ADAPTERS).read_bytes()


def test_the_command_line_shows_what_would_be_trained(base, capsys):
    words = ["--dry-run", "--device", "cpu", "--batch-size", "2", "--init-from", str(base), "data.workers=0"]
    assert main(["train", NAME, "--lora-on", "dense1", *words]) == 0
    rows = {line.split()[0]: line.split()[2] for line in capsys.readouterr().out.splitlines() if " trained " in line}
    assert {name for name, count in rows.items() if count != "0"} == {"dense1", "all"}


def test_a_pattern_that_hits_nothing_is_told_before_the_first_step(base, tmp_path):
    with pytest.raises(UsageError, match=r"'dens1' matches no layer that adapters fit; parts: .*dense1"):
        train(tmp_path / "run", init_from=str(base), lora_on=["dens1"])
