"""LLaVA's stages: what each moves, where a run begins, and pretrained parts of any kind."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    CLIPVisionModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    SiglipVisionConfig,
    SiglipVisionModel,
)

import hfmm
from hfmm.errors import AccessError, UsageError
from hfmm.loading import load
from hfmm.nn.chat_processing import chat_tokenizer
from hfmm.training.build import build, make_accelerator
from hfmm.training.flags import recipe_of
from hfmm.training.start import after_first
from tests.models.generalist import tiny_llava as tiny
from tests.nn.test_chat_templates import CHATML

SMALL = {"text_config": {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}}
SHORT = {
    "data.batch_size": 4, "data.workers": 0, "data.options": {"size": 24}, "evaluation.size": 2,
    "players.model.precision": "fp32",
}  # fmt: skip


@pytest.fixture(scope="module")
def tower(tmp_path_factory):
    return tiny.save_tower(tmp_path_factory.mktemp("tower"))


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    """A causal language model whose tokenizer has a chat template of its own, no padding and no placeholder."""
    folder = tmp_path_factory.mktemp("language")
    tokenizer = chat_tokenizer(tiny.WORDS)
    torch.manual_seed(1)
    settings = {**tiny.LANGUAGE, "vocab_size": len(tokenizer), "tie_word_embeddings": True}
    LlamaForCausalLM(
        LlamaConfig(**{key: value for key, value in settings.items() if key != "model_type"})
    ).save_pretrained(folder)
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(folder)
    return str(folder)


def built(recipe="default", overrides=None, **flags):
    settings = recipe_of("llava", recipe, None, {**SHORT, **(overrides or {})}, **flags)
    return build(settings, make_accelerator(settings, "cpu", Path()))


def moved(made, steps=1):
    """Names of the parameters that some steps move."""
    before = {name: value.detach().clone() for name, value in made.model.named_parameters()}
    collator, examples = made.collator, made.examples
    rows = [collator.draw(examples[row], Random(row)) for row in range(4)]
    for step in range(steps):
        made.loop.step(step, [collator(rows)])
    return {name for name, value in made.model.named_parameters() if not torch.equal(before[name], value)}


def test_alignment_moves_the_projector_alone(tower):
    made = built("alignment", {"model": SMALL}, vision=tower)
    names = {f"model.multi_modal_projector.linear.{name}" for name in ("weight", "bias")}
    trained = {name for name, value in made.model.named_parameters() if value.requires_grad}
    assert trained == names
    assert moved(made) == names
    assert made.processor.apply_chat_template(tiny.TWO_TURNS).startswith("<image>red\n")


def test_instruction_tuning_moves_all_but_the_tower(tower):
    made = built(overrides={"model": SMALL}, vision=tower)
    frozen = {name for name, value in made.model.named_parameters() if not value.requires_grad}
    assert frozen == {name for name, _ in made.model.named_parameters() if name.startswith("model.vision_tower.")}
    still = {name for name, _ in made.model.named_parameters()} - moved(made, 2)
    assert still == frozen


def test_a_tower_is_taken_with_its_weights(tower):
    made = built(overrides={"model": SMALL}, vision=tower)
    theirs = CLIPVisionModel.from_pretrained(tower)
    for name, value in theirs.state_dict().items():
        assert torch.equal(made.model.model.vision_tower.state_dict()[name], value)
    assert made.model.config.image_seq_length == 4
    assert made.processor.image_processor.crop_size["height"] == tiny.SIDE


def test_a_language_model_is_taken_with_its_tokenizer(tower, language, tmp_path):
    made = built(vision=tower, text=language)
    model, reader = made.model, made.processor
    theirs = LlamaForCausalLM.from_pretrained(language)
    for name, value in theirs.model.state_dict().items():
        assert torch.equal(model.model.language_model.state_dict()[name][: len(value)], value)
    assert model.lm_head.weight is model.get_input_embeddings().weight  # as theirs are
    assert model.config.image_token_index == reader.image_token_id
    told = reader.apply_chat_template(tiny.TWO_TURNS)
    assert told.startswith("<|im_start|>user\n<image>\nwhat color")
    model.save_pretrained(tmp_path)
    reader.save_pretrained(tmp_path)
    again, reread = AutoModelForImageTextToText.from_pretrained(tmp_path), AutoProcessor.from_pretrained(tmp_path)
    assert again.config.text_config.vocab_size == len(reread.tokenizer)
    assert reread.apply_chat_template(tiny.TWO_TURNS) == told
    assert torch.equal(again.get_input_embeddings().weight, model.get_input_embeddings().weight)


def test_a_template_that_is_named_comes_before_the_language_models_own(tower, language):
    made = built(overrides={"processor": {"template": "v1", "system": ""}}, vision=tower, text=language)
    assert made.processor.apply_chat_template(tiny.TWO_TURNS).startswith("USER: <image>\n")


def test_a_new_placeholder_makes_the_tables_larger(tower, tmp_path):
    words = {word: number for number, word in enumerate(["<end>", "red", "circle", "what", "is", ":", "#"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<end>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", bos_token="<end>", unk_token="<end>"
    ).save_pretrained(tmp_path)
    GPT2LMHeadModel(
        GPT2Config(vocab_size=7, n_embd=8, n_layer=1, n_head=2, n_positions=512, bos_token_id=0, eos_token_id=0)
    ).save_pretrained(tmp_path)
    made = built(vision=tower, text=str(tmp_path))
    assert made.model.get_input_embeddings().num_embeddings == made.model.config.text_config.vocab_size == 8
    assert made.model.lm_head.weight.shape == (8, 8)
    assert made.processor.image_token_id == made.model.config.image_token_id == 7
    assert moved(made)


def test_a_tower_without_a_class_token_gives_all_it_has(tmp_path):
    fields = {key: value for key, value in tiny.TOWER.items() if key != "model_type"}
    SiglipVisionModel(SiglipVisionConfig(**fields)).save_pretrained(tmp_path)
    tiny.processor().image_processor.save_pretrained(tmp_path)
    made = built(overrides={"model": SMALL}, vision=str(tmp_path))
    assert made.model.config.vision_feature_select_strategy == "full"
    assert moved(made)


def test_the_second_stage_begins_with_the_first_and_speaks_its_own_template(tower, tmp_path):
    overrides = {**SHORT, "model": SMALL, "data.name": "scenes:dialogue"}
    flags = {"vision": tower, "max_steps": 1, "quiet": True, "device": "cpu"}
    run = hfmm.train("llava", tmp_path / "run", overrides=overrides, **flags)
    first = load(tmp_path / "run" / "first")
    assert first.processor.apply_chat_template(tiny.TWO_TURNS).startswith("<image>red\n")
    loaded = run.load()
    assert loaded.processor.apply_chat_template(tiny.TWO_TURNS).startswith("Human: <image>\n")
    assert torch.equal(
        first.model.model.vision_tower.state_dict()["embeddings.patch_embedding.weight"],
        CLIPVisionModel.from_pretrained(tower).state_dict()["embeddings.patch_embedding.weight"],
    )
    assert {"exact", "blind"} <= run.metrics.keys()
    answer = hfmm.LlavaChat(run.output_dir).ask("where is it", [tiny.picture()], max_new_tokens=3)
    assert isinstance(answer, str)


def test_captions_of_the_same_scenes_come_before_dialogues():
    asked = {}

    def train(name, output_dir, recipe, preset, overrides):
        asked.update(overrides)
        return type("Run", (), {"output_dir": output_dir})

    settings = recipe_of("llava", "default", None, {"processor": {"template": "v1", "image_size": 64}})
    after_first(settings, Path("runs"), train)
    assert "data.name" not in asked
    assert asked["processor"] == {"image_size": 64}
    other = recipe_of("llava", "default", None, {"data.name": "talks.jsonl"})
    after_first(other, Path("runs"), train)
    assert asked["data.name"] == "talks.jsonl"


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ({"text": "nowhere"}, UsageError, "name a picture tower with --vision"),
        ({"vision": "nowhere/at-all"}, AccessError, "nowhere/at-all"),
    ],
)
def test_parts_that_are_not_there_are_told(parts, error, message):
    settings = replace(recipe_of("llava", "default", None, SHORT), parts=parts)
    with pytest.raises(error, match=message):
        build(settings, make_accelerator(settings, "cpu", Path()))


def test_a_language_model_is_no_tower(language):
    with pytest.raises(UsageError, match="has no picture tower of patches"):
        built(vision=language)
