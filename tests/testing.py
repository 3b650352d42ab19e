"""What tests share: the real data sets, and the contract that every architecture keeps.

A test class names its architecture and gives a tiny configuration and one batch; the mixins below do the asserting, one
concern each. `ModelTests` is the contract of every model, `ExtractsFeatures` that of backbones; what generates and what
has a processor find theirs in `tests/testing_generation.py`:

    class TestShowAndTell(ModelTests, Generates, Describes): ...
"""

import ast
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn
from torch.utils._pytree import tree_map
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

import hfmm
from hfmm import catalogue, factory


def shared_data(name: str) -> Path:
    """The folder of a shared real data set; skips the test where it is absent.

    It is looked for under the environment variable HFMM_SHARED, or in `shared` beside the repository.
    """
    root = Path(os.environ.get("HFMM_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    folder = root / "data" / name
    if not folder.exists():
        pytest.skip(f"the shared data set '{name}' is not here ({folder})")
    return folder


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """Random numbers from a seed inside, and the global generator as it was afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def tensors(output: Any, name: str = "") -> dict[str, Tensor]:
    """All tensors of a model's output by name, nested ones by dotted name."""
    if isinstance(output, Tensor):
        return {name: output}
    if isinstance(output, Mapping):
        items: Any = output.items()
    else:
        items = enumerate(output) if isinstance(output, list | tuple) else ()
    return {key: value for inner, part in items for key, value in tensors(part, f"{name}.{inner}".strip(".")).items()}


def assert_equal_outputs(found: Any, expected: Any, tolerance: float = 0.0) -> None:
    """Compare all tensors of two outputs."""
    left, right = tensors(found), tensors(expected)
    assert left.keys() == right.keys()
    for name in left:
        torch.testing.assert_close(left[name], right[name], rtol=tolerance, atol=tolerance)


class Architecture:
    """What a test class says of its architecture. It asserts nothing."""

    architecture: str  # name in the catalogue
    model_class: type[PreTrainedModel]
    steps_first: tuple[str, ...] = ()  # outputs whose second axis is the batch's

    def config(self) -> PreTrainedConfig:
        """A tiny configuration."""
        raise AssertionError(f"{type(self).__name__} must define config()")

    def inputs(self) -> dict[str, Any]:
        """One batch of two examples or more, with labels where the model takes them: tensors, or a list of dicts."""
        raise AssertionError(f"{type(self).__name__} must define inputs()")

    def model(self) -> PreTrainedModel:
        """The tiny model with seeded weights, in evaluation mode."""
        with seeded():
            return self.model_class(self.config()).eval()

    def loss(self, output: Any) -> Tensor:
        """What training minimizes."""
        return output.loss


class SavesAndLoads(Architecture):
    def assert_same(self, loaded: PreTrainedModel, model: PreTrainedModel) -> None:
        assert type(loaded) is type(model)
        for part in ("named_parameters", "named_buffers"):  # buffers outside the state dict, too
            found, expected = dict(getattr(loaded, part)()), dict(getattr(model, part)())
            assert found.keys() == expected.keys()
            assert [name for name in found if not torch.equal(found[name], expected[name])] == []
        with torch.no_grad():  # where weights lie in memory moves the last digit of a matrix product
            assert_equal_outputs(loaded(**self.inputs()), model(**self.inputs()), tolerance=1e-5)

    def test_a_saved_model_comes_back_bit_for_bit(self, tmp_path):
        model = self.model()
        model.save_pretrained(tmp_path)
        assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == ["model.safetensors"]
        self.assert_same(self.model_class.from_pretrained(tmp_path), model)

    def test_the_auto_classes_load_it(self, tmp_path):
        model = self.model()
        model.save_pretrained(tmp_path)
        autos = [auto for auto, name in catalogue.find(self.architecture).auto if name == self.model_class.__name__]
        assert autos
        for auto in autos:
            kind = getattr(transformers, auto)
            assert type(kind.from_config(AutoConfig.from_pretrained(tmp_path))) is self.model_class
            if auto != "AutoBackbone":  # whose from_pretrained takes a folder for the name of a repository
                self.assert_same(kind.from_pretrained(tmp_path), model)

    def test_a_model_in_shards_loads(self, tmp_path):
        model = self.model()
        size = sum(value.numel() * value.element_size() for value in model.state_dict().values())
        model.save_pretrained(tmp_path, max_shard_size=f"{max(1, size // 3000)}KB")
        assert len(list(tmp_path.glob("*.safetensors"))) > 1
        self.assert_same(self.model_class.from_pretrained(tmp_path), model)

    def test_every_preset_builds(self):
        for preset in factory.presets(catalogue.find(self.architecture)):
            with torch.device("meta"):
                self.model_class(factory.create_config(self.architecture, preset))


class Computes(Architecture):
    @torch.no_grad()
    def test_the_same_input_gives_the_same_output(self):
        assert_equal_outputs(self.model()(**self.inputs()), self.model()(**self.inputs()))

    def test_training_steps_are_a_function_of_the_seed(self):
        losses = []
        for _ in range(2):
            model = self.model().train()
            with seeded(1):
                losses.append(self.loss(model(**self.inputs())))
        assert torch.equal(*losses)

    @torch.no_grad()
    def test_a_batch_of_two_equals_two_singles(self):
        model, inputs = self.model(), self.inputs()
        together = tensors(model(**{name: value[:2] for name, value in inputs.items()}))
        for row in range(2):
            alone = tensors(model(**{name: value[row : row + 1] for name, value in inputs.items()}))
            assert alone.keys() == together.keys()
            for name, value in alone.items():
                axis = int(name in self.steps_first)
                if value.ndim:  # losses are means over the batch
                    expected = together[name].select(axis, row)
                    torch.testing.assert_close(value.select(axis, 0), expected, rtol=1e-4, atol=1e-5)

    @torch.no_grad()
    def test_half_precision_stays_finite(self):
        model = self.model().to(torch.bfloat16)
        halved = tree_map(lambda value: value.bfloat16() if value.is_floating_point() else value, self.inputs())
        output = tensors(model(**halved))
        assert output
        assert all(value.isfinite().all() for value in output.values())


class Learns(Architecture):
    overfit_steps = 100
    overfit_learning_rate = 1e-2
    overfit_ratio = 0.1  # of the first loss
    without_effect: tuple[str, ...] = ()  # parameters that provably move nothing, such as a bias before a softmax

    def test_every_parameter_gets_a_gradient(self):
        model = self.model()
        loss = self.loss(model(**self.inputs()))
        loss.backward()
        assert loss.isfinite()
        missing = [name for name, value in model.named_parameters() if value.requires_grad and value.grad is None]
        assert missing == []
        grads = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
        assert [name for name, grad in grads.items() if not grad.isfinite().all()] == []
        assert [name for name, grad in grads.items() if not grad.any() and name not in self.without_effect] == []

    def test_one_batch_is_overfitted(self):
        model = self.model().train()
        with seeded(1):
            first, *_, last = descend(model, self.inputs(), self.loss, self.overfit_steps, self.overfit_learning_rate)
        assert last < self.overfit_ratio * first


def descend(model: nn.Module, inputs: Mapping[str, Tensor], loss: Any, steps: int, learning_rate: float) -> list[float]:
    """Losses of some steps of Adam on one batch."""
    optimizer = torch.optim.Adam([value for value in model.parameters() if value.requires_grad], lr=learning_rate)
    losses = []
    for _ in range(steps):
        value = loss(model(**inputs))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


class TakesAdapters(Architecture):
    def adapted(self) -> Any:
        import peft  # takes seconds to import

        model = self.model()
        targets = [name for name, part in model.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)]
        with seeded(1):
            return peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules=targets))

    def test_every_adapter_learns(self):
        model = self.adapted()
        self.loss(model(**self.inputs())).backward()
        adapters = {name: value for name, value in model.named_parameters() if value.requires_grad}
        assert adapters
        assert all("lora_" in name for name in adapters)
        assert [name for name, value in adapters.items() if "lora_B" in name and not value.grad.any()] == []
        first, *_, last = descend(model, self.inputs(), self.loss, steps=10, learning_rate=1e-2)
        assert last < first

    @torch.no_grad()
    def test_merged_adapters_give_the_same_output(self):
        model = self.adapted()
        with seeded(2):
            for name, value in model.named_parameters():
                if "lora_B" in name:
                    value.normal_(std=0.02)
        expected = model(**self.inputs())
        assert_equal_outputs(model.merge_and_unload()(**self.inputs()), expected, tolerance=1e-4)


