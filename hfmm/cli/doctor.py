"""`hfmm doctor`: what is installed and what it runs on, and what is wrong with a data set."""

import os
import platform
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from hfmm import __version__
from hfmm.cli.common import Parser, columns, print_json, talk
from hfmm.errors import DataError, UsageError

EXTRAS = {  # as in pyproject.toml
    "demo": ("gradio",),
    "eval": ("scikit-learn", "sacrebleu", "nltk", "matplotlib"),
    "retrieval": ("faiss-cpu",),
    "diffusion": ("diffusers",),
    "audio": ("soundfile",),
    "video": ("av", "opencv-python-headless"),
    "text": ("sentencepiece",),
    "track": ("trackio",),
    "bench": ("pycocoevalcap",),
}
CORE = ("torch", "transformers", "datasets", "accelerate", "peft", "huggingface-hub", "evaluate", "numpy", "pillow")
VARIABLES = ("HF_HUB_OFFLINE", "HF_HOME", "HF_ENDPOINT", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "HFMM_DEBUG")


def run(words: Sequence[str]) -> int:
    parser = Parser("doctor", "Environment, versions, extras, devices; --data: the problems of a data set.", json=True)
    parser.add_argument("--data", help="scenes, digits, a folder, a file or a Hub data set id")
    parser.add_argument("--split", help="only this split; every one by default")
    parser.add_argument("--columns", help="image=photo,captions=sentences")
    parser.add_argument(
        "--pictures", metavar="DIR", help="where the paths of pictures start; beside the data by default"
    )
    parser.add_argument("--model", help="a run or a repository: dialogues that are too long for it are told, too")
    given = parser.parse(words)
    if given.data is not None:
        code, count = _check_data(given)
    else:
        code, count = _check_environment(given.json)
    talk(f"{count} problems" if count else "no problems", given.quiet)
    return code


def _check_environment(as_json: bool) -> tuple[int, int]:
    facts = environment()
    if as_json:
        print_json(facts)
    else:
        print("\n\n".join(f"{title}\n{columns(list(rows.items()), indent=2)}" for title, rows in facts.items() if rows))
    return (UsageError.exit_code if facts["problems"] else 0), len(facts["problems"])


def environment() -> dict[str, dict[str, str]]:
    """What is installed, by section."""
    found = {name: _version(name) for name in CORE}
    return {
        "environment": {
            "hfmm": f"{__version__} ({Path(__file__).resolve().parents[1]})",
            "python": f"{platform.python_version()} ({sys.executable})",
            "system": f"{platform.platform()}, {os.cpu_count()} CPUs",
            "free disk here": f"{shutil.disk_usage('.').free / 1e9:.1f} GB",
        },
        "packages": {name: number or "missing" for name, number in found.items()},
        "extras": {extra: _extra(names) for extra, names in EXTRAS.items()},
        "devices": _devices() if found["torch"] else {},
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "problems": dict(_unmet()),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _extra(names: Sequence[str]) -> str:
    missing = [name for name in names if _version(name) is None]
    if missing:
        return f"missing {', '.join(missing)}"
    return "installed: " + ", ".join(f"{name} {_version(name)}" for name in names)


def _devices() -> dict[str, str]:
    import torch

    devices = {"cpu": f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"}
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        devices[f"cuda:{index}"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    if torch.backends.mps.is_available():
        devices["mps"] = "available"
    return devices


def _unmet() -> Iterator[tuple[str, str]]:
    """Requirements of hfmm that are missing or have another version; none are known where it is not installed."""
    from packaging.requirements import Requirement

    try:
        lines = requires("hfmm") or []
    except PackageNotFoundError:
        lines = []
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        number = _version(requirement.name)
        if number is None or not requirement.specifier.contains(number, prereleases=True):
            yield requirement.name, f"{number or 'missing'}, but hfmm needs {requirement.name}{requirement.specifier}"


def _check_data(given: Namespace) -> tuple[int, int]:
    """Print the problems of a data set, one a line.

    Returns:
        The exit code and their number.
    """
    from hfmm.data.doctor import diagnose

    options = {"pictures": given.pictures} if given.pictures else {}
    problems = diagnose(given.data, given.split, given.columns, _processor(given.model), **options)
    if given.json:
        print_json([{"where": problem.where, "what": problem.what} for problem in problems])
    for problem in () if given.json else problems:
        print(f"{problem.where}: {problem.what}")
    return (DataError.exit_code if problems else 0), len(problems)


def _processor(model: str | None) -> Any:
    """The processor of a model that converses, None where none is named.

    Raises:
        UsageError: It does not converse.
    """
    if model is None:
        return None
    from hfmm.loading import load

    loaded = load(model)
    if not getattr(loaded.processor, "chat_template", None):
        raise UsageError(f"{loaded.row.name} does not converse: only dialogues are too long for a model")
    return loaded.processor
