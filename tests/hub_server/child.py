"""Run a function in another process: the clients of the Hub read HF_ENDPOINT when they are imported."""

import inspect
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json, socket, sys

call = json.loads(sys.argv[1])
sys.modules.update(dict.fromkeys(call["without"]))  # importing one raises ImportError
connect, resolve = socket.socket.connect, socket.getaddrinfo

def is_loopback(host):
    return host is None or str(host).startswith("127.") or host in ("localhost", "::1")

def guarded_connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and not is_loopback(address[0]):
        raise OSError(f"a test tried to reach {address[0]}")
    return connect(self, address)

def guarded_resolve(host, *rest, **named):
    if not is_loopback(host):
        raise socket.gaierror(f"a test tried to resolve {host}")
    return resolve(host, *rest, **named)

socket.socket.connect, socket.getaddrinfo = guarded_connect, guarded_resolve
names = {"__name__": "child"}
exec(compile(call["source"], call["file"], "exec"), names)
try:
    outcome = {"result": names[call["name"]](**call["given"])}
except Exception as error:
    import traceback
    outcome = {"kind": type(error).__name__, "message": str(error), "traceback": traceback.format_exc()}
with open(call["outcome"], "w", encoding="utf-8") as file:
    json.dump(outcome, file)
"""


class ChildError(Exception):
    """What a function in another process raised.

    Attributes:
        kind: Name of the exception's class.
        message: Its text.
        output: What the process wrote, and where it raised.
    """

    def __init__(self, kind: str, message: str, output: str) -> None:
        super().__init__(f"{kind}: {message}\n{output}")
        self.kind, self.message, self.output = kind, message, output


def run(
    function: Callable[..., Any],
    environment: Mapping[str, str],
    folder: Path,
    /,
    without: tuple[str, ...] = (),
    timeout: float = 120,
    **given: Any,
) -> Any:
    """Call a function in a process of its own that reaches loopback only and has nothing on its standard input.

    Args:
        function: One that names nothing but its arguments and what it imports itself.
        environment: Variables of the process.
        folder: Where it runs; made if need be.
        without: Packages whose import raises there, such as "hfmm".
        timeout: Seconds.
        given: Arguments of the function, such as JSON holds; paths become strings.

    Returns:
        What the function returns, through JSON.

    Raises:
        ChildError: It raised.
    """
    folder.mkdir(parents=True, exist_ok=True)
    outcome = folder / "outcome.json"
    outcome.unlink(missing_ok=True)
    call = {
        "source": textwrap.dedent(inspect.getsource(function)), "name": function.__name__, "given": given,
        "file": inspect.getsourcefile(function), "without": without, "outcome": str(outcome),
    }  # fmt: skip
    inherited = environment.get("PYTHONPATH", "").split(os.pathsep)
    known = [entry for entry in inherited if entry and Path(entry).resolve() != ROOT]
    known += [] if "hfmm" in without else [str(ROOT)]
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(call, default=str)],
        env={**environment, "PYTHONPATH": os.pathsep.join(known)},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    output = finished.stdout + finished.stderr
    if not outcome.exists():
        raise ChildError("ExitCode", str(finished.returncode), output)
    found = json.loads(outcome.read_text(encoding="utf-8"))
    if "result" not in found:
        raise ChildError(found["kind"], found["message"], output + found["traceback"])
    return found["result"]
