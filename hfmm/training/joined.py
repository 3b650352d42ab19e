"""A model that begins with pretrained parts: a picture tower, and a language model with its tokenizer."""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import (
    MODEL_MAPPING,
    AutoImageProcessor,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
)

from hfmm import factory
from hfmm.catalogue import Row
from hfmm.data.examples import Examples
from hfmm.errors import AccessError, UsageError, unknown
from hfmm.nn.chat_processing import add_placeholder, chat_tokenizer, processor_over, set_template
from hfmm.nn.chat_templates import OWN
from hfmm.training.recipe import Recipe
from hfmm.training.sizes import corpus_of, sizes_of

VISION, TEXT = "vision", "text"


def join(recipe: Recipe, row: Row, auto: str, examples: Examples) -> tuple[PreTrainedModel, Any]:
    """Build a model around pretrained parts, and its processor.

    Args:
        recipe: Its `parts` name a picture tower, and perhaps a language model; without one it is the preset's, new.
        row: Of the architecture.
        auto: Of the head.
        examples: What a new tokenizer is learned from.

    Raises:
        UsageError: A part is not of its kind.
        AccessError: A part is neither here nor can it be reached.
    """
    if VISION not in recipe.parts:
        raise UsageError("parts: name a picture tower with --vision, which --text is joined to")
    tower, image_processor = _tower(recipe.parts[VISION])
    if TEXT in recipe.parts:
        return _with_language(recipe, row, auto, tower, image_processor)
    settings = _processor_settings(recipe)
    words = {"min_count": settings.get("min_count", 1), "max_merges": settings.get("max_words")}
    tokenizer = chat_tokenizer(
        corpus_of(recipe.data.name, examples) or (), **words, max_length=settings.get("max_length", 2048)
    )
    processor = processor_over(image_processor, tokenizer, tower.config.patch_size, _has_class_token(tower))
    set_template(processor, settings.get("template", "v0"), settings.get("system"))
    sizes = factory.merged(sizes_of(row, row.tasks[0], processor, examples), _of_tower(tower))
    model = factory.create_module(row.name, recipe.preset, auto, **factory.merged(sizes, recipe.model))
    model.model.vision_tower.load_state_dict(tower.state_dict())
    return model, processor


def _with_language(
    recipe: Recipe, row: Row, auto: str, tower: PreTrainedModel, image_processor: Any
) -> tuple[PreTrainedModel, Any]:
    """The same with a pretrained language model, whose tokenizer gets a placeholder for pictures."""
    language: PreTrainedModel = _read(AutoModelForCausalLM, recipe.parts[TEXT], dtype=torch.float32)
    tokenizer = _read(AutoTokenizer, recipe.parts[TEXT])
    add_placeholder(tokenizer)
    positions = getattr(language.config, "max_position_embeddings", None) or tokenizer.model_max_length
    tokenizer.model_max_length = min(tokenizer.model_max_length, positions)
    processor = processor_over(image_processor, tokenizer, tower.config.patch_size, _has_class_token(tower))
    follow(processor, recipe, tokenizer.chat_template)
    sizes = {"text_config": language.config, "image_token_index": processor.image_token_id, **_of_tower(tower)}
    head = language.get_output_embeddings()
    if head.bias is not None:
        raise UsageError(f"--text {recipe.parts[TEXT]}: its head has a bias, for which {row.name} has no place")
    try:
        model: Any = factory.model_class(row, auto)(_config(recipe, row, sizes))
    except AttributeError as error:  # upstream ties the head to a table by the name that Llama has for it
        raise UsageError(f"--text {recipe.parts[TEXT]}: {row.name} cannot hold it ({error}); llava can") from error
    model.model.vision_tower.load_state_dict(tower.state_dict())
    model.model.language_model.load_state_dict(language.base_model.state_dict())
    model.lm_head.load_state_dict(head.state_dict())
    model.generation_config = language.generation_config
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer))
    return model, processor


def _config(recipe: Recipe, row: Row, sizes: Mapping[str, Any]) -> PreTrainedConfig:
    """The preset's configuration with those of pretrained parts in it.

    Raises:
        UsageError: The recipe sets a field that there is not.
    """
    kind = factory.config_class(row)
    for key in recipe.model:
        if key not in kind.__dataclass_fields__:
            raise unknown(f"key of {row.name}", key, kind.__dataclass_fields__)
    return kind(**{**factory.find_preset(row, recipe.preset)["config"], **sizes, **recipe.model})


def _processor_settings(recipe: Recipe) -> dict[str, Any]:
    """Settings of the preset's processor, the recipe's over them."""
    row = factory.ready_row(recipe.architecture)
    return {**factory.find_preset(row, recipe.preset)["processor"], **recipe.processor}


def follow(processor: Any, recipe: Recipe, own: str | None = None) -> None:
    """Give a processor the conversation template of a recipe: the one it names, the language model's own, or the
    preset's.
    """
    settings = _processor_settings(recipe)
    named = recipe.processor.get("template")
    if named == OWN and own is None:
        raise UsageError("processor.template: the tokenizer has no chat template of its own")
    if own is not None and named in (None, OWN):
        set_template(processor, OWN, own=own)
        return
    said = recipe.processor if TEXT in recipe.parts else settings  # the preset's is for its own language model
    set_template(processor, settings.get("template", "v0"), said.get("system"))


def own_template(recipe: Recipe) -> str | None:
    """The chat template of the language model that a recipe's runs began with."""
    if TEXT not in recipe.parts:
        return None
    found: str | None = _read(AutoTokenizer, recipe.parts[TEXT]).chat_template
    return found


def _tower(where: str) -> tuple[PreTrainedModel, Any]:
    """A picture tower, alone or that of a model with two towers, and its image processor.

    Raises:
        UsageError: There is none whose patches are tokens.
    """
    model = _read(AutoModel, where, dtype=torch.float32)
    wanted = model.config.vision_config if "vision_config" in model.config.sub_configs else model.config
    kind = MODEL_MAPPING.get(type(wanted), None)
    fitting = [part for part in model.modules() if type(part) is kind and part.config.to_dict() == wanted.to_dict()]
    if not fitting or "patch_size" not in wanted.to_dict():
        raise UsageError(f"--vision {where}: a {type(model).__name__} has no picture tower of patches")
    return fitting[0], _read(AutoImageProcessor, where)


def _of_tower(tower: PreTrainedModel) -> dict[str, Any]:
    patches = (tower.config.image_size // tower.config.patch_size) ** 2
    strategy = "default" if _has_class_token(tower) else "full"
    return {
        "vision_config": tower.config, "image_seq_length": patches, "vision_feature_select_strategy": strategy,
    }  # fmt: skip


def _has_class_token(tower: PreTrainedModel) -> bool:
    """Whether a tower's hidden states begin with a token that is no patch."""
    side = tower.config.image_size
    with torch.inference_mode():
        states = tower(torch.zeros(1, 3, side, side)).last_hidden_state
    return bool(states.shape[1] > (side // tower.config.patch_size) ** 2)


def _read(kind: Any, where: str, **settings: Any) -> Any:
    """What an Auto class finds in a directory or repository, from safetensors alone.

    Raises:
        AccessError: It is neither here nor can it be reached.
        UsageError: Something else is there.
    """
    safe = {"use_safetensors": True} if kind in (AutoModel, AutoModelForCausalLM) else {}
    try:
        return kind.from_pretrained(where, **safe, **settings)
    except OSError as error:
        raise AccessError(f"{where}: {' '.join(str(error).split())[:200]}") from error
    except ValueError as error:
        raise UsageError(f"{where}: {' '.join(str(error).split())[:200]}") from error