class ReadsItsConfig(Architecture):
    read_by_transformers = frozenset(
        {
            "bos_token_id",
            "eos_token_id",
            "pad_token_id",
            "decoder_start_token_id",
            "is_encoder_decoder",
            "tie_word_embeddings",
        }
    )  # by `generate` and by loading

    def test_every_config_field_is_read(self):
        kind = type(self.config())
        fields = kind.__dataclass_fields__.keys() - PreTrainedConfig.__dataclass_fields__.keys()
        root = Path(hfmm.__file__).parent
        folder = root.parent.joinpath(*catalogue.find(self.architecture).folder.split("."))
        shared = [*root.glob("nn/*.py"), *root.glob("training/objectives/*.py")]
        sources = [path for path in (*folder.glob("*.py"), *shared) if not path.name.startswith("convert_")]
        read = set().union(*(fields_read(path) for path in sources))
        assert sorted(fields - read - self.read_by_transformers) == []


def fields_read(path: Path) -> set[str]:
    """Names read as `config.name` (`self.name` in a configuration, whose `validate_` methods do not count)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    is_config = path.name.startswith("configuration_")
    validators = [
        part for part in ast.walk(tree) if isinstance(part, ast.FunctionDef) and part.name.startswith("validate_")
    ]
    ignored = {id(node) for part in validators for node in ast.walk(part)}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and id(node) not in ignored:
            owner = getattr(node.value, "id", getattr(node.value, "attr", ""))
            if owner.endswith("config") or (is_config and owner == "self"):
                found.add(node.attr)
    return found


class ModelTests(SavesAndLoads, Computes, Learns, TakesAdapters, ReadsItsConfig):
    """The contract of every model."""


class ExtractsFeatures(Architecture):
    """Backbones: maps by name."""

    def loss(self, output: Any) -> Tensor:
        return sum((feature_map**2).mean() for feature_map in output.feature_maps)

    def test_any_stage_can_be_asked_for(self):
        names = self.config().stage_names
        inputs = self.inputs()
        config = self.config()
        config.out_features = names
        with seeded():
            model = self.model_class(config).eval()
        every = model(**inputs).feature_maps
        assert [feature_map.shape[1] for feature_map in every] == model.channels
        for index, name in enumerate(names):
            model.out_features = [name]
            assert torch.equal(model(**inputs).feature_maps[0], every[index])
        assert_equal_outputs(model(**inputs, output_hidden_states=True).hidden_states, every)

    def test_unknown_stages_are_refused(self):
        with pytest.raises(ValueError, match="out_features"):
            type(self.config())(out_features=["stage99"])
