"""The tree that is published: what a run directory or a saved model becomes before it leaves the house."""

import json
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import transformers
from transformers import AutoConfig

from hfmm import __version__, catalogue
from hfmm.catalogue import Row
from hfmm.errors import DataError, UsageError
from hfmm.hub import cards
from hfmm.hub.bundle import CONFIG, bundle
from hfmm.hub.checks import check_finite, check_fits, check_no_pickles, check_private
from hfmm.hub.model_index import evaluation_files, hub_card
from hfmm.hub.pipelines import INDEX
from hfmm.upstream import row_of_type

ADAPTER, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
KEPT = (
    CONFIG, "generation_config.json", "*.safetensors", "*.safetensors.index.json", "processor_config.json",
    "preprocessor_config.json", "video_preprocessor_config.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "chat_template.jinja",
    "recipe.yaml", "results.json",
)  # fmt: skip
PARTS = ("scheduler", "text_encoder", "tokenizer", "unet", "vae")  # of a diffusers pipeline, each a folder
IN_PARTS = ("*.json", "*.safetensors", "*.txt")
PUBLISHED = ("*.py", ".eval_results/*.yaml", "images/*.png", "README.md", "LICENSE")
OF_PARTS = tuple(f"{part}/{pattern}" for part in PARTS for pattern in IN_PARTS)
WRITTEN = (*KEPT, INDEX, *OF_PARTS, *PUBLISHED)  # and replaced when published again
OF_CODE = f"""The code in this repository (the .py files) comes from hfmm {__version__} and is licensed under the
Apache License, Version 2.0: https://www.apache.org/licenses/LICENSE-2.0

"""
OF_WEIGHTS = """README.md states the license of the weights, and those of the data they were trained on.
"""


def stage(where: Path, tree: Path, repo_id: str, merge: bool = False) -> Row:
    """Write what is published.

    Args:
        where: A run directory, or a folder that `save_pretrained` wrote.
        tree: An empty folder.
        repo_id: What the card calls it.
        merge: Add low-rank adapters to the weights they adapt.

    Returns:
        The row of the architecture.

    Raises:
        UsageError: There is no model of the catalogue.
        DataError: Something in it must not be published, or is damaged.
    """
    if not where.is_dir():
        raise UsageError(f"{where}: no such run directory")
    check_no_pickles(where)
    for pattern in KEPT:
        for path in where.glob(pattern):
            shutil.copyfile(path, tree / path.name)
    _copy_parts(where, tree)
    if (where / ADAPTER).exists():
        _merged(where, tree, merge)
    elif merge:
        raise UsageError(f"{where} holds no low-rank adapters (no {ADAPTER}): publish it without --merge")
    _check_whole(where, tree)
    row = row_of(tree)
    check_finite(sorted(tree.rglob("*.safetensors")))
    if row.origin == "hfmm":
        check_fits(tree, row)
    if row.origin != "diffusers":
        bundle(tree)
    results = tree / "results.json"
    rows: list[dict[str, Any]] = _read(results) if results.exists() else []
    own_code = any(tree.glob("*.py"))
    card = hub_card(row, rows, repo_id, _reader(row, tree), own_code)
    notice = OF_CODE + OF_WEIGHTS if own_code else OF_WEIGHTS
    texts = {"README.md": card, "LICENSE": notice, **evaluation_files(rows)}
    for name, text in texts.items():
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text(text, encoding="utf-8")
    cards.copy_pictures(row, tree)
    check_private(tree)
    return row


def row_of(folder: Path) -> Row:
    """The row of the model in a folder.

    Raises:
        UsageError: The catalogue does not have it.
        DataError: Its configuration is damaged.
    """
    if (folder / CONFIG).exists():
        name = _read(folder / CONFIG).get("model_type", "")
        row = row_of_type(name)
    else:
        name = _read(folder / INDEX).get("_class_name", "")
        row = catalogue.of_pipeline(name)
    if row is None or not row.auto:
        raise UsageError(f"'{name}' is no architecture of the catalogue: `hfmm list` shows what is")
    return row


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path.name} is damaged ({error}): save or train the model again") from error


def _copy_parts(where: Path, tree: Path) -> None:
    """Copy the parts of a diffusers pipeline that has no model at its root, whose index training writes."""
    if (where / CONFIG).exists() or not (where / INDEX).exists():
        return
    shutil.copyfile(where / INDEX, tree / INDEX)
    for name in _read(where / INDEX):
        for pattern in IN_PARTS:
            for path in (where / name).glob(pattern):
                (tree / name).mkdir(exist_ok=True)
                shutil.copyfile(path, tree / name / path.name)


def _check_whole(where: Path, tree: Path) -> None:
    """Say what is missing."""
    if not any((tree / name).exists() for name in (CONFIG, INDEX)):
        raise UsageError(f"{where} holds no model: no {CONFIG} in it")
    found = {path.name for path in tree.rglob("*.safetensors")}
    if not found:
        raise UsageError(f"{where} holds no weights: no .safetensors file in it")
    for index in tree.rglob("*.safetensors.index.json"):
        missing = set(_read(index)["weight_map"].values()) - found
        if missing:
            raise DataError(f"{where}: {index.name} names {min(missing)}, which is not there: copy it again")


def _reader(row: Row, tree: Path) -> str | None:
    """The Auto class that loads the processor of a folder."""
    if not any((tree / name).exists() for name in ("processor_config.json", "preprocessor_config.json")):
        return None
    return next(auto for auto, _ in row.processors)


def _merged(where: Path, tree: Path, merge: bool) -> None:
    """Write the model that adapters make of their base."""
    base = _read(where / ADAPTER)["base_model_name_or_path"]
    if not base:
        raise UsageError(f"{where} holds low-rank adapters that do not say what they adapt: train with --init-from")
    if not merge:
        raise UsageError(f"{where} holds low-rank adapters over {base}: add --merge to publish the two as one model")
    from peft import PeftModel

    model = _pipeline(base) if (Path(base) / INDEX).exists() and not (Path(base) / CONFIG).exists() else _model(base)
    adapted: Any = PeftModel.from_pretrained(model, str(where))
    (tree / ADAPTER_WEIGHTS).unlink(missing_ok=True)
    adapted.merge_and_unload().save_pretrained(tree)


def _model(base: str) -> Any:
    """The model that adapters adapt."""
    config = AutoConfig.from_pretrained(base)
    row = row_of_type(config.model_type)
    if row is None:
        raise UsageError(f"{base}, which the adapters adapt, is not in the catalogue")
    row = row.of_class((config.architectures or [""])[0])
    return getattr(transformers, row.auto[0][0]).from_pretrained(base, use_safetensors=True)


def _pipeline(base: str) -> Any:
    """The parts of the pipeline that adapters adapt, as one module."""
    row = row_of(Path(base))
    return getattr(import_module(f"{row.folder}.modeling_{row.name}"), f"{row.stem}Model").from_pretrained(base)
