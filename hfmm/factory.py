"""From a name and a preset to a model or a processor."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from importlib import import_module
from inspect import signature
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel, ProcessorMixin
from transformers.backbone_utils import BackboneConfigMixin
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from hfmm import catalogue
from hfmm.catalogue import PIPELINE, Row
from hfmm.errors import UsageError, unknown
from hfmm.nn.byte_pairs import pair_processor
from hfmm.nn.chat_processing import chat_processor
from hfmm.nn.word_pieces import word_piece_processor
from hfmm.registration import pipeline_module

WHOLE = 1 << 16  # pixels, more than any JPEG has
Preset = Mapping[str, Mapping[str, Any]]
FROM_CORPUS: dict[str, Callable[..., Any]] = {  # upstream's, which cannot build one
    "CLIPProcessor": pair_processor,
    "LlavaProcessor": chat_processor,
    "ViltProcessor": word_piece_processor,
}
WORDS = ("bos_token_id", "eos_token_id", "pad_token_id")
PARTS_FROM = ("diffusers", "transformers", "diffusers.pipelines.latent_diffusion")  # of a pipeline


def ready_row(name: str) -> Row:
    """The row of an architecture that can be built.

    Raises:
        UsageError: No such name, or it is planned, or it is a tool or a reference.
    """
    row = catalogue.find(name)
    if row is None:
        raise unknown("architecture", name, (row.name for row in catalogue.ROWS))
    if row.origin in ("tool", "reference"):
        raise UsageError(f"'{name}' is a {row.origin}, not an architecture: see `hfmm info {name}`")
    if row.status != "ready":
        raise UsageError(f"'{name}' is planned and not built yet: `hfmm list --status ready` shows what is")
    return row


def presets(row: Row) -> dict[str, Preset]:
    """The presets of an architecture's folder, by name; reading them imports nothing heavy."""
    found: dict[str, Preset] = import_module(f"{row.folder}.presets").PRESETS
    return found


def find_preset(row: Row, name: str) -> Preset:
    """One preset.

    Raises:
        UsageError: No such preset.
    """
    known = presets(row)
    if name not in known:
        raise unknown(f"preset of {row.name}", name, known)
    return known[name]


def _class(row: Row, kind: str, name: str) -> Any:
    """A class of an architecture's own file of that kind, or of transformers or diffusers."""
    if row.origin != "transformers" and name.startswith(row.stem):
        return getattr(import_module(f"{row.folder}.{kind}_{row.name}"), name)
    return getattr(import_module("diffusers" if row.auto[0] == (PIPELINE, name) else "transformers"), name)


def model_class(row: Row, auto: str | None = None) -> type[PreTrainedModel]:
    """The class that the catalogue gives for an Auto class; its first entry by default."""
    name = dict(row.auto)[auto] if auto else row.auto[0][1]
    found: type[PreTrainedModel] = _class(row, "modeling", name)
    return found


def pipeline_class(row: Row) -> Any:
    """The diffusers pipeline of an architecture that generates pictures; diffusers must be installed."""
    return getattr(import_module(pipeline_module(row)), row.pipeline)


def config_class(row: Row) -> type[PreTrainedConfig]:
    """The configuration class of an architecture."""
    return CONFIG_MAPPING[row.model_type]


def _checked(overrides: Mapping[str, Any], kind: type[PreTrainedConfig], where: str) -> None:
    """Refuse keys that the configuration does not have: PreTrainedConfig itself swallows them."""
    known = {field.name for field in fields(kind)} | {"id2label", "label2id", "num_labels"}
    if issubclass(kind, BackboneConfigMixin):
        known |= {"out_features", "out_indices"}
    for key, value in overrides.items():
        if key not in known:
            raise unknown(f"key of {where}", key, known)
        if isinstance(value, Mapping):
            nested = {name: item for name, item in value.items() if name != "model_type"}
            named = value.get("model_type", "")
            inner = CONFIG_MAPPING[named] if named in CONFIG_MAPPING else kind.sub_configs.get(key)
            if inner is not None and issubclass(inner, PreTrainedConfig):  # and not AutoConfig
                _checked(nested, inner, f"{where}.{key}")


