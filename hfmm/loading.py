"""The one way in for a trained model: a run directory, one of its checkpoints, or a Hub repository."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, AutoImageProcessor, AutoProcessor
from transformers.utils import cached_file
from transformers.utils import logging as hub_logging

from hfmm import catalogue, factory
from hfmm.catalogue import Row
from hfmm.device import multiplies_bf16
from hfmm.errors import AccessError, DataError, UsageError
from hfmm.upstream import row_of_type

ADAPTER, CONFIG, INDEX = "adapter_config.json", "config.json", "model_index.json"

hub_logging.disable_progress_bar()  # a bar for a file that is read in a moment is noise


@dataclass(frozen=True)
class Loaded:
    """A model with what it needs, in evaluation mode.

    Attributes:
        model: On its device; of a diffusers pipeline, its parts as one module.
        processor: Its processor.
        row: Its row of the catalogue, the task and the head that it is of first.
        where: Directory or repository.
    """

    model: Any
    processor: Any
    row: Row
    where: str


def load(where: str | Path, device: str = "cpu", revision: str | None = None) -> Loaded:
    """Load a model and its processor, from safetensors only.

    Args:
        where: A directory or a Hub id.
        device: As torch names it.
        revision: Branch, tag or commit of a repository.

    Raises:
        UsageError: Nothing to load there, or not an architecture of the catalogue.
        DataError: A file is damaged.
        AccessError: The Hub cannot be reached or refuses.
    """
    path = Path(where)
    if (path / ADAPTER).exists():
        return _adapted(path, device)
    if path.exists():
        _check_directory(path)
    elif len(path.parts) != 2:
        raise UsageError(f"{where}: no such run directory")
    try:
        if _is_pipeline(where, revision):
            return _pipeline(where, device, revision)
        config = AutoConfig.from_pretrained(where, revision=revision)
        row = row_of_type(config.model_type)
        if row is None:
            raise UsageError(f"{where} holds a '{config.model_type}', which is not in the catalogue")
        row = row.of_class((config.architectures or [""])[0])
        auto = row.auto[0][0]
        model = getattr(transformers, auto).from_pretrained(where, revision=revision, use_safetensors=True)
        processor = _reader(row).from_pretrained(where, revision=revision)
        if row.stands_in and not all(getattr(processor, name, None) for name in ("chat_template", "image_token")):
            raise UsageError(
                f"{where} holds a '{config.model_type}', which has no chat template with placeholders of pictures"
            )
    except (SafetensorError, json.JSONDecodeError) as error:
        raise DataError(
            f"{where}: a file is damaged ({' '.join(str(error).split())}): copy or train it again"
        ) from error
    except OSError as error:
        if path.exists():
            raise DataError(f"{where}: {' '.join(str(error).split())}") from error
        raise AccessError(f"{where}: neither a directory here nor a repository that can be reached") from error
    return Loaded(_placed(model, device).eval(), processor, row, str(where))


def _placed(model: Any, device: str) -> Any:
    """A model on its device, in a type that this multiplies in: on a CPU never fp16, and not always bf16."""
    if torch.device(device).type == "cpu" and model.dtype in (torch.float16, torch.bfloat16):
        return model.to(torch.bfloat16 if multiplies_bf16(on_gpu=False) else torch.float32)
    return model.to(device)


def _is_pipeline(where: str | Path, revision: str | None) -> bool:
    """Whether no model lies at the root: a diffusers pipeline has its models in folders."""
    if Path(where).exists():
        return not (Path(where) / CONFIG).exists()
    return cached_file(where, CONFIG, revision=revision, _raise_exceptions_for_missing_entries=False) is None


def _pipeline(where: str | Path, device: str, revision: str | None) -> Loaded:
    """A diffusers pipeline, its parts as one module."""
    index = cached_file(where, INDEX, revision=revision)
    name = json.loads(Path(str(index)).read_text(encoding="utf-8"))["_class_name"]
    row = catalogue.of_pipeline(str(name))
    if row is None:
        raise UsageError(f"{where} holds a '{name}', which is not in the catalogue")
    model = factory.module_class(row).from_pretrained(where, revision=revision)
    processor = factory.processor_class(row).from_pretrained(where, revision=revision)
    return Loaded(model.to(device).eval(), processor, row, str(where))


def _adapted(path: Path, device: str) -> Loaded:
    """A model with the low-rank adapters of a directory in it; its base is loaded first, and keeps its class."""
    from peft import PeftModel

    base = load(json.loads((path / ADAPTER).read_text(encoding="utf-8"))["base_model_name_or_path"], device)
    adapted: Any = PeftModel.from_pretrained(base.model, str(path))
    processor = base.processor if base.row.origin == "diffusers" else _reader(base.row).from_pretrained(path)
    return Loaded(adapted.get_base_model().eval(), processor, base.row, str(path))


def _reader(row: Row) -> Any:
    """The Auto class of an architecture's processor."""
    return AutoProcessor if "AutoProcessor" in dict(row.processors) else AutoImageProcessor


def _check_directory(path: Path) -> None:
    """Say what is missing from a directory before transformers does it in twenty lines."""
    if not any((path / name).exists() for name in (CONFIG, INDEX)):
        checkpoints = sorted(path.glob("checkpoints/step-*"))
        hint = (
            f"the run is not finished; its newest checkpoint is {checkpoints[-1]}"
            if checkpoints
            else f"no {CONFIG} in it"
        )
        raise UsageError(f"{path} holds no model: {hint}")
    if not any(path.glob("**/*.safetensors")):
        raise UsageError(f"{path} holds no weights: no .safetensors file in it")
