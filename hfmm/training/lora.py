"""Low-rank adapters (Hu et al. 2022, arXiv 2106.09685) in named parts of a model, and nowhere else.

A target is the name of a part (`language`, `encoder`, `model.decoder`) or a regular expression that has to match the
whole name of a layer. One that matches nothing is refused, and so is one that reaches a tower nobody named: nothing in
a loss curve tells of adapters that slipped into a picture tower.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import BitsAndBytesConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from hfmm.errors import UsageError, unknown
from hfmm.loading import ADAPTER
from hfmm.training.objectives.base import Fit, Objective
from hfmm.training.parts import PARTS, find, inside
from hfmm.training.recipe import LoraSection

WHOLE = ("projector",)  # trained whole, as small as adapters would be, and saved with them
KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, Conv1D)  # and no subclass: what computes something else, adapters would spoil
PLAIN = (1, {1}, "zeros")  # groups, dilation and padding of the convolutions that peft adapts as they are
QUANTIZATIONS: dict[str, dict[str, Any]] = {
    "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True},
    "int8": {"load_in_8bit": True},
}


def check(section: LoraSection, base: str | None, objective: type[Objective]) -> None:
    """Refuse adapters over nothing, over adapters, for what learns without gradients, or in a form not to be had here.

    Raises:
        UsageError: It is so.
    """
    if section.targets:
        if base is None:
            raise UsageError("lora.targets adapt a trained model: name it with --init-from RUN")
        if (Path(base) / ADAPTER).exists():
            raise UsageError(
                f"{base} holds adapters itself: start from what `hfmm publish {base} --merge --local-dir DIR` writes"
            )
    elif section.quantization is not None or section.also_train:
        raise UsageError("lora: name the parts that get adapters with --lora-on")
    if section.quantization not in (None, *QUANTIZATIONS):
        raise unknown("lora.quantization", str(section.quantization), QUANTIZATIONS)
    if section.quantization is not None and find_spec("bitsandbytes") is None:
        raise UsageError("lora.quantization needs bitsandbytes: pip install bitsandbytes")
    if section.targets and issubclass(objective, Fit):
        raise UsageError("lora.targets: this objective learns by counting, which moves no weights that adapters could")


def quantized(model: PreTrainedModel, section: LoraSection, where: str | None, device: torch.device) -> PreTrainedModel:
    """The model again, the layers that get adapters stored in 4 or 8 bits (Dettmers et al. 2023, arXiv 2305.14314).

    Args:
        model: As it was loaded; given back where no quantization is asked for.
        section: Which layers, and how.
        where: The folder that it was loaded from.
        device: To load it on.
    """
    if section.quantization is None:
        return model
    chosen = layers(model, section.targets)
    others = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear) and name not in chosen]
    settings = BitsAndBytesConfig(
        **QUANTIZATIONS[section.quantization],
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=others,
    )
    return type(model).from_pretrained(where, quantization_config=settings, device_map={"": device})


def adapt(model: nn.Module, section: LoraSection, base: str | None) -> Any | None:
    """Put adapters into a model, in place.

    Args:
        model: Keeps its class; what is neither adapter nor trained whole is frozen.
        section: Which parts, and how.
        base: Directory of the model, which is noted with the adapters.

    Returns:
        The `PeftModel` around it, which saves and loads the adapters alone; None where none are asked for.

    Raises:
        UsageError: A target matches nothing, is ambiguous, or reaches a tower that nobody named.
    """
    if not section.targets:
        return None
    from peft import LoraConfig, get_peft_model  # takes seconds to import

    from hfmm.training.adapted import AdaptedLinear

    whole = sorted({_path(model, word) for word in (*_whole(section.targets), *section.also_train)})
    chosen = [name for name in layers(model, section.targets) if not any(inside(name, path) for path in whole)]
    if not chosen:
        raise UsageError(f"lora.targets: {', '.join(whole)} is trained whole: name a part that gets adapters, too")
    _hold_buffers(model)
    model.name_or_path = base  # type: ignore[assignment]
    settings = LoraConfig(
        r=section.rank,
        lora_alpha=section.alpha,  # type: ignore[arg-type]
        lora_dropout=section.dropout,
        target_modules=pattern_of(chosen, model),
        modules_to_save=whole or None,
    )
    if all(type(model.get_submodule(name)) in KINDS for name in chosen):  # PEFT has its own for quantized layers
        settings._register_custom_module({nn.Linear: AdaptedLinear})
    return get_peft_model(model, settings)  # type: ignore[arg-type]


def _hold_buffers(model: nn.Module) -> None:
    """Undo what a forward pass in training notes in statistics: they are the base's, and not saved with adapters."""
    held = {name: (buffer.clone(), buffer._version) for name, buffer in model.named_buffers()}

    def restore(module: nn.Module, given: Any, output: Any) -> None:
        for name, buffer in module.named_buffers():
            kept, version = held.get(name, (buffer, buffer._version))
            if buffer._version != version:
                buffer.copy_(kept)
                held[name] = (kept, buffer._version)

    model.register_forward_hook(restore)


