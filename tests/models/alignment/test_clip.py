"""CLIP through upstream's classes: the deck's loss, the published sizes, and what the towers see."""

import pytest
import torch
from transformers import CLIPModel, pipeline

import hfmm
from hfmm.factory import create_config
from hfmm.nn.contrastive import contrastive_loss
from tests.models.alignment.comparing import TOWER, Compares, words
from tests.models.vision.upstream import parameters
from tests.testing import Computes, Learns, seeded


class TestClip(Compares, Computes, Learns):
    architecture = "clip"
    model_class = CLIPModel
    without_effect = tuple(  # a softmax over keys cannot see their biases
        f"{tower}.encoder.layers.{number}.self_attn.k_proj.bias"
        for tower in ("text_model", "vision_model")
        for number in range(2)
    )

    def config(self):
        return create_config(
            "clip", vision_config={**TOWER, "image_size": 16}, text_config={**TOWER, "max_position_embeddings": 8}
        )


def test_parameters_of_the_published_sizes():
    found = parameters("clip")
    assert found["vit_base_32"] == 151_277_313
    assert found["vit_base_16"] == 149_620_737
    assert found["vit_large_14"] == 427_616_513
    assert found["paper"] == 427_944_193
    assert found["tiny"] < 2_000_000


def test_temperature_starts_at_0_07():
    assert hfmm.create_model("clip").logit_scale.item() == pytest.approx(torch.tensor(1 / 0.07).log().item(), abs=1e-4)


@torch.no_grad()
def test_upstreams_loss_is_the_decks():
    model = hfmm.create_model("clip").eval()
    output = model(
        torch.tensor([[640, 5, 641], [640, 9, 641], [640, 7, 641]]), torch.rand(3, 3, 64, 64), return_loss=True
    )
    expected = contrastive_loss(output.image_embeds, output.text_embeds, model.logit_scale)
    torch.testing.assert_close(output.loss, expected)


@torch.no_grad()
def test_what_follows_the_end_leaves_the_text_as_it_is():
    """The mask is causal, and the text is read at its first end."""
    model = hfmm.create_model("clip").eval()
    ids = torch.tensor([[640, 5, 6, 641, 641, 641], [640, 5, 6, 641, 7, 8]])
    short, long = model.get_text_features(ids, torch.ones_like(ids)).pooler_output
    torch.testing.assert_close(short, long)


@torch.no_grad()
def test_the_length_of_features_leaves_the_logits_as_they_are():
    model = hfmm.create_model("clip").eval()
    inputs = {"pixel_values": torch.rand(2, 3, 64, 64), **words([[5, 6], [7]])}
    before = model(**inputs).logits_per_image
    model.visual_projection.weight *= 3
    torch.testing.assert_close(model(**inputs).logits_per_image, before)


@pytest.mark.parametrize("preset", ["tiny", "paper"])
def test_texts_of_a_presets_processor_end_where_its_model_reads_them(preset):
    config, tokenizer = create_config("clip", preset).text_config, hfmm.create_processor("clip", preset).tokenizer
    ids = tokenizer("a red star").input_ids
    assert (ids[0], ids[-1], tokenizer.pad_token_id) == (config.bos_token_id, config.eos_token_id, config.pad_token_id)
    assert config.eos_token_id != 2  # which upstream takes for the sign of an old checkpoint
    assert max(ids) < config.vocab_size
    assert tokenizer.model_max_length == config.max_position_embeddings


def test_the_pipeline_of_zero_shot_classification_takes_it(tmp_path):
    with seeded():
        hfmm.create_model("clip").save_pretrained(tmp_path)
    hfmm.create_processor("clip").save_pretrained(tmp_path)
    pipe = pipeline("zero-shot-image-classification", model=str(tmp_path))
    picture = hfmm.load_data("scenes", split="test")[0]["image"]
    found = pipe(picture, candidate_labels=["red star", "blue ring"], hypothesis_template="a {}")
    assert {row["label"] for row in found} == {"red star", "blue ring"}
    assert sum(row["score"] for row in found) == pytest.approx(1)
