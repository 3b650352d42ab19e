"""Runs: a directory that loads, continues exactly, says when it is finished, and loses nothing to a mistake."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import hfmm
from hfmm.errors import DataError, DivergedError, UsageError
from hfmm.training.journal import read_metrics
from tests.training.launching import launch

ROOT = Path(__file__).resolve().parents[2]
NAME = "show_attend_tell"
SMALL = {"evaluation.size": 4, "data.workers": 0, "logging.every": 1, "evaluation.generation": {"max_new_tokens": 8}}
WORDS = ["--batch-size", "4", "--quiet", *(f"{key}={json.dumps(value)}" for key, value in SMALL.items())]


def train(folder, steps=6, overrides=None, **flags):
    flags = {"batch_size": 4, "save_every": 2, "device": "cpu", "quiet": True, **flags}
    return hfmm.train(NAME, output_dir=folder, max_steps=steps, overrides={**SMALL, **(overrides or {})}, **flags)


def fingerprint(folder):
    return hashlib.sha256((Path(folder) / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train(folder)
    return folder


def test_run_directory_holds_what_it_should(finished):
    names = {path.name for path in finished.iterdir()}
    assert names >= {
        "model.safetensors", "config.json", "generation_config.json", "processor_config.json", "tokenizer.json",
        "recipe.yaml", "environment.json", "metrics.jsonl", "results.json", "loss.png", "samples", "README.md",
        "checkpoints",
    }  # fmt: skip
    rows = read_metrics(finished)
    assert {"step", "epoch", "loss", "learning_rate", "examples_per_second", "negative_log_likelihood"} <= rows[
        0
    ].keys()
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3, 4, 5, 6]
    (result,) = json.loads((finished / "results.json").read_text())
    assert result["split"] == "validation"
    assert result["examples"] == 4
    assert {"deck", "paper", "how", "architecture", "preset", "seed", "steps", "hardware", "date"} <= result.keys()
    assert not list(finished.rglob("*.pkl")) + list(finished.rglob("*.bin")) + list(finished.rglob("*.pt"))


def test_run_and_each_checkpoint_load_with_the_auto_classes(finished):
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folders = [finished, *sorted((finished / "checkpoints").glob("step-*"))]
    assert len(folders) == 3
    picture = hfmm.load_data("scenes", split="test")[0]["image"]
    for folder in folders:
        model = AutoModelForImageTextToText.from_pretrained(folder).eval()
        ids = model.generate(**AutoProcessor.from_pretrained(folder)(images=picture), max_new_tokens=4)
        assert ids.shape[1] <= 5


def test_a_finished_run_says_so(finished, capsys):
    before = fingerprint(finished)
    run = train(finished, quiet=False)
    assert "is finished (6 steps" in capsys.readouterr().err
    assert run.metrics
    assert fingerprint(finished) == before


def test_a_changed_recipe_is_refused_and_nothing_is_lost(finished):
    before = fingerprint(finished)
    with pytest.raises(UsageError, match=r"learning_rate: 0.002 -> 0.5.*--overwrite"):
        train(finished, learning_rate=0.5)
    assert fingerprint(finished) == before


def test_overwrite_starts_again(tmp_path):
    train(tmp_path / "run", steps=2)
    first = fingerprint(tmp_path / "run")
    train(tmp_path / "run", steps=2, seed=1, overwrite=True)
    assert fingerprint(tmp_path / "run") != first


def test_a_folder_that_is_no_run_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="is not empty and holds no run"):
            train(tmp_path, overwrite=overwrite)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_start_that_failed_is_no_run(tmp_path):
    with pytest.raises(DataError, match="no data set"):
        train(tmp_path / "run", data="no/such/folder")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["recipe.yaml"]
    train(tmp_path / "run", steps=1)


@pytest.mark.parametrize("overrides", [{}, {"players.model.ema": 0.9}, {"accumulation": 2, "data.workers": 1}])
def test_continuing_equals_never_stopping(tmp_path, monkeypatch, overrides):
    train(tmp_path / "whole", overrides=overrides)
    whole = fingerprint(tmp_path / "whole")

    from hfmm.training.state import RunDirectory

    save = RunDirectory.save

    def save_then_die(self, built, progress):
        save(self, built, progress)
        if progress.step == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(RunDirectory, "save", save_then_die)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "stopped", overrides=overrides)
    monkeypatch.undo()
    train(tmp_path / "stopped", overrides=overrides)
    assert fingerprint(tmp_path / "stopped") == whole
    steps = [row["step"] for row in read_metrics(tmp_path / "stopped") if "loss" in row]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_hard_attention_continues_with_its_baseline(tmp_path):
    train(tmp_path / "whole", recipe="hard")
    train(tmp_path / "stopped", recipe="hard")
    state = json.loads((tmp_path / "whole/checkpoints/step-00000006/training_state.json").read_text())
    assert state["objective"]["baseline"] < 0
    for part in ("finished.json", "step-00000006"):
        target = tmp_path / "stopped/checkpoints" / part
        target.unlink() if target.is_file() else target.rename(tmp_path / "gone")
    (tmp_path / "stopped/model.safetensors").unlink()
    train(tmp_path / "stopped", recipe="hard")  # from step 4 on
    assert fingerprint(tmp_path / "stopped") == fingerprint(tmp_path / "whole")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_at_any_moment_costs_nothing(tmp_path, finished, number):
    command = [sys.executable, "-m", "hfmm", "train", NAME, "--max-steps", "60", "--save-every", "2", *WORDS]
    command += ["--output-dir", str(tmp_path / "run")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    metrics = tmp_path / "run/metrics.jsonl"
    while process.poll() is None and (not metrics.exists() or len(metrics.read_text().splitlines()) < 5):
        time.sleep(0.02)
    process.send_signal(number)
    _, talk = process.communicate()
    if number == signal.SIGTERM:
        assert process.returncode == 130
        assert b"the same command continues" in talk
        assert b"Traceback" not in talk
    else:
        assert process.returncode == -signal.SIGKILL
    done = subprocess.run(command, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    train(tmp_path / "whole", steps=60)
    assert fingerprint(tmp_path / "run") == fingerprint(tmp_path / "whole")


def test_divergence_keeps_the_last_checkpoint(tmp_path):
    with pytest.raises(DivergedError, match=r"step \d+ is nan, examples scenes-train-"):
        train(
            tmp_path,
            learning_rate=1e30,
            steps=20,
            overrides={"players.model.clip": None, "players.model.warmup": 0},
            save_every=1,
        )
    assert not (tmp_path / "model.safetensors").exists()
    assert list((tmp_path / "checkpoints").glob("step-*"))


def test_early_stopping_keeps_the_best(tmp_path):
    overrides = {"evaluation.every": 1, "evaluation.patience": 2, "evaluation.early_stopping": "bleu_1"}
    train(tmp_path, steps=30, overrides=overrides, learning_rate=1e-7)
    note = json.loads((tmp_path / "checkpoints/finished.json").read_text())
    assert note["step"] < 30
    best = tmp_path / f"checkpoints/step-{note['best']['step']:08d}"
    assert fingerprint(tmp_path) == fingerprint(best)


def test_starting_from_another_run(tmp_path, finished):
    run = train(tmp_path / "next", steps=1, init_from=str(finished), learning_rate=0.0)
    start = hfmm.train(
        NAME, output_dir=finished, max_steps=6, batch_size=4, save_every=2, device="cpu", quiet=True, overrides=SMALL
    )
    old, new = start.load().model.state_dict(), run.load().model.state_dict()
    assert all(torch.equal(value, new[name]) for name, value in old.items())
    assert run.load().processor.tokenizer.get_vocab() == start.load().processor.tokenizer.get_vocab()


def test_frozen_parts_stay(tmp_path, finished):
    run = train(tmp_path, steps=2, overrides={"players.model.freeze": [r"model\.encoder"]}, init_from=str(finished))
    old, new = hfmm.loading.load(finished).model.state_dict(), run.load().model.state_dict()
    same = {name: torch.equal(value, new[name]) for name, value in old.items()}
    assert all(
        value == name.startswith("model.encoder")
        for name, value in same.items()
        if "padding" not in name and "energy_bias" not in name
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"init_from": "nowhere"}, "nowhere: no such run directory"),
        ({"overrides": {"players.model.freeze": ["nothing"]}}, "'nothing' matches no parameter"),
        ({"overrides": {"players": {"generator": {"precision": "bf16"}}}}, "has no part of that name"),
        ({"overrides": {"model": {"hiden_size": 3}}}, "did you mean 'hidden_size'?"),
        ({"overrides": {"objective.name": "caption"}}, "did you mean 'captioning'?"),
        ({"overrides": {"lora.targets": ["lm_head"]}}, "--init-from RUN"),
        ({"preset": "tinny"}, "did you mean 'tiny'?"),
    ],
)
def test_mistakes_are_told_before_the_first_step(tmp_path, flags, message):
    overrides = flags.pop("overrides", {})
    with pytest.raises(UsageError) as caught:
        train(tmp_path / "run", overrides=overrides, **flags)
    assert message in str(caught.value)


def test_low_rank_adapters_train_and_load(tmp_path, finished):
    run = train(
        tmp_path, steps=2, init_from=str(finished), overrides={"lora.targets": [r".*lm_head", r".*hidden_output"]}
    )
    assert (tmp_path / "adapter_model.safetensors").exists()
    picture = hfmm.load_data("scenes", split="test")[0]["image"]
    loaded = run.load()
    assert loaded.model.generate(**loaded.processor(images=picture), max_new_tokens=3).shape[0] == 1


def test_trackers_by_name(tmp_path):
    train(tmp_path / "run", steps=1, overrides={"logging.trackers": ["tensorboard"]})
    assert list((tmp_path / "run").rglob("events.out.tfevents.*"))
    with pytest.raises(UsageError, match="did you mean 'tensorboard'"):
        train(tmp_path / "other", overrides={"logging.trackers": ["tensorbord"]})
    with pytest.raises(UsageError, match="pip install clearml"):
        train(tmp_path / "other", overrides={"logging.trackers": ["clearml"]})


def test_dry_run_writes_nothing(tmp_path, monkeypatch):
    from hfmm.training.plan import plan

    monkeypatch.chdir(tmp_path)
    facts = plan(NAME, batch_size=4, device="cpu", overrides=SMALL)
    assert "pixel_values (4, 3, 64, 64)" in facts["first batch"]
    assert not list(tmp_path.iterdir())


def test_real_model_takes_the_same_step_on_two_processes(tmp_path):
    folder = tmp_path / "two"
    words = [NAME, "--device", "cpu", "--max-steps", "3", *WORDS, "--output-dir", folder, "--precision", "fp32"]
    launch("scripts/train.py", *words)
    for name, settings in {
        "one": {"batch_size": 8},
        "accumulated": {"batch_size": 4, "gradient_accumulation": 2},
    }.items():
        train(tmp_path / name, steps=3, precision="fp32", **settings)
        for two, one in zip(read_metrics(folder), read_metrics(tmp_path / name), strict=True):
            if "loss" in one:
                assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
                assert two["gradient_norm"] == pytest.approx(one["gradient_norm"], rel=1e-5)
