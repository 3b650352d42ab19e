"""Low-rank adapters: only where they are asked for, in PEFT's own format, equal however they are loaded."""

import json
from dataclasses import replace

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import (
    AutoModelForImageTextToText,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

from hfmm import catalogue, factory
from hfmm.errors import UsageError
from hfmm.hub.pipelines import write_index
from hfmm.training import lora
from hfmm.training.batches import loader
from hfmm.training.build import build, make_accelerator
from hfmm.training.flags import recipe_of
from hfmm.training.optim import set_training
from hfmm.training.parts import PARTS, parts_table
from hfmm.training.recipe import LoraSection
from tests.testing import seeded

READY = [row.name for row in catalogue.ready()]
LANGUAGE, VISION, PROJECTOR = "model.language_model.", "model.vision_tower.", "model.multi_modal_projector."


def reader():
    """A tiny LLaVA 1.5 with random weights."""
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = CLIPVisionConfig(**tower, image_size=8, patch_size=4)
    text = LlamaConfig(**tower, vocab_size=24, num_key_value_heads=2, max_position_embeddings=64)
    with seeded():
        model = LlavaForConditionalGeneration(
            LlavaConfig(vision_config=vision, text_config=text, image_token_index=3, image_seq_length=4)
        )
    return model.eval()


def batch():
    with seeded(1):
        words = torch.randint(4, 24, (2, 6))
        ids = torch.cat([torch.full((2, 4), 3), words], 1)  # B 4 + 6
        return {"input_ids": ids, "pixel_values": torch.randn(2, 3, 8, 8), "labels": ids.masked_fill(ids == 3, -100)}


def trained(model):
    return [name for name, value in model.named_parameters() if value.requires_grad]


def adapted(*targets, **settings):
    model = reader()
    return lora.adapt(model, LoraSection(targets=list(targets), rank=2, **settings), "base"), model


def learn(model):
    optimizer = torch.optim.Adam([value for value in model.parameters() if value.requires_grad], lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        model(**batch()).loss.backward()
        optimizer.step()


# Where adapters go


def test_words_name_the_parts_of_a_reader():
    assert lora.parts(reader())[:3] == ["language", "projector", "vision"]
    assert all(name.startswith(LANGUAGE) and "lora_" in name for name in trained(adapted("language")[1]))
    _, model = adapted("language", "projector")
    assert {name.startswith(LANGUAGE) for name in trained(model)} == {True, False}
    assert all("lora_" in name if name.startswith(LANGUAGE) else name.startswith(PROJECTOR) for name in trained(model))
    _, model = adapted("language", "vision")
    assert {name.split("model.")[1].partition(".")[0] for name in trained(model)} == {"language_", "vision_tower"}


def test_every_matrix_of_the_part_gets_one():
    _, model = adapted("language")
    assert sum("lora_A" in name for name in trained(model)) == 2 * 7  # q k v o gate up down of two layers
    assert "lm_head" not in " ".join(trained(model))


@pytest.mark.parametrize("target", [r".*q_proj", r".*(fc1|fc2)", r".*", "model"])
def test_the_picture_tower_is_never_reached_unasked(target):
    with pytest.raises(UsageError, match=r"also reaches \d+ layers of model\.(vision_tower|language_model)"):
        adapted(target)


def test_the_picture_tower_is_reached_when_it_is_named():
    _, model = adapted(r".*vision_tower.*q_proj")
    assert all(name.startswith(VISION) for name in trained(model))
    _, model = adapted("vision", r".*language_model.*q_proj")
    assert sum(name.startswith(LANGUAGE) for name in trained(model)) == 2 * 2
    assert any(name.startswith(VISION) for name in trained(model))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["language_modle"], "matches no layer that adapters fit; parts: language, projector, vision"),
        (["q_proj"], "matches no layer"),  # patterns have to match the whole name
        (["model.language_model.embed_tokens"], "matches no layer"),
        (["*.q_proj"], "neither a part nor a regular expression"),
        (["projector"], "trained whole: name a part that gets adapters"),
    ],
)
def test_what_hits_nothing_is_refused(targets, message):
    with pytest.raises(UsageError) as caught:
        adapted(*targets)
    assert message in str(caught.value)


