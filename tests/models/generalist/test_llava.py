"""LLaVA, version 1: its projector, what its loss is of, what each stage moves, and parity with upstream's 1.5."""

import pytest
import torch
from transformers import LlavaConfig, LlavaForConditionalGeneration

from hfmm.data.dialogues import IGNORED
from hfmm.factory import create_config
from hfmm.models.generalist.llava.modeling_llava import (
    LlavaV1ForConditionalGeneration,
    LlavaV1LinearProjector,
    LlavaV1Model,
)
from tests.models.generalist import tiny_llava as tiny
from tests.models.vision.upstream import parameters
from tests.testing import ModelTests
from tests.testing_hub import Bundles


def pictures(count=2):
    return torch.randn(count, 3, tiny.SIDE, tiny.SIDE, generator=torch.Generator().manual_seed(0))


def tokens():
    """Two rows of a start, four patches, a question and an answer."""
    said = torch.tensor([[10, 11, 12, 5], [13, 14, 15, 5]])
    return torch.cat([torch.tensor([[1, 4, 4, 4, 4]] * 2), said], 1)  # B T


class TestLlava(tiny.ComputesByRow, ModelTests, Bundles):
    architecture = "llava"
    model_class = LlavaV1ForConditionalGeneration
    read_by_transformers = ModelTests.read_by_transformers | {  # by upstream's model, which ours is but for W
        "image_seq_length", "image_token_index", "projector_hidden_act", "vision_feature_select_strategy",
    }  # fmt: skip

    def config(self):
        return tiny.config(vision_feature_layer=-1)  # so that all layers of the tower have a part in the loss

    def inputs(self):
        labels = tokens().masked_fill(torch.arange(9) < 7, IGNORED)
        return {"input_ids": tokens(), "pixel_values": pictures(), "labels": labels}

    def model(self):
        model = super().model()
        model.model.vision_tower.post_layernorm.requires_grad_(False)  # of the class token alone
        return model


def test_parameters_of_the_published_sizes():
    with torch.device("meta"):
        widths = {name: LlavaV1LinearProjector(create_config("llava", name)) for name in ("paper", "vicuna_7b")}
    count = {name: sum(value.numel() for value in part.parameters()) for name, part in widths.items()}
    assert count == {"vicuna_7b": 4_198_400, "paper": 5_248_000}
    found = parameters("llava")
    assert found["tiny"] < 2_000_000
    tower = 303_179_776  # CLIP ViT-L/14 at 224 pixels
    language = 6_738_415_616 + 2 * 2 * 4096  # Llama 7B, and two tokens more in both tables
    assert found["vicuna_7b"] == tower + 4_198_400 + language


@torch.no_grad()
def test_the_projector_is_one_linear_layer():  # Eq. 1
    model = LlavaV1ForConditionalGeneration(tiny.config())
    found = model.get_image_features(pictures()).pooler_output
    tower = model.model.vision_tower(pictures(), output_hidden_states=True)
    patches = tower.hidden_states[-2][:, 1:]  # before the last layer, without the class token
    linear = model.model.multi_modal_projector.linear
    assert torch.stack(list(found)).shape == (2, 4, 12)
    torch.testing.assert_close(torch.stack(list(found)), patches @ linear.weight.T + linear.bias)


@torch.no_grad()
def test_patches_take_the_places_of_their_tokens_in_raster_order():
    model = LlavaV1Model(tiny.config()).eval()
    seen = {}
    model.language_model.register_forward_pre_hook(
        lambda part, arguments, settings: seen.update(settings), with_kwargs=True
    )
    model(input_ids=tokens(), pixel_values=pictures())
    features = torch.stack(list(model.get_image_features(pictures()).pooler_output))  # B N D
    words = model.get_input_embeddings()(tokens())
    torch.testing.assert_close(seen["inputs_embeds"][:, 1:5], features)
    torch.testing.assert_close(seen["inputs_embeds"][:, [0, 5, 6, 7, 8]], words[:, [0, 5, 6, 7, 8]])
    upper_left = pictures().clone()
    upper_left[:, :, :16, :16] += 1  # the first patch
    patches = model.vision_tower.embeddings(upper_left) - model.vision_tower.embeddings(pictures())
    assert patches.abs().sum((0, 2)).nonzero().flatten().tolist() == [1]


def test_as_many_placeholders_as_patches():
    model = LlavaV1ForConditionalGeneration(tiny.config())
    with pytest.raises(ValueError, match="do not match"):
        model(input_ids=tokens()[:, 1:5].repeat(1, 2), pixel_values=pictures())


@torch.no_grad()
def test_the_loss_is_that_of_the_answers_alone():  # Eq. 3
    model = LlavaV1ForConditionalGeneration(tiny.config()).eval()
    labels = tokens().masked_fill(torch.arange(9) < 7, IGNORED)
    output = model(input_ids=tokens(), pixel_values=pictures(), labels=labels)
    logs = output.logits.log_softmax(-1)
    by_hand = -torch.stack([logs[row, place - 1, tokens()[row, place]] for row in range(2) for place in (7, 8)]).mean()
    torch.testing.assert_close(output.loss, by_hand)
    output.logits[:, :6] += torch.randn(2, 6, 60)  # what is told before the answers does not matter
    again = model.loss_function(logits=output.logits, labels=labels, vocab_size=60)
    torch.testing.assert_close(again, output.loss)


@torch.no_grad()
def test_a_linear_projector_is_upstreams_with_nothing_after_it():
    ours = LlavaV1ForConditionalGeneration(tiny.config()).eval()
    settings = {name: value for name, value in ours.config.to_dict().items() if name not in ("model_type",)}
    theirs = LlavaForConditionalGeneration(LlavaConfig(**{**settings, "projector_hidden_act": "linear"})).eval()
    weights = dict(ours.state_dict())
    for name in ("weight", "bias"):
        weights[f"model.multi_modal_projector.linear_1.{name}"] = weights.pop(
            f"model.multi_modal_projector.linear.{name}"
        )
    weights["model.multi_modal_projector.linear_2.weight"] = torch.eye(12)
    weights["model.multi_modal_projector.linear_2.bias"] = torch.zeros(12)
    theirs.load_state_dict(weights)
    inputs = {"input_ids": tokens(), "pixel_values": pictures()}
    torch.testing.assert_close(ours(**inputs).logits, theirs(**inputs).logits)
