"""Attention rollout: the properties of the sheet, a loop in numpy, and Vision Transformers."""

import numpy as np
import pytest
import torch
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    DeiTConfig,
    DeiTForImageClassification,
    SwinConfig,
    SwinForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

import hfmm
from hfmm.explanation.rollout import attention_rollout, input_attention

SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 224,
    "patch_size": 16,
}


def attentions(layers=3, tokens=5, batch=2, heads=4):
    generator = torch.Generator().manual_seed(0)
    scores = 3 * torch.randn(layers, batch, heads, tokens, tokens, generator=generator)
    return tuple(scores.softmax(-1))


def test_rows_sum_to_one():
    torch.testing.assert_close(attention_rollout(attentions()).sum(-1), torch.ones(2, 5))


def test_identity_attentions_give_the_identity():
    identity = torch.eye(5).expand(2, 4, 5, 5)
    torch.testing.assert_close(attention_rollout([identity] * 3), torch.eye(5).expand(2, 5, 5))


def test_one_layer_is_half_attention_and_half_identity():
    (attention,) = attentions(layers=1)
    torch.testing.assert_close(attention_rollout([attention]), (attention.mean(1) + torch.eye(5)) / 2)


def test_uniform_attention_of_one_layer():
    rollout = attention_rollout([torch.full((1, 2, 4, 4), 0.25)])
    torch.testing.assert_close(rollout[0], torch.full((4, 4), 0.125) + torch.eye(4) / 2)


def test_it_is_the_product_of_the_layers_from_the_last_to_the_first():
    """A loop over layers, rows and columns: a transposed layer or a product in the other order fails."""
    given = attentions()
    for example in range(2):
        flow = np.eye(5)
        for layer in given:
            mixed = layer[example].mean(0).double().numpy() + np.eye(5)
            for row in range(5):
                mixed[row] /= sum(mixed[row, column] for column in range(5))
            flow = np.array([[sum(mixed[i, k] * flow[k, j] for k in range(5)) for j in range(5)] for i in range(5)])
        np.testing.assert_allclose(attention_rollout(given)[example].numpy(), flow, rtol=1e-4)
        assert not np.allclose(flow, flow.T, atol=1e-2)


def test_rows_that_lost_weight_are_normalized_along_themselves():
    """As after dropout on attention: normalized along columns, or over everything, rows would not sum to 1."""
    broken = tuple(layer * torch.linspace(0.2, 1, 5)[:, None] for layer in attentions())
    torch.testing.assert_close(attention_rollout(broken).sum(-1), torch.ones(2, 5))


def vit(**more):
    return ViTForImageClassification(ViTConfig(**{**SIZES, **more})).eval()


def test_the_map_of_224_pixels_in_patches_of_16_is_14_by_14():
    model = vit()
    pixels = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    before = model.config._attn_implementation
    found = input_attention(model, pixels)
    assert found.shape == (2, 14, 14)
    assert model.config._attn_implementation == before == "sdpa"
    model.set_attn_implementation("eager")
    with torch.no_grad():
        rollout = attention_rollout(model(pixels, output_attentions=True).attentions)
    torch.testing.assert_close(found, rollout[:, 0, 1:].reshape(2, 14, 14))


def test_the_implementation_is_switched_back_after_an_error():
    model = vit()
    with pytest.raises(ValueError, match="size"):
        input_attention(model, torch.zeros(1, 3, 64, 64))
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize(
    ("model_class", "config"), [(DeiTForImageClassification, DeiTConfig), (CLIPVisionModel, CLIPVisionConfig)]
)
def test_other_towers_with_a_class_token(model_class, config):
    model = model_class(config(**SIZES)).eval()
    assert input_attention(model, torch.zeros(1, 3, 224, 224)).shape == (1, 14, 14)


def test_windows_and_convolutions_have_none():
    config = SwinConfig(
        image_size=32, patch_size=2, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4, num_labels=3
    )
    assert input_attention(SwinForImageClassification(config).eval(), torch.zeros(1, 3, 32, 32)) is None
    assert input_attention(hfmm.create_model("lenet5").eval(), torch.zeros(1, 3, 32, 32)) is None


def test_a_patch_that_is_attended_to_is_the_one_that_lights_up():
    """Attention that all goes to patch (2, 3) of 4 x 4 puts the peak there, not at (3, 2)."""
    tokens = torch.zeros(1, 1, 17, 17)
    tokens[..., 1 + 2 * 4 + 3] = 1
    row = attention_rollout([tokens, tokens])[:, 0, -16:].unflatten(1, (4, 4))[0]
    assert divmod(int(row.argmax()), 4) == (2, 3)
