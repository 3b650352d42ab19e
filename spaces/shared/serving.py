"""What every app does: find its models, name them, and serve a page within limits."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import gradio as gr

MAX_FILE = "5mb"
MAX_WAITING, MAX_RUNNING = 20, 2
KEPT_SECONDS = 3600
CSS = """
.gradio-container { width: 100%; max-width: 72rem !important; margin: 0 auto }
footer { margin-top: 1rem !important }
"""


class Named(Protocol):
    """Anything that people choose by its name."""

    @property
    def name(self) -> str:
        """What they read."""


N = TypeVar("N", bound=Named)


def wanted(folder: Path, kind: str) -> tuple[list[str], bool]:
    """The models to serve, and whether they may bring their own code: of the environment, or of `models.json`.

    Args:
        folder: Of the app.
        kind: Of models, in words.
    """
    names = [name.strip() for name in os.environ.get("HFMM_MODELS", "").split(",") if name.strip()]
    if names:
        return names, os.environ.get("HFMM_TRUST_REMOTE_CODE") == "1"
    settings = folder / "models.json"
    if not settings.exists():
        raise SystemExit(f"HFMM_MODELS is not set: name repositories or folders of {kind}, separated by commas")
    said = json.loads(settings.read_text(encoding="utf-8"))
    beside = [str(folder / name) if (folder / name).is_dir() else name for name in said["models"]]
    return beside, said["trust_remote_code"]


def place(where: str, own_code: bool) -> tuple[str, dict[str, Any]]:
    """What `from_pretrained` takes: a name, and whether code may come from there.

    Args:
        where: A folder, `user/name` or `user/name@commit`.
        own_code: It may bring its own code.

    Raises:
        ValueError: Own code is allowed and the repository is not pinned.
    """
    folder = Path(where).is_dir()
    name, _, commit = (where, "", "") if folder else where.partition("@")
    if own_code and not folder and not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise ValueError(f"{where}: its code runs only where you pin the repository to a commit: {name}@<40 digits>")
    return name, {"revision": commit or None, "trust_remote_code": own_code}


def name_of(model: Any, where: str) -> str:
    """The architecture and place of a model."""
    return titled(model.config.model_type.removeprefix("hfmm_").replace("_", " "), where)


def titled(architecture: str, where: str) -> str:
    """An architecture with its place; of a folder only the last part, as visitors see it."""
    return f"{architecture} ({Path(where).resolve().name if Path(where).exists() else where})"


def by_name(models: Sequence[N]) -> dict[str, N]:
    """Models by name; a number goes behind a name that was there before."""
    named: dict[str, N] = {}
    for model in models:
        name, count = model.name, 2
        while name in named:
            name, count = f"{model.name} {count}", count + 1
        named[name] = model
    return named


def page(title: str) -> gr.Blocks:
    """An empty page, which deletes uploads after a while."""
    return gr.Blocks(title=title, analytics_enabled=False, delete_cache=(KEPT_SECONDS, KEPT_SECONDS))


def queued(demo: gr.Blocks) -> gr.Blocks:
    """A page whose visitors wait in a row."""
    return demo.queue(max_size=MAX_WAITING, default_concurrency_limit=MAX_RUNNING)


def serve(demo: gr.Blocks, css: str, **options: Any) -> tuple[Any, str, str]:
    """Serve a page with the limits of an app; `options` are those of gradio's own `launch`."""
    return demo.launch(
        max_file_size=MAX_FILE,
        css=CSS + css,
        footer_links=["api"],
        run_history=False,
        enable_monitoring=False,
        share=False,
        ssr_mode=False,
        **options,
    )
