"""Device policy: exact fast products, attention by length, threads beside loading workers."""

from pathlib import Path

import pytest
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
from hfmm.training.build import make_accelerator
from hfmm.training.learning import PlayerSection
from hfmm.training.recipe import Recipe


def test_fast_products_are_only_used_where_they_are_exact():
    device.set_matrix_precision(training=True)
    expected = "medium" if device.fast_matrix_products_are_exact() else "highest"
    assert torch.get_float32_matmul_precision() == expected
    left, right = torch.randn(64, 64), torch.randn(64, 64)
    torch.testing.assert_close((left @ right).double(), left.double() @ right.double(), rtol=1e-4, atol=1e-4)
    device.set_matrix_precision(training=False)
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.fixture
def processor(monkeypatch):
    """Makes this machine's processor another, as torch tells of it."""
    cached = device.fast_matrix_products_are_exact, device.longest_eager

    def change(name, **capabilities):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": name, **capabilities})
        for function in cached:
            function.cache_clear()

    yield change
    for function in cached:
        function.cache_clear()


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="this torch has no MKL")
def test_the_library_of_the_processors_maker_is_left_in_place(processor):
    processor("Intel Xeon 2.50GHz", avx512_bf16=False)
    assert not device.fast_matrix_products_are_exact()
    assert device.longest_eager() == 0  # without it and without bf16 the fused kernel is faster at every length


def test_auto_is_bf16_where_the_processor_multiplies_in_it(processor):
    for has_it, chosen in ((True, "bf16"), (False, "no")):
        processor("AMD EPYC", avx512_bf16=has_it)
        recipe = Recipe("clip", players={"model": PlayerSection(precision="auto")})
        assert make_accelerator(recipe, "cpu", Path()).mixed_precision == chosen


def test_length_of_attention_comes_from_the_configuration():
    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    assert device.longest_sequence(ViTConfig(image_size=64, patch_size=8)) == 65
    text, vision = {**small, "max_position_embeddings": 16}, {**small, "image_size": 32, "patch_size": 16}
    assert device.longest_sequence(CLIPConfig(text_config=text, vision_config=vision)) == 16


def test_short_attention_is_eager_on_a_cpu_with_bf16_and_long_is_not(processor):
    processor("AMD EPYC", avx512_bf16=True)
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


def test_towers_keep_the_choice(processor):
    processor("AMD EPYC", avx512_bf16=True)
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


def test_each_tower_has_the_attention_of_its_own_length(processor):
    processor("AMD EPYC", avx512_bf16=True)
    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    vision = {**small, "image_size": 8, "patch_size": 4, "model_type": "clip_vision_model"}
    text = {**small, "vocab_size": 8, "max_position_embeddings": 2048, "model_type": "llama"}
    model = LlavaForConditionalGeneration(LlavaConfig(vision_config=vision, text_config=text))
    device.set_attention(model, torch.device("cpu"))
    found = [part.config._attn_implementation for part in (model.model.vision_tower, model.model.language_model)]
    assert found == ["eager", "sdpa"]
