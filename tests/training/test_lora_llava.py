"""LLaVA with adapters: the language model's and the projector move, and they come back however they are loaded."""

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

import hfmm
from hfmm import factory
from hfmm.data.dialogues import DialogueCollator
from hfmm.data.keyed import keyed_random
from hfmm.training.journal import read_metrics
from hfmm.training.state import RunDirectory
from tests.testing import seeded
from tests.training.launching import launch

NAME, ADAPTERS = "llava", "adapter_model.safetensors"
SMALL = {"evaluation.size": 1, "data.workers": 0, "logging.every": 1, "lora.rank": 2, "data.options.size": 6}
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def features_stay_here(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "base"
    said = [part["text"] for talk in hfmm.load_data("scenes:dialogue", size=6).column("messages") for message in talk
            for part in message["content"] if part["type"] == "text"]  # fmt: skip
    processor = factory.create_processor(NAME, captions=said)
    with seeded():
        sizes = factory.word_sizes(factory.config_class(factory.ready_row(NAME)), processor.tokenizer)
        factory.create_model(NAME, **sizes).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def adapt(folder, base, **flags):
    given = {"batch_size": 2, "max_steps": 4, "save_every": 2, "device": "cpu", "quiet": True, "precision": "fp32"}
    return hfmm.train(NAME, folder, recipe="lora", init_from=str(base), overrides=SMALL, **given, **flags).output_dir


@pytest.fixture(scope="module")
def adapted(base, tmp_path_factory):
    return adapt(tmp_path_factory.mktemp("runs") / "adapted", base)


def batch_of(where):
    collator = DialogueCollator(AutoProcessor.from_pretrained(where))
    examples = hfmm.load_data("scenes:dialogue", split="test", size=2)
    made = collator([collator.draw(example, keyed_random(0)) for example in examples])
    return {name: value for name, value in made.items() if name != "example_ids"}


def test_the_adapters_are_of_the_language_model_and_the_projector_stands_beside_them(adapted):
    names = {name.removeprefix("base_model.model.model.") for name in load_file(adapted / ADAPTERS)}
    assert {name.partition(".")[0] for name in names} == {"language_model", "multi_modal_projector"}
    assert {"multi_modal_projector.linear.weight", "multi_modal_projector.linear.bias"} <= names
    assert all("lora_" in name for name in names if name.startswith("language_model"))


@torch.no_grad()
def test_three_ways_of_loading_give_the_same_answer(base, adapted, tmp_path):
    batch = batch_of(adapted)
    loaded = hfmm.loading.load(adapted)
    expected = loaded.model(**batch).logits
    assert loaded.processor.chat_template == AutoProcessor.from_pretrained(adapted).chat_template
    assert not torch.equal(hfmm.loading.load(base).model(**batch).logits, expected)
    plain = PeftModel.from_pretrained(AutoModelForImageTextToText.from_pretrained(base), adapted).eval()
    assert torch.equal(plain(**batch).logits, expected)
    hfmm.publish(adapted, "me/merged", local_dir=tmp_path / "merged", merge=True)
    merged = AutoModelForImageTextToText.from_pretrained(tmp_path / "merged").eval()
    torch.testing.assert_close(merged(**batch).logits, expected, rtol=1e-5, atol=1e-5)
    assert AutoProcessor.from_pretrained(tmp_path / "merged").chat_template == loaded.processor.chat_template


def test_continuing_in_the_middle_of_an_epoch_equals_never_stopping(base, adapted, tmp_path, monkeypatch):
    save = RunDirectory.save

    def save_then_die(self, built, progress):
        save(self, built, progress)
        if progress.step == 2:  # of the three steps of the first epoch
            raise KeyboardInterrupt

    monkeypatch.setattr(RunDirectory, "save", save_then_die)
    with pytest.raises(KeyboardInterrupt):
        adapt(tmp_path, base)
    monkeypatch.undo()
    assert (adapt(tmp_path, base) / ADAPTERS).read_bytes() == (adapted / ADAPTERS).read_bytes()


def test_the_vision_tower_gets_adapters_when_asked_though_the_recipe_freezes_it(base, tmp_path):
    given = {"batch_size": 2, "max_steps": 1, "device": "cpu", "quiet": True, "init_from": str(base)}
    run = hfmm.train(NAME, tmp_path, lora_on=["vision"], overrides=SMALL, **given).output_dir
    learned = [
        value for name, value in load_file(run / ADAPTERS).items() if "vision_tower" in name and "lora_B" in name
    ]
    assert any(value.any() for value in learned)


@pytest.mark.parametrize("form", ["nf4", "int8"])
def test_adapters_over_a_quantized_base_are_plain_adapters(base, adapted, tmp_path, form):
    pytest.importorskip("bitsandbytes", reason="pip install bitsandbytes")
    given = {"batch_size": 2, "max_steps": 2, "device": "cpu", "quiet": True, "init_from": str(base)}
    overrides = {**SMALL, "lora.quantization": form}
    run = hfmm.train(NAME, tmp_path, recipe="lora", overrides=overrides, **given).output_dir
    shapes = [{name: value.shape for name, value in load_file(one / ADAPTERS).items()} for one in (run, adapted)]
    assert shapes[0] == shapes[1]
    assert hfmm.loading.load(run).model(**batch_of(run)).loss.isfinite()


def test_two_processes_take_the_same_steps_with_remembered_features(base, tmp_path):
    words = ["--recipe", "lora", "--init-from", str(base), "--device", "cpu", "--precision", "fp32", "--max-steps", "2"]
    words += ["--quiet", *(f"{key}={json.dumps(value)}" for key, value in SMALL.items())]
    runs = {"two": (2, 1), "one": (1, 2)}  # processes, and examples of each
    for name, (processes, size) in runs.items():
        given = [NAME, *words, "--batch-size", size, "--output-dir", tmp_path / name]
        launch("scripts/train.py", *given, processes=processes, XDG_CACHE_HOME=str(tmp_path))
    rows = [[row for row in read_metrics(tmp_path / name) if "loss" in row] for name in runs]
    for two, one in zip(*rows, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert two["gradient_norm"] == pytest.approx(one["gradient_norm"], rel=1e-4)
