"""Several processes: runs of two stages, weights in pieces (FSDP2), what is refused."""

import json
import re
import shutil
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

import hfmm
from hfmm.errors import UsageError
from hfmm.training import objectives, processes
from hfmm.training.flags import recipe_of
from hfmm.training.journal import read_metrics
from hfmm.training.recipe import shipped
from tests.models.generalist import tiny_llava as tiny
from tests.training.launching import launch

NAME = "llava"
IN_PIECES = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",  # as the launcher sets it: transformers then loads on one process alone
}
SETTINGS = {"evaluation.size": 3, "data.workers": 0, "data.options.size": 6, "logging.every": 1, "lora.rank": 2}
FLAGS = {"max_steps": 3, "save_every": 2, "device": "cpu", "precision": "fp32"}


@pytest.fixture(scope="module")
def tower(tmp_path_factory):
    return tiny.save_tower(tmp_path_factory.mktemp("tower"))


def first_stage(folder, batch_size):
    """The path of a recipe of feature alignment for two steps."""
    text = re.sub(r"^max_steps: \d+$", "max_steps: 2", shipped(NAME)["alignment"].read_text(), flags=re.MULTILINE)
    path = folder / f"alignment_{batch_size}.yaml"
    path.write_text(re.sub(r"batch_size: \d+", f"batch_size: {batch_size}, workers: 0", text))
    return str(path)


def on_two(folder, environment, *words, **settings):
    """Train on two processes, with half of the examples each."""
    flags = [word for key, value in FLAGS.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    keys = [f"{key}={json.dumps(value)}" for key, value in {**SETTINGS, **settings}.items()]
    given = [NAME, *words, *flags, *keys, "--batch-size", "2", "--output-dir", folder]
    launch("scripts/train.py", *given, **environment)
    return folder


def on_one(folder, recipe="default", settings=None, **flags):
    overrides = {**SETTINGS, **(settings or {})}
    return hfmm.train(
        NAME, folder, recipe=recipe, batch_size=4, quiet=True, overrides=overrides, **FLAGS, **flags
    ).output_dir


def assert_alike(first, second, weights="model.safetensors"):
    """The same losses, gradients, scores and weights."""
    for one, two in zip(read_metrics(first), read_metrics(second), strict=True):
        assert one.keys() == two.keys()
        for name in one.keys() - {"examples_per_second", "seconds"}:
            assert two[name] == pytest.approx(one[name], rel=1e-4), name
    one, two = (load_file(folder / weights) for folder in (first, second))
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert (two[name] - value).abs().mean() < 1e-5, name  # Adam's first steps are the signs of gradients near zero


@pytest.fixture(scope="module")
def whole(tower, tmp_path_factory):
    """A run of two stages on one process."""
    folder = tmp_path_factory.mktemp("whole")
    return on_one(folder / "run", settings={"first": first_stage(folder, 4)}, vision=tower)


def test_two_stages_on_two_processes_are_those_of_one(whole, tower, tmp_path):
    run = on_two(tmp_path / "run", {}, "--vision", tower, first=first_stage(tmp_path, 2))
    assert_alike(whole / "first", run / "first")
    assert_alike(whole, run)


def test_weights_in_pieces_take_the_steps_of_whole_ones_and_go_on_from_a_checkpoint(whole, tower, tmp_path):
    words, first = ("--vision", tower), first_stage(tmp_path, 2)
    run = on_two(tmp_path / "run", IN_PIECES, *words, first=first)
    assert_alike(whole, run)
    before = load_file(run / "model.safetensors")
    (run / "checkpoints/finished.json").unlink()
    shutil.rmtree(run / "checkpoints/step-00000003")
    on_two(run, IN_PIECES, *words, first=first)
    for name, value in load_file(run / "model.safetensors").items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=1e-6)


def test_adapters_in_pieces_are_adapters(whole, tmp_path):
    settings = {"data.remember": False}
    one = on_one(tmp_path / "one", "lora", settings, init_from=str(whole))
    words = ("--recipe", "lora", "--init-from", str(whole))
    assert_alike(one, on_two(tmp_path / "two", IN_PIECES, *words, **settings), "adapter_model.safetensors")


@pytest.fixture
def asked(monkeypatch):
    """Ask as a launcher does."""
    processes.is_asked.cache_clear()
    yield lambda **given: [monkeypatch.setenv(name, value) for name, value in given.items()]
    processes.is_asked.cache_clear()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({**IN_PIECES, "FSDP_VERSION": "1"}, "--fsdp_version 2"),
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "DeepSpeed takes the steps itself"),
    ],
)
def test_launchers_that_are_refused(asked, tmp_path, given, message):
    asked(**given)
    with pytest.raises(UsageError, match=message):
        hfmm.train("show_and_tell", tmp_path / "run", max_steps=1, device="cpu", quiet=True)


def test_one_process_has_no_pieces(asked, whole, tmp_path):
    asked(**IN_PIECES)
    on_one(tmp_path / "run", "lora", init_from=str(whole), lora_on=["language"])


@pytest.mark.parametrize(
    ("name", "recipe", "message"),
    [("clip", "default", "launch without --use_fsdp"), (NAME, "lora", "give data.remember=false")],
)
def test_what_needs_whole_weights_is_refused(monkeypatch, name, recipe, message):
    monkeypatch.setattr(processes, "is_asked", lambda: True)
    settings = recipe_of(name, recipe, None, {})
    with pytest.raises(UsageError, match=message):
        processes.wrapper(SimpleNamespace(num_processes=2), objectives.find(settings.objective["name"]), settings)
