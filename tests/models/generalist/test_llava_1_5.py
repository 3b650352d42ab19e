"""LLaVA 1.5 through upstream's class: its projector is the other choice of ours, and the published sizes."""

import torch
from transformers import LlavaConfig, LlavaForConditionalGeneration

import hfmm
from hfmm.factory import create_config
from hfmm.models.generalist.llava.modeling_llava import LlavaV1ForConditionalGeneration
from tests.models.generalist import tiny_llava as tiny
from tests.models.generalist.test_llava import pictures, tokens
from tests.testing import assert_equal_outputs, seeded


class TestLlava15(tiny.ComputesByRow):
    architecture = "llava_1_5"
    model_class = LlavaForConditionalGeneration

    def config(self):
        settings = tiny.config().to_dict()
        return LlavaConfig(**{name: value for name, value in settings.items() if name != "model_type"})

    def inputs(self):
        return {"input_ids": tokens(), "pixel_values": pictures(), "labels": tokens()}


@torch.no_grad()
def test_the_other_projector_is_upstreams():
    with seeded():
        ours = LlavaV1ForConditionalGeneration(tiny.config(projector_type="mlp2x_gelu")).eval()
    settings = {name: value for name, value in ours.config.to_dict().items() if name not in ("model_type",)}
    theirs = LlavaForConditionalGeneration(LlavaConfig(**settings)).eval()
    theirs.load_state_dict(ours.state_dict())
    inputs = {"input_ids": tokens(), "pixel_values": pictures()}
    assert_equal_outputs(ours(**inputs).logits, theirs(**inputs).logits, tolerance=1e-6)


def test_llava_1_5_is_upstreams_class():
    model = hfmm.create_model("llava_1_5")
    assert type(model) is LlavaForConditionalGeneration
    with torch.device("meta"):
        published = LlavaForConditionalGeneration(create_config("llava_1_5", "paper"))
    assert published.model.multi_modal_projector.linear_1.weight.shape == (4096, 1024)
    assert sum(value.numel() for value in published.parameters()) == 7_063_427_072


def test_its_small_parts_are_those_of_the_small_llava():  # so that both can begin with the same runs
    ours, theirs = create_config("llava_1_5"), create_config("llava")
    assert ours.vision_config.to_diff_dict() == theirs.vision_config.to_diff_dict()
    assert ours.text_config.to_diff_dict() == theirs.text_config.to_diff_dict()
    assert (ours.projector_hidden_act, theirs.projector_type) == ("gelu", "linear")
