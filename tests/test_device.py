"""Device policy: exact fast products, attention by length, threads beside loading workers."""

import torch
from transformers import (
    CLIPConfig,
    CLIPModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    ViTConfig,
    ViTModel,
)

from hfmm import device


def test_fast_products_are_only_used_where_they_are_exact():
    device.set_matrix_precision(training=True)
    expected = "medium" if device.fast_matrix_products_are_exact() else "highest"
    assert torch.get_float32_matmul_precision() == expected
    left, right = torch.randn(64, 64), torch.randn(64, 64)
    torch.testing.assert_close((left @ right).double(), left.double() @ right.double(), rtol=1e-4, atol=1e-4)
    device.set_matrix_precision(training=False)
    assert torch.get_float32_matmul_precision() == "highest"


def test_length_of_attention_comes_from_the_configuration():
    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    assert device.longest_sequence(ViTConfig(image_size=64, patch_size=8)) == 65
    text, vision = {**small, "max_position_embeddings": 16}, {**small, "image_size": 32, "patch_size": 16}
    assert device.longest_sequence(CLIPConfig(text_config=text, vision_config=vision)) == 16


def test_short_attention_is_eager_on_a_cpu_and_long_is_not():
    small = {
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "patch_size": 8,
    }
    for size, chosen in ((64, "eager"), (256, "sdpa")):
        model = ViTModel(ViTConfig(image_size=size, **small))
        device.set_attention(model, torch.device("cpu"))
        assert model.config._attn_implementation == chosen


def test_towers_keep_the_choice():
    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = CLIPConfig(text_config=small, vision_config={**small, "image_size": 16, "patch_size": 8}, projection_dim=4)
    model = CLIPModel(config)
    device.set_attention(model, torch.device("cpu"))
    assert model.vision_model.config._attn_implementation == model.config._attn_implementation == "eager"


def test_loading_workers_get_a_core(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    device.set_threads(workers=1000)
    assert torch.get_num_threads() == 1
    torch.set_num_threads(before)


def test_hardware_is_named():
    assert device.hardware()


def test_each_tower_has_the_attention_of_its_own_length():
    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    vision = {**small, "image_size": 8, "patch_size": 4, "model_type": "clip_vision_model"}
    text = {**small, "vocab_size": 8, "max_position_embeddings": 2048, "model_type": "llama"}
    model = LlavaForConditionalGeneration(LlavaConfig(vision_config=vision, text_config=text))
    device.set_attention(model, torch.device("cpu"))
    found = [part.config._attn_implementation for part in (model.model.vision_tower, model.model.language_model)]
    assert found == ["eager", "sdpa"]
