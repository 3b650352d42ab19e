"""The contract of generators of pictures, which come as a model and as a diffusers pipeline; see `tests/testing.py`."""

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from hfmm import catalogue, factory
from hfmm.hub.bundle import code_of
from hfmm.hub.pipelines import INDEX, write_index
from tests.testing_hub import Bundles, bare

COUNT = 2


def generator():
    return torch.Generator().manual_seed(3)


class DrawsPictures(Bundles):
    """`generate_images(count, generator=...)` and a pipeline over it that gives the same to the last bit."""

    def pictures(self, model):
        """What a model draws, from one seed."""
        return model.generate_images(COUNT, generator=generator())

    def run_directory(self, folder):
        """A folder as training leaves it: no code."""
        self.model().save_pretrained(folder)
        write_index(folder, catalogue.find(self.architecture))
        return folder

    def test_pictures_are_a_function_of_the_generator(self):
        model = self.model()
        images = self.pictures(model)
        assert images.shape[0] == COUNT
        assert images.isfinite().all()
        assert 0 <= images.min() <= images.max() <= 1
        assert torch.equal(self.pictures(model), images)
        assert not torch.equal(model.generate_images(COUNT, generator=torch.Generator().manual_seed(4)), images)

    def test_a_run_directory_loads_as_a_pipeline(self, tmp_path):
        from diffusers import DiffusionPipeline

        row = catalogue.find(self.architecture)
        pipeline = DiffusionPipeline.from_pretrained(self.run_directory(tmp_path / "run"))
        assert type(pipeline) is factory.pipeline_class(row)
        assert type(pipeline.model) is self.model_class
        expected = self.pictures(pipeline.model)
        assert torch.equal(pipeline(COUNT, generator=generator(), output_type="pt").images, expected)
        pipeline.save_pretrained(tmp_path / "saved")
        again = DiffusionPipeline.from_pretrained(tmp_path / "saved")
        assert torch.equal(again(COUNT, generator=generator(), output_type="pt").images, expected)

    def test_a_pipeline_gives_pictures_arrays_or_tensors(self):
        pipeline = factory.pipeline_class(catalogue.find(self.architecture))(self.model())
        values = pipeline(COUNT, generator=generator(), output_type="pt").images
        arrays = pipeline(COUNT, generator=generator(), output_type="np").images
        assert torch.equal(torch.from_numpy(arrays).permute(0, 3, 1, 2), values)
        (pictures,) = pipeline(COUNT, generator=generator(), return_dict=False)
        assert [type(picture) for picture in pictures] == [Image.Image] * COUNT
        assert [picture.size for picture in pictures] == [tuple(values.shape[:1:-1])] * COUNT
        with pytest.raises(ValueError, match="output_type is 'jpeg'"):
            pipeline(COUNT, output_type="jpeg")

    def test_a_published_pipeline_draws_the_same_without_hfmm(self, tmp_path):
        """From a folder; by the id of a repository it is tested in `tests/hub/test_hub_architectures.py`."""
        folder = self.published(tmp_path / self.architecture)
        assert json.loads((folder / INDEX).read_text())["model"] == ["transformers", self.model_class.__name__]
        answer = bare().ask(where=str(folder), pipeline=COUNT, seed=3, outputs=str(tmp_path / "outputs"))
        found = load_file(tmp_path / "outputs")
        expected = self.pictures(self.model_class.from_pretrained(folder).eval())
        assert answer["pipeline"].startswith("diffusers_modules.")
        assert answer["model"].startswith("diffusers_modules.")
        assert torch.equal(found["pipeline"], expected)
        assert torch.equal(found["model"], expected)  # as AutoModel loads it

    def test_the_model_does_not_need_diffusers(self):
        code = code_of([catalogue.find(self.architecture)])
        assert [name for name, text in code.items() if "diffusers" in text] == []
