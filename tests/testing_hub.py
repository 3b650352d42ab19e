"""The contract of what is published; see `tests/testing.py`."""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

from hfmm import catalogue
from hfmm.hub.bundle import bundle
from tests.testing import Architecture, tensors
from tests.testing_generation import Generates, Processes

BEAMS = {"num_beams": 2, "max_new_tokens": 6, "do_sample": False}


class Bare:
    """One process in which `import hfmm` raises; it lives as long as the tests."""

    def __init__(self, folder: str) -> None:
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("bare.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=folder,
            env={**variables, "HF_HOME": folder, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def ask(self, **request: Any) -> dict[str, Any]:
        """Have it do something; see `run` of `tests/bare.py`."""
        print(json.dumps(request), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer

    def end(self) -> None:
        """Let it go."""
        self.process.stdin.close()
        self.process.wait()


@cache
def bare() -> Bare:
    """The process, started when it is first needed."""
    folder = tempfile.TemporaryDirectory()
    process = Bare(folder.name)
    atexit.register(folder.cleanup)
    atexit.register(process.end)  # last registered, first run
    return process


@torch.no_grad()
def outcome(model: PreTrainedModel, inputs: dict[str, Tensor], generate: bool) -> dict[str, Tensor]:
    """What a model gives here, under the names that `tests/bare.py` gives it."""
    outputs = {"forward": model(**inputs)}
    if generate:
        given = {name: value for name, value in inputs.items() if name != "labels"}
        outputs["generate"] = model.generate(**given, **BEAMS)
    return tensors(outputs)


class Bundles(Architecture):
    """Code beside the weights."""

    def published(self, folder: Path) -> Path:
        """A folder with model, processor and code."""
        self.model().save_pretrained(folder)
        if isinstance(self, Processes):
            self.processor().save_pretrained(folder)
        assert f"modeling_{self.architecture}.py" in bundle(folder)
        assert {path.suffix for path in folder.iterdir()} <= {".py", ".json", ".safetensors"}
        return folder

    def test_published_it_gives_the_same_without_hfmm(self, tmp_path):
        """To the last bit; and so it does when it is saved again there."""
        folder, again = self.published(tmp_path / "published"), tmp_path / "saved-again"
        inputs = {name: value.contiguous() for name, value in self.inputs().items() if isinstance(value, Tensor)}
        generates = isinstance(self, Generates)
        pairs = catalogue.find(self.architecture).auto
        auto = next(
            auto for auto, name in pairs if name == self.model_class.__name__ and auto != "AutoBackbone"
        )  # whose from_pretrained takes a folder for the name of a repository
        save_file(inputs, tmp_path / "inputs")
        inputs = load_file(tmp_path / "inputs")  # as there: where a tensor lies in memory can move its last digit
        expected = outcome(getattr(transformers, auto).from_pretrained(folder).eval(), inputs, generates)
        for where, save_to in ((folder, again), (again, None)):
            answer = bare().ask(
                where=str(where), auto=auto, inputs=str(tmp_path / "inputs"), outputs=str(tmp_path / "outputs"),
                generate=BEAMS if generates else None, save_to=str(save_to) if save_to else None,
                processor="AutoProcessor" if isinstance(self, Processes) else None,
            )  # fmt: skip
            found = load_file(tmp_path / "outputs")
            assert answer["model"].startswith("transformers_modules.")
            assert answer["model"].endswith(f".modeling_{self.architecture}.{self.model_class.__name__}")
            assert answer["one_config_class"]
            assert found.keys() == expected.keys()
            assert [name for name in found if not torch.equal(found[name], expected[name])] == []

    def test_with_hfmm_its_code_need_not_be_trusted(self, tmp_path):
        folder = self.published(tmp_path)
        for auto, name in catalogue.find(self.architecture).auto:
            if name == self.model_class.__name__ and auto != "AutoBackbone":
                assert type(getattr(transformers, auto).from_pretrained(folder)) is self.model_class
        if isinstance(self, Processes):
            assert type(transformers.AutoProcessor.from_pretrained(folder)) is self.processor_class


class BundlesProcessor(Bundles):
    """Code of the processor, too, where pictures and texts go in side by side."""

    def processor(self) -> Any:
        """A small one."""
        raise AssertionError(f"{type(self).__name__} must define processor()")

    def test_published_its_processor_loads_without_hfmm(self, tmp_path):
        folder = self.published(tmp_path / "published")
        self.processor().save_pretrained(folder)
        bundle(folder)
        inputs = {name: value.contiguous() for name, value in self.inputs().items() if isinstance(value, Tensor)}
        save_file(inputs, tmp_path / "inputs")
        answer = bare().ask(
            where=str(folder), auto="AutoModel", inputs=str(tmp_path / "inputs"), outputs=str(tmp_path / "outputs"),
            processor="AutoProcessor",
        )  # fmt: skip
        assert answer["processor"].startswith("transformers_modules.")
        assert answer["processor"].endswith(f".{type(self.processor()).__name__}")