def word_sizes(kind: type[PreTrainedConfig], tokenizer: Any) -> dict[str, Any]:
    """What a tokenizer decides of a configuration: how many words it has, or its text tower, which then also reads
    where a text starts and ends.
    """
    known = kind.__dataclass_fields__
    if "text_config" in known:
        return {"text_config": {"vocab_size": len(tokenizer)} | {name: getattr(tokenizer, name) for name in WORDS}}
    return {"vocab_size": len(tokenizer)} if "vocab_size" in known else {}


def merged(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`overrides` over `base`; nested mappings are merged unless they name another model type."""
    both = dict(base)
    for key, value in overrides.items():
        inside = both.get(key)
        same_kind = isinstance(inside, Mapping) and isinstance(value, Mapping) and "model_type" not in value
        both[key] = merged(inside, value) if same_kind else value  # type: ignore[arg-type]
    return both


def create_config(name: str, preset: str = "tiny", **overrides: Any) -> PreTrainedConfig:
    """Build the configuration of a preset.

    Args:
        name: An architecture of the catalogue.
        preset: One of its presets.
        overrides: Fields of its configuration; nested configurations as dictionaries.

    Raises:
        UsageError: An unknown name, preset or field, or fields that contradict each other.
    """
    row = ready_row(name)
    chosen = find_preset(row, preset)
    kind = config_class(row)
    settings = merged(chosen["config"], overrides)
    if "id2label" in overrides:
        settings.pop("num_labels", None)  # the preset's, of other data
    _checked(settings, kind, name)
    with_words = kind.__dataclass_fields__.keys() & {"vocab_size", "text_config"}
    if with_words and "vocab_size" not in {**settings, **settings.get("text_config", {})}:
        sizes = word_sizes(kind, create_processor(name, preset).tokenizer)  # of the built-in grammar
        settings = merged(sizes, settings)
    try:
        return kind(**settings)
    except Exception as error:  # @strict wraps what validation raises in classes of its own
        raise UsageError(f"{name}: {' '.join(str(error.__cause__ or error).split())}") from error


def create_model(name: str, preset: str = "tiny", auto: str | None = None, **overrides: Any) -> Any:
    """Build a model with random weights; a diffusers pipeline, where that is the model.

    Args:
        name: An architecture of the catalogue.
        preset: One of its presets.
        auto: The Auto class whose head to build, such as "AutoModel"; the catalogue's first by default.
        overrides: Fields of its configuration; of a pipeline, a dictionary of these for each part.

    Raises:
        UsageError: An unknown name, preset, head or field.
    """
    row = ready_row(name)
    if auto is not None and auto not in dict(row.auto):
        raise unknown(f"head of {name}", auto, dict(row.auto))
    if row.origin == "diffusers":
        return _pipeline(row, preset, overrides)
    kind = model_class(row, auto)
    model = kind(create_config(name, preset, **overrides))
    if row.origin == "transformers":
        _begin(model)
    generation = find_preset(row, preset).get("generation", {})
    if generation:
        model.generation_config.update(**generation)
    return model


def module_class(row: Row, auto: str | None = None) -> Any:
    """The class of what trains: the model's own, or that of a pipeline's parts as one module."""
    return _class(row, "modeling", f"{row.stem}Model") if row.origin == "diffusers" else model_class(row, auto)


def create_module(name: str, preset: str = "tiny", auto: str | None = None, **overrides: Any) -> Any:
    """What [`create_model`] builds, as a module: a pipeline's parts are one."""
    row, model = ready_row(name), create_model(name, preset, auto, **overrides)
    return module_class(row)(model) if row.origin == "diffusers" else model


def _pipeline(row: Row, preset: str, overrides: Mapping[str, Any]) -> Any:
    """A diffusers pipeline of a preset's parts: settings with the name of a class, or parts that are there already.

    Raises:
        UsageError: An unknown part or field, or fields that contradict each other.
    """
    chosen = find_preset(row, preset)["config"]
    given = merged(chosen, overrides)
    if chosen.get("tokenizer", "") is None:  # which the processor has, that of the built-in grammar by default
        tokenizer = given["tokenizer"] or create_processor(row.name, preset).tokenizer
        read = {"vocab_size": len(tokenizer)} | {name: getattr(tokenizer, name) for name in WORDS}
        known = _fields_of(_class_of_part(given["text_encoder"]))
        sizes = {"text_encoder": {key: value for key, value in read.items() if key in known}}
        given = merged(sizes, given) | {"tokenizer": tokenizer}
    for name in given:
        if name not in chosen:
            raise unknown(f"part of {row.name}", name, chosen)
    parts = {
        name: _pipeline_part(f"{row.name}.{name}", part) if isinstance(part, Mapping) else part
        for name, part in given.items()
    }
    return model_class(row)(**parts)


def _class_of_part(settings: Mapping[str, Any]) -> Any:
    """The class of diffusers or transformers that settings name."""
    name = settings["_class_name"]
    return getattr(next(module for module in map(import_module, PARTS_FROM) if name in dir(module)), name)


def _fields_of(kind: Any) -> list[str]:
    """What a class of a part, or its configuration class, takes."""
    return [key for key in signature(getattr(kind, "config_class", kind).__init__).parameters if key != "self"]


def _pipeline_part(where: str, settings: Mapping[str, Any]) -> Any:
    """A model or scheduler of diffusers, or a model of transformers, of settings with `_class_name`."""
    kind = _class_of_part(settings)
    given = {key: value for key, value in settings.items() if key != "_class_name"}
    known = _fields_of(kind)
    for key in given:
        if key not in known:
            raise unknown(f"key of {where}", key, known)
    try:
        if issubclass(kind, PreTrainedModel):
            return kind(kind.config_class(**given))  # type: ignore[misc]
        return kind(**given)
    except (ValueError, StrictDataclassError) as error:
        raise UsageError(f"{where}: {' '.join(str(error).split())}") from error


def _begin(model: PreTrainedModel) -> None:
    """Make an upstream model fit to learn from nothing: upstream expects its checkpoints.

    All of it is trained (DETR freezes its backbone), and tokens and positions that are zero, so that no two of them
    differ (YOLOS), are drawn as the papers draw them.
    """
    model.requires_grad_(True)
    for parameter in model.parameters():
        if not parameter.is_meta and parameter.dim() > 2 and not parameter.any():
            nn.init.trunc_normal_(parameter, std=model.config.initializer_range)


def create_processor(name: str, preset: str = "tiny", captions: Iterable[str] | None = None, **overrides: Any) -> Any:
    """Build the processor of a preset.

    Args:
        name: An architecture of the catalogue.
        preset: One of its presets.
        captions: The corpus of a word-level vocabulary; the built-in scenes grammar's words when there is none.
        overrides: Settings of the processor; `image_size` may be a side or [height, width].

    Raises:
        UsageError: An unknown name, preset or setting.
    """
    row = ready_row(name)
    settings = {**find_preset(row, preset)["processor"], **overrides}
    own = dict(row.processors).get("AutoProcessor")
    if own is not None:
        if captions is None:
            from hfmm.data import scenes

            captions = scenes.vocabulary()
            settings |= {"min_count": 1, "max_words": None}  # a word list has no counts
        build = FROM_CORPUS[own] if own in FROM_CORPUS else _class(row, "processing", own).from_corpus
        return build(captions, **settings)
    size = settings.pop("image_size")
    kind = processor_class(row)
    height, width = size if isinstance(size, list | tuple) else (size, size)
    whole = {"height": height, "width": width}
    crops = getattr(kind, "do_center_crop", False) and not kind.default_to_square
    return kind(size={"shortest_edge": size} if crops else whole, crop_size=whole, **settings)


def processor_class(row: Row) -> Any:
    """The class of an architecture's processor, or of its image processor where it reads nothing else."""
    auto, name = row.processors[0]
    kinds = {"AutoProcessor": "processing", "AutoImageProcessor": "image_processing"}
    return _class(row, kinds[auto], name)


def picture_size(processor: Any) -> tuple[int, int]:
    """(height, width) in pixels of what a processor makes of a picture, which a larger JPEG may be decoded to."""
    image_processor = processor.image_processor if isinstance(processor, ProcessorMixin) else processor
    crop: Any = getattr(image_processor, "crop_size", None)
    is_cut = image_processor.do_resize and crop  # else it is needed whole
    return (crop["height"], crop["width"]) if is_cut else (WHOLE, WHOLE)
