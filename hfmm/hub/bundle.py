"""The code of an architecture beside its weights, so that a checkpoint loads where hfmm has never been heard of.

One file is the entry, `modeling_<name>.py`: all auto maps name it, and it imports the others. Were two files named,
transformers would copy them apart when they come from a folder, and the model's configuration class would exist twice.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from hfmm import catalogue
from hfmm.catalogue import Row
from hfmm.errors import UsageError
from hfmm.files import write_atomically
from hfmm.hub.flatten import basename, flatten
from hfmm.hub.pipelines import code_of_pipeline, write_index
from hfmm.registration import class_files

PREFIX = "hfmm_"
CONFIG = "config.json"
PROCESSOR_FILES = {  # Auto class -> the files in which its auto map is looked for
    "AutoProcessor": ("processor_config.json",),
    "AutoImageProcessor": ("preprocessor_config.json",),
    "AutoFeatureExtractor": ("preprocessor_config.json",),
    "AutoVideoProcessor": ("video_preprocessor_config.json",),
    "AutoTokenizer": ("tokenizer_config.json",),
}


def bundle(folder: Path) -> list[str]:
    """Write the code of the model of a folder beside it, and the auto maps that lead to it.

    Args:
        folder: Holds `config.json` and the files of the processor, if there is one.

    Returns:
        Names of the files of code; none where the architecture is transformers' own.
    """
    config = AutoConfig.from_pretrained(folder)
    rows = architectures(config)
    if not rows:
        return []
    code = code_of(rows)
    if rows[0].pipeline:
        code |= code_of_pipeline(rows[0], code)
        write_index(folder, rows[0], with_code=True)
    for name, text in code.items():
        write_atomically(folder / name, text)
    for name, auto_map in auto_maps(rows[0]).items():
        path = folder / name
        if path.exists():
            settings = json.loads(path.read_text(encoding="utf-8"))
            settings["auto_map"] = auto_map
            write_atomically(path, json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    return list(code)


def architectures(config: PreTrainedConfig) -> list[Row]:
    """The own architectures of a configuration: its own first, then those of nested configurations.

    Those that only its defaults nest are among them: writing a configuration compares it with its defaults.
    """
    if not config.model_type.startswith(PREFIX):
        return []
    found: dict[str, Row] = {}
    waiting = [config.to_dict()]
    while waiting:
        for model_type in model_types(waiting.pop()):
            name = model_type.removeprefix(PREFIX)
            row = catalogue.find(name)
            if row is None or row.status != "ready":
                raise UsageError(f"'{model_type}' is not in the catalogue, so its code cannot be published")
            if name not in found:
                found[name] = row
                waiting.append(AutoConfig.for_model(model_type).to_dict())
    return list(found.values())


def model_types(settings: Mapping[str, Any]) -> Iterator[str]:
    """Own model types of a configuration, the outermost first."""
    if str(settings.get("model_type", "")).startswith(PREFIX):
        yield settings["model_type"]
    for value in settings.values():
        if isinstance(value, Mapping):
            yield from model_types(value)


def code_of(rows: list[Row]) -> dict[str, str]:
    """Sibling files of code for architectures, the first of which holds the others: file name to text."""
    modules = dict.fromkeys(module for row in rows for module in class_files(row).values())
    code = flatten(modules)
    entry = f"{entry_of(rows[0])}.py"
    code[entry] += f"\n\n{_ending(rows[0], rows[1:])}"
    return code


def entry_of(row: Row) -> str:
    """The module that the auto maps of an architecture name."""
    return f"modeling_{row.name}"


def auto_maps(row: Row) -> dict[str, dict[str, Any]]:
    """The auto map of each file of settings."""
    entry, own = entry_of(row), class_files(row)
    maps: dict[str, dict[str, Any]] = {
        CONFIG: {"AutoConfig": f"{entry}.{row.stem}Config"} | {auto: f"{entry}.{name}" for auto, name in row.auto}
    }
    for auto, name in row.processors:
        if name in own:
            said: Any = [f"{entry}.{name}", None] if auto == "AutoTokenizer" else f"{entry}.{name}"
            for file in PROCESSOR_FILES[auto]:
                maps.setdefault(file, {})[auto] = said
    return maps


def _ending(row: Row, nested: list[Row]) -> str:
    """What the entry has after the model: the other files, and the nested architectures made known by name."""
    own = [f"{row.stem}Config", *(name for name in class_files(row) if name in dict(row.processors).values())]
    autos = sorted({auto for part in nested for auto, _ in part.auto} | {"AutoConfig"}) if nested else []
    lines = ["# Appended by hfmm: what else is published with the model."]
    lines += [f"from transformers import {', '.join(autos)}  # noqa: E402"] if autos else []
    for part in (row, *nested):
        names: dict[str, list[str]] = {}
        for name, module in class_files(part).items():
            names.setdefault(basename(module), []).append(name)
        names.pop(entry_of(row), None)
        lines += [f"from .{module} import {', '.join(kinds)}  # noqa: E402" for module, kinds in names.items()]
    lines += [f"{name}.__module__ = __name__  # saved again, its auto map names this file, too" for name in own]
    for part in nested:
        lines.append(f'AutoConfig.register("{part.model_type}", {part.stem}Config, exist_ok=True)')
        lines += [f"{auto}.register({part.stem}Config, {name}, exist_ok=True)" for auto, name in part.auto]
    return "\n".join(lines) + "\n"
