"""The Gradio apps of `spaces/`: which shows which task, and one of them as a Space of the Hub on a published model."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from huggingface_hub import RepoCard

from hfmm.catalogue import Row
from hfmm.errors import UsageError
from hfmm.hub.flatten import basename, flatten

APPS = {  # by task
    "image-captioning": "captioning",
    "image-classification": "vision",
    "object-detection": "vision",
    "image-segmentation": "vision",
    "face-verification": "vision",
    "image-text-retrieval": "retrieval",
    "zero-shot-image-classification": "retrieval",
    "unconditional-image-generation": "generation",
    "text-to-image": "generation",
    "image-to-image": "generation",
    "image-text-to-text": "chat",
}
SHARED = "shared"  # the folder of what several apps use
PARTS = "parts"  # the package of a published app that holds the modules of ours which it needs
OURS = re.compile(r"^from (hfmm(?:\.\w+)+) import", re.MULTILINE)
MODELS = "models.json"  # what the app shows: names or folders, and whether they bring code
WRITTEN = ("*.py", f"{PARTS}/*.py", MODELS, "README.md", "requirements.txt", "examples/*")  # and replaced next time


def app_of(row: Row) -> Path:
    """The folder of the app that shows an architecture's task.

    Raises:
        UsageError: The task has none.
    """
    task = row.tasks[0]
    if task not in APPS:
        raise UsageError(f"there is no app for {task}: {', '.join(APPS)} have one")
    return folder_of(APPS[task])


def folder_of(name: str) -> Path:
    """Where an app is: `hfmm/spaces` in a wheel, `spaces` in a checkout.

    Raises:
        UsageError: In neither.
    """
    package = Path(__file__).resolve().parents[1]
    for spaces in (package / "spaces", package.parent / "spaces"):
        if (spaces / name / "app.py").exists():
            return spaces / name
    raise UsageError(f"the app '{name}' is not part of this installation: install hfmm again")


def stage(app: Path, tree: Path, model: str, row: Row) -> None:
    """Write an app as the tree of a Space.

    Args:
        app: Its folder.
        tree: An empty folder.
        model: `user/name@commit`, whose code the app may run, being pinned; or a folder relative to the tree.
        row: The model's architecture.
    """
    for folder in (app, app.parent / SHARED):
        shutil.copytree(folder, tree, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    _bring_parts(tree)
    settings = {"models": [model], "trust_remote_code": row.origin == "hfmm"}
    (tree / MODELS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    card = RepoCard.load(tree / "README.md")
    front: Any = card.data
    front["title"] = row.title
    front["models"] = [model.partition("@")[0]] if "@" in model else []
    (tree / "README.md").write_text(f"{str(card).rstrip()}\n", encoding="utf-8")


def _bring_parts(tree: Path) -> None:
    """Put the modules of ours that an app imports, and what they need, into a package beside it."""
    needed: set[str] = set()
    for path in sorted(tree.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        needed.update(OURS.findall(text))
        path.write_text(OURS.sub(lambda found: f"from {PARTS}.{basename(found[1])} import", text), encoding="utf-8")
    if needed:
        (tree / PARTS).mkdir()
        (tree / PARTS / "__init__.py").write_text("", encoding="utf-8")
        for name, text in flatten(sorted(needed)).items():
            (tree / PARTS / name).write_text(text, encoding="utf-8")
