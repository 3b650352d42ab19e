"""The contract of architectures that are diffusers' own models: parts that train as one module, and a pipeline on disk.

A test class names its architecture and gives small overrides of its parts and one batch; see `tests/testing.py`.
"""

from typing import Any

import torch
from diffusers import DiffusionPipeline
from safetensors.torch import load_file

from hfmm import catalogue, factory
from hfmm.factory import create_module
from hfmm.loading import load
from tests.testing import seeded
from tests.testing_hub import bare


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def states(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


class Diffuses:
    """What holds for each."""

    architecture: str
    overfit_ratio = 0.2
    without_effect: tuple[str, ...] = ()  # parameters that the loss does not reach

    def overrides(self) -> dict[str, Any]:
        """Small sizes, over the tiny preset."""
        return {}

    def inputs(self) -> dict[str, Any]:
        """One batch, as the collator makes it."""
        raise AssertionError(f"{type(self).__name__} must define inputs()")

    def drawing(self) -> dict[str, Any]:
        """Options of `generate_images`, few steps."""
        return {"num_inference_steps": 3}

    def model(self) -> Any:
        """The parts of the small pipeline as one module with seeded weights."""
        with seeded():
            return create_module(self.architecture, **self.overrides()).eval()

    def saved(self, folder):
        """A run directory without its recipe."""
        model = self.model()
        model.save_pretrained(folder)
        self.processor().save_pretrained(folder)
        return model

    def processor(self) -> Any:
        return factory.create_processor(self.architecture)

    def test_a_saved_pipeline_comes_back_bit_for_bit(self, tmp_path):
        model = self.saved(tmp_path)
        loaded = load(tmp_path)
        found, expected = states(loaded.model), states(model)
        assert loaded.row.name == self.architecture
        assert found.keys() == expected.keys()
        assert [name for name in found if not torch.equal(found[name], expected[name])] == []
        assert type(DiffusionPipeline.from_pretrained(tmp_path)) is factory.model_class(loaded.row)
        for name, value in model.scheduler.config.items():
            assert name.startswith("_") or loaded.model.scheduler.config[name] == value

    def test_every_preset_builds(self):
        for preset in catalogue.find(self.architecture).presets:
            with torch.device("meta"):
                create_module(self.architecture, preset)

    def test_every_parameter_gets_a_gradient(self):
        model = self.model()
        loss = model(**self.inputs(), generator=generator()).loss
        loss.backward()
        assert loss.isfinite()
        trained = dict(model.named_parameters())
        still = {name for name, value in trained.items() if value.grad is None or not value.grad.any()}
        assert {name for name in still if not name.startswith(self.without_effect or "\0")} == set()

    def test_training_steps_are_a_function_of_the_seeds(self):
        losses = []
        for _ in range(2):
            model = self.model().train()
            with seeded(1):
                losses.append(model(**self.inputs(), generator=generator()).loss)
        assert torch.equal(*losses)

    def test_one_batch_is_overfitted(self):
        model, inputs = self.model().train(), self.inputs()
        optimizer = torch.optim.Adam([value for value in model.parameters() if value.requires_grad], lr=3e-3)
        losses = []
        for step in range(80):
            with seeded(step % 4):  # four draws of level and noise, again and again
                loss = model(**inputs, generator=generator(step % 4)).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert sum(losses[-4:]) < self.overfit_ratio * sum(losses[:4])

    def test_pictures_are_a_function_of_the_generator(self):
        model = self.model()
        images = model.generate_images(2, generator=generator(), **self.drawing())
        assert images.shape[0] == 2
        assert 0 <= images.min() <= images.max() <= 1
        assert torch.equal(model.generate_images(2, generator=generator(), **self.drawing()), images)
        assert not torch.equal(model.generate_images(2, generator=generator(4), **self.drawing()), images)

    def test_without_hfmm_the_pipeline_loads_with_upstreams_code_alone(self, tmp_path):
        model = self.saved(tmp_path / "run")
        answer = bare().ask(where=str(tmp_path / "run"), parts=str(tmp_path / "parts"))
        assert answer["pipeline"].startswith("diffusers.")
        assert "deprecated" not in answer["pipeline"]
        found, expected = load_file(tmp_path / "parts"), states(model)
        assert found.keys() == expected.keys()
        assert [name for name in found if not torch.equal(found[name], expected[name])] == []

    def adapted(self) -> Any:
        import peft  # takes seconds to import

        settings = peft.LoraConfig(r=4, target_modules=r"unet\..*(to_q|to_k|to_v|to_out\.0)")
        with seeded(1):
            return peft.get_peft_model(self.model(), settings)

    def test_adapters_learn_and_come_back(self, tmp_path):
        import peft

        model, inputs = self.adapted(), self.inputs()
        optimizer = torch.optim.Adam([value for value in model.parameters() if value.requires_grad], lr=1e-2)
        for _ in range(3):
            with seeded(1):
                loss = model(**inputs, generator=generator()).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval().save_pretrained(tmp_path)
        again = peft.PeftModel.from_pretrained(self.model(), tmp_path).eval()
        expected = model.generate_images(2, generator=generator(), **self.drawing())
        assert not torch.equal(self.model().generate_images(2, generator=generator(), **self.drawing()), expected)
        found = again.generate_images(2, generator=generator(), **self.drawing())
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)

    def test_merged_adapters_draw_the_same(self):
        model = self.adapted()
        with seeded(2), torch.no_grad():
            for name, value in model.named_parameters():
                if "lora_B" in name:
                    value.normal_(std=0.02)
        expected = model.generate_images(2, generator=generator(), **self.drawing())
        merged = model.merge_and_unload()
        found = merged.generate_images(2, generator=generator(), **self.drawing())
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
