"""`hfmm demo`: the Gradio app of the task on models of yours."""

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Event
from typing import Any

from hfmm.cli.common import Parser, talk
from hfmm.errors import UsageError
from hfmm.hub.spaces import app_of


def run(words: Sequence[str]) -> int:
    parser = Parser("demo", "The Gradio app of the task on models of yours; Ctrl-C stops it.")
    parser.add_argument("models", nargs="+", metavar="model", help="run directories or Hub repositories")
    parser.add_argument("--port", type=int, help="the first free one from 7860 by default")
    parser.add_argument("--mcp", action="store_true", help="also serve the endpoints as tools for MCP clients")
    parser.add_argument("--device", default="cpu")
    given = parser.parse(words)
    _check_extra(given.mcp)
    app, page = open_app(given.models, given.device)
    try:
        with redirect_stdout(sys.stderr):  # gradio tells of its MCP server whether asked to be quiet or not
            _, address, _ = app.launch(
                page, server_port=given.port, mcp_server=given.mcp, quiet=True, prevent_thread_lock=True
            )
    except OSError as error:  # gradio's word for a port that is taken
        raise UsageError(f"port {given.port} cannot be used: give another --port, or none") from error
    print(address, flush=True)
    talk("Ctrl-C stops it", given.quiet)
    try:
        Event().wait()
    except KeyboardInterrupt:  # the only way to stop it, so nothing was cut short
        page.close(verbose=False)
    return 0


def open_app(models: Sequence[str], device: str = "cpu") -> tuple[Any, Any]:
    """Load models and lay out the page.

    Args:
        models: Run directories or repositories, whose tasks one app shows.
        device: As torch names it.

    Returns:
        The module of the app, and its page.

    Raises:
        UsageError: Nothing to load there, no app for the task, or models that no one app shows.
    """
    from hfmm.loading import load

    loaded = [load(where, device) for where in models]
    folders = {app_of(each.row) for each in loaded}
    if len(folders) > 1:
        tasks = ", ".join(sorted({each.row.tasks[0] for each in loaded}))
        raise UsageError(f"no one app shows all of {tasks}: name models of one room")
    app = import_app(folders.pop())
    return app, app.build([app.entry(each.model, each.processor, each.where) for each in loaded])


def import_app(folder: Path) -> Any:
    """The module `app.py` of a folder, which stands alone and imports its neighbors by their bare names."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    name = f"app_of_{folder.name}"  # every app has an `app.py`
    if name not in sys.modules:
        spec: Any = spec_from_file_location(name, folder / "app.py")
        sys.modules[name] = module_from_spec(spec)
        sys.path.insert(0, str(folder))
        try:
            spec.loader.exec_module(sys.modules[name])
        finally:
            sys.path.remove(str(folder))
    return sys.modules[name]


def _check_extra(mcp: bool) -> None:
    if find_spec("gradio") is None:
        raise UsageError("hfmm demo needs gradio: pip install 'hfmm[demo]'")
    if mcp and find_spec("mcp") is None:
        raise UsageError("hfmm demo --mcp needs the mcp package: pip install 'gradio[mcp]'")