def check_players(section: LoraSection, players: Mapping[str, nn.Module]) -> None:
    """Refuse adapters that leave a player nothing to train.

    Raises:
        UsageError: There is such a player.
    """
    for name, part in players.items():
        if section.targets and not any(parameter.requires_grad for parameter in part.parameters()):
            raise UsageError(
                f"lora.targets leave the player '{name}' nothing to train: name a part of it, or train it whole with "
                f"lora.also_train=[{name}]"
            )


def layers(model: nn.Module, targets: Iterable[str]) -> list[str]:
    """Names of the layers that targets mean, in the model's order.

    Raises:
        UsageError: A target matches nothing, is ambiguous, or reaches a tower that nobody named.
    """
    words = [target for target in targets if target not in WHOLE]
    known = adaptable(model)
    found: set[str] = set()
    named = {target: find(model, target) for target in words}
    for target, path in named.items():
        fits = re.compile(rf"{re.escape(path)}(\..*)?") if path is not None else _compiled(target)
        hits = [name for name in known if fits.fullmatch(name)]
        if not hits:
            raise UsageError(
                f"lora.targets: '{target}' matches no layer that adapters fit; parts: {', '.join(parts(model))}"
            )
        _check_towers(model, target, hits, {word: part for word, part in named.items() if part is not None})
        found.update(hits)
    return [name for name in known if name in found]


def adaptable(model: nn.Module) -> list[str]:
    """Names of the layers that adapters fit, and can be merged into."""
    return [name for name, layer in model.named_modules() if _fits(layer)]


def parts(model: nn.Module) -> list[str]:
    """Names of the parts in which there are such layers: words that are known of every model, then the model's own."""
    words = [word for word in PARTS if find(model, word) is not None]
    own = [name for name, _ in _own_parts(model)]
    return words + [name for name in own if any(inside(layer, name) for layer in adaptable(model))]


def pattern_of(names: list[str], model: nn.Module) -> str:
    """One regular expression for layers by name, their numbers left open where that reaches no other layer."""
    shapes = dict.fromkeys(re.sub(r"\\\.\d+(?=\\\.|$)", r"\\.\\d+", re.escape(name)) for name in names)
    pattern = "|".join(shapes)
    exact = [name for name, _ in model.named_modules() if re.fullmatch(pattern, name)] == names
    return pattern if exact else "|".join(map(re.escape, names))


def _fits(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv1d | nn.Conv2d) and (layer.groups, {*layer.dilation}, layer.padding_mode) != PLAIN:
        return False
    return type(layer) in KINDS or type(layer).__module__.startswith("bitsandbytes.")


def _whole(targets: Iterable[str]) -> list[str]:
    return [target for target in targets if target in WHOLE]


def _own_parts(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """A model's parts, and the parts of these, by name."""
    for name, part in model.named_children():
        yield name, part
        yield from ((f"{name}.{inner}", piece) for inner, piece in part.named_children())


def _path(model: nn.Module, word: str) -> str:
    """The full name of the part that a word means.

    Raises:
        UsageError: There is none, or there are several.
    """
    path = find(model, word)
    if path is None:
        raise unknown(f"part of {type(model).__name__}", word, (*parts(model),))
    return path


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UsageError(f"lora.targets: '{pattern}' is neither a part nor a regular expression ({error})") from error


def towers(model: nn.Module) -> dict[str, bool]:
    """Nested models with weights of their own, the outermost by name, and whether each looks at pictures."""
    if not isinstance(model, PreTrainedModel):  # the parts of a diffusers pipeline
        return {name: False for name, _ in model.named_children()}
    found: dict[str, bool] = {}
    for name, part in model.named_modules():
        nested = isinstance(part, PreTrainedModel) and part is not model and part is not model.base_model
        if nested and not any(inside(name, outer) for outer in found):
            found[name] = part.main_input_name == "pixel_values" or name.rpartition(".")[2] in PARTS["vision"]
    return found


def _check_towers(model: nn.Module, target: str, hits: list[str], asked: Mapping[str, str]) -> None:
    """Refuse a target that reaches several towers, or that of a reader's pictures, without naming it."""
    reached = {tower: [name for name in hits if inside(name, tower)] for tower in towers(model)}
    reached = {tower: found for tower, found in reached.items() if found}
    reads = isinstance(model, PreTrainedModel) and {"vocab_size", "text_config"} & model.config.to_dict().keys()
    for tower, found in reached.items():
        named = tower.rpartition(".")[2] in target or any(inside(path, tower) for path in asked.values())
        is_whole = target in asked and found == hits
        guarded = len(reached) > 1 or (towers(model)[tower] and reads)
        if guarded and not (named or is_whole):
            raise UsageError(
                f"lora.targets: '{target}' also reaches {len(found)} layers of {tower}: add that part by name, or "
                "anchor the pattern to the part that is meant"
            )