def test_an_ambiguous_part_is_refused():
    class Twins(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.left = torch.nn.ModuleDict({"encoder": torch.nn.Linear(2, 2)})
            self.right = torch.nn.ModuleDict({"encoder": torch.nn.Linear(2, 2)})

    with pytest.raises(UsageError, match=r"give one of left\.encoder, right\.encoder"):
        lora.layers(Twins(), ["encoder"])
    assert lora.layers(Twins(), ["left.encoder"]) == ["left.encoder"]


def test_masked_convolutions_are_left_alone():
    model = factory.create_model("pixelcnn")
    kinds = {type(model.get_submodule(name)).__name__ for name in lora.adaptable(model)}
    assert kinds == {"Conv2d"}


def test_patterns_are_anchored_and_readable():
    model = reader()
    pattern = lora.pattern_of(lora.layers(model, [r".*language_model.*\.q_proj"]), model)
    assert pattern == r"model\.language_model\.layers\.\d+\.self_attn\.q_proj"
    one = lora.pattern_of(["model.language_model.layers.1.self_attn.q_proj"], model)
    assert one == r"model\.language_model\.layers\.1\.self_attn\.q_proj"


def test_the_table_shows_what_is_trained_by_part():
    _, model = adapted("language", "projector")
    rows = {line.split()[0]: line.split()[2] for line in parts_table(model).splitlines()}
    assert rows["model.vision_tower"] == rows["lm_head"] == "0"
    assert int(rows["model.language_model"].replace(",", "")) > 0
    assert int(rows["model.multi_modal_projector"].replace(",", "")) == 16 * 16 + 16 + 16 * 16 + 16


# How they are kept


@pytest.fixture
def kept(tmp_path):
    """A base, adapters that have learned over it, and the trained model."""
    base = reader()
    base.save_pretrained(tmp_path / "base")
    wrapped = lora.adapt(
        base,
        LoraSection(["language", "projector"], rank=2, also_train=["model.language_model.embed_tokens", "lm_head"]),
        str(tmp_path / "base"),
    )
    learn(base)
    wrapped.save_pretrained(tmp_path / "adapters", save_embedding_layers=False)
    return tmp_path / "base", tmp_path / "adapters", base.eval()


def test_adapters_are_saved_in_plain_peft_format_and_nothing_else(kept):
    _, folder, model = kept
    saved = load_file(folder / "adapter_model.safetensors")
    assert sum(map(torch.numel, saved.values())) == sum(model.get_parameter(name).numel() for name in trained(model))
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["target_modules"].startswith(r"model\.language_model\.layers\.\d+")
    assert "model.multi_modal_projector" in config["modules_to_save"]


@torch.no_grad()
def test_three_ways_of_loading_give_the_same_answer(kept, tmp_path):
    base, folder, model = kept
    expected = model(**batch()).logits
    before = reader()(**batch()).logits
    assert (expected - before).abs().max() > 0.1
    plain = PeftModel.from_pretrained(LlavaForConditionalGeneration.from_pretrained(base), folder).eval()
    assert torch.equal(plain(**batch()).logits, expected)
    assert torch.equal(AutoModelForImageTextToText.from_pretrained(folder).eval()(**batch()).logits, expected)
    plain.merge_and_unload().save_pretrained(tmp_path / "merged")
    merged = AutoModelForImageTextToText.from_pretrained(tmp_path / "merged").eval()
    torch.testing.assert_close(merged(**batch()).logits, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_unloading_gives_the_base_back(tmp_path):
    wrapped, model = adapted("language", "vision")
    with torch.enable_grad():
        learn(model)
    wrapped.save_pretrained(tmp_path)
    plain = PeftModel.from_pretrained(reader(), tmp_path)
    assert not torch.equal(plain(**batch()).logits, reader()(**batch()).logits)
    assert torch.equal(plain.unload().eval()(**batch()).logits, reader()(**batch()).logits)


def test_statistics_stay_those_of_the_base():
    class Counting(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", torch.zeros(2))
            self.layer = torch.nn.Linear(2, 2)

        def forward(self, values):
            self.mean.lerp_(values.mean(0), 0.1)
            return self.layer(values)

    model = Counting()
    lora.adapt(model, LoraSection(["layer"]), "base")
    for _ in range(2):
        model(torch.ones(3, 2)).sum().backward()
        assert not model.mean.any()


# Every architecture

WITHOUT = {"pmi_retrieval": "learns by counting", "gan": "leave the player 'generator' nothing to train"}
SMALL = {"data.workers": 0, "data.batch_size": 2, "evaluation.size": 2}


def built(name, folder, targets=(), **overrides):
    given = {**SMALL, "lora.targets": list(targets), "lora.rank": 2, **overrides}
    recipe = replace(recipe_of(name, overrides=given, init_from=str(folder) if targets else None), parts={})
    return build(recipe, make_accelerator(recipe, "cpu", folder))


def step(run):
    set_training(run.model)
    run.loop.step(0, [next(iter(loader(run, 0)))])


@pytest.mark.parametrize("name", READY)
def test_a_step_with_adapters_changes_adapters_alone(name, tmp_path):
    base = built(name, tmp_path)
    if name == "glow":  # which sets its scales by the first batch that it sees
        step(base)
    base.model.save_pretrained(tmp_path)
    base.processor.save_pretrained(tmp_path)
    write_index(tmp_path, base.row)
    words = [word for word in lora.parts(base.model) if word not in PARTS]
    targets = [word for word in words if not any(other.startswith(f"{word}.") for other in words)]
    if name in WITHOUT:
        with pytest.raises(UsageError, match=WITHOUT[name]):
            built(name, tmp_path, targets)
        return
    run = built(name, tmp_path, targets)
    before = {key: value.detach().clone() for key, value in tensors_of(run.model).items()}
    step(run)
    changed = {key for key, value in tensors_of(run.model).items() if not torch.equal(value, before[key])}
    assert changed
    assert [key for key in changed if "lora_" not in key] == []


def tensors_of(model):
    """Parameters and buffers by name."""
    return dict([*model.named_parameters(), *model.named_buffers()])


def test_a_player_that_adapters_do_not_fit_is_trained_whole(tmp_path):
    base = built("gan", tmp_path)
    base.model.save_pretrained(tmp_path)
    base.processor.save_pretrained(tmp_path)
    run = built("gan", tmp_path, ["discriminator"], **{"lora.also_train": ["generator"]})
    assert {name.split(".")[0] for name in trained(run.model)} == {"generator", "discriminator"}
    step(run)


def test_adapters_over_adapters_are_refused(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"holds adapters itself.*--merge"):
        built("lenet5", tmp_path, ["dense1"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"lora.quantization": "nf5"}, "did you mean 'nf4'"),
        ({"lora.quantization": "nf4"}, "pip install bitsandbytes"),
        ({"lora.quantization": "nf4", "lora.targets": []}, "name the parts that get adapters"),
        ({"lora.also_train": ["dense2"], "lora.targets": []}, "name the parts that get adapters"),
    ],
)
def test_settings_that_cannot_be_met_are_told(tmp_path, monkeypatch, overrides, message):
    monkeypatch.setattr(lora, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=message):
        built("lenet5", tmp_path, ["dense1"], **overrides)
