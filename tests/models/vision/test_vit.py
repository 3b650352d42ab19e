"""ViT through upstream's classes: the deck's table of sizes, and patches as tokens."""

import pytest
import torch
from torch.nn.functional import unfold
from transformers import ViTForImageClassification

import hfmm
from hfmm.factory import create_config
from tests.models.vision.upstream import parameters
from tests.testing import Computes, Learns, seeded


class TestViT(Computes, Learns):
    architecture = "vit"
    model_class = ViTForImageClassification
    # a softmax over keys cannot see their biases
    without_effect = tuple(f"vit.layers.{number}.attention.k_proj.bias" for number in range(2))

    def config(self):
        return create_config(
            "vit", image_size=16, hidden_size=16, num_hidden_layers=2, intermediate_size=32, num_labels=3
        )

    def inputs(self):
        with seeded():
            return {"pixel_values": torch.randn(2, 3, 16, 16), "labels": torch.tensor([0, 2])}


def test_parameters_of_the_decks_table():
    found = parameters("vit")
    assert found["paper"] == 86_567_656
    assert found["base_32"] == 88_224_232
    assert found["large_16"] == 304_326_632
    assert found["large_32"] == 306_535_400
    assert found["huge_14"] == 632_045_800
    for preset, millions in (("paper", 86), ("large_32", 307), ("huge_14", 632)):  # the deck's, rounded
        assert found[preset] == pytest.approx(millions * 1e6, rel=0.01)


def test_nine_patches_are_ten_tokens():
    model = hfmm.create_model("vit", auto="AutoModel", image_size=48, patch_size=16).eval()
    assert model(torch.rand(1, 3, 48, 48)).last_hidden_state.shape == (1, 10, 128)


@torch.no_grad()
def test_the_patch_embedding_is_one_linear_layer():
    embedding = hfmm.create_model("vit", auto="AutoModel").embeddings.patch_embeddings
    pixels = torch.rand(2, 3, 64, 64)
    patches = unfold(pixels, kernel_size=8, stride=8).transpose(1, 2)  # B N 3*8*8
    expected = patches @ embedding.projection.weight.flatten(1).T + embedding.projection.bias
    torch.testing.assert_close(embedding(pixels), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_patches_that_change_places_with_their_positions_change_tokens_alone():
    model = hfmm.create_model("vit", auto="AutoModel").eval()
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    pixels = torch.rand(1, 3, 64, 64)
    before = model(pixels).last_hidden_state
    patches = unfold(pixels, 8, stride=8)[..., order]  # B 3*8*8 N
    moved = torch.nn.functional.fold(patches, 64, kernel_size=8, stride=8)
    positions = model.embeddings.position_embeddings
    positions[:, 1:] = positions[:, 1:][:, order]
    after = model(moved).last_hidden_state
    torch.testing.assert_close(after[:, 1:], before[:, 1:][:, order], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after[:, 0], before[:, 0], rtol=1e-4, atol=1e-5)
