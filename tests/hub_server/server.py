"""A Hub on loopback: a real HTTP server that the clients of the Hugging Face Hub push to and load from.

    with HubServer() as hub:
        hub.faults.fail_next("POST .*/commit/", status=503, times=2)
        found = hub.run(push, tmp_path, repo_id="me/net")  # a function, in a process whose HF_ENDPOINT is this Hub

It knows one user, `me`, a token that writes and one that only reads. `hub.log` has every request; `hub.snapshot(id)`
has the files as they lie there. A request that no endpoint knows is answered 404, as on the Hub.
"""

import json
import os
import re
import threading
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.hub_server import api, child, content  # noqa: F401  api and content register their endpoints
from tests.hub_server.calls import READ_TOKEN, TOKEN, USER, Answer, Call, access_of, answer, dispatch
from tests.hub_server.faults import Fault, Faults, Request
from tests.hub_server.store import HubError, Repository, Store


class Broken(Exception):
    """The connection is to be broken here."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together
    server: "Server"

    def serve(self) -> None:
        hub = self.server.hub
        parts = urlsplit(self.path)
        entry = Request(self.command, parts.path, parts.query, self.headers.get("Range", ""))
        hub.log.append(entry)
        fault = hub.faults.meet(f"{self.command} {self.path}") or Fault("")
        try:
            body = self.read(entry, fault.upload_bytes)
            hub.closing.wait(fault.seconds)
            self.write(entry, self.respond(entry, body, fault), fault.answer_bytes)
        except (Broken, ConnectionError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = serve

    def read(self, entry: Request, limit: int | None) -> bytes:
        """The body; breaks the connection after `limit` bytes of it."""
        pieces = []
        for size in self.sizes():
            wanted = size if limit is None else min(size, limit - entry.received)
            piece = self.rfile.read(wanted)
            entry.received += len(piece)
            if len(piece) < size:
                raise Broken
            pieces.append(piece)
        if limit is not None:
            raise Broken
        return b"".join(pieces)

    def sizes(self) -> Any:
        """Sizes of the pieces in which the body comes, each to be read before the next is asked for."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            left = int(self.headers.get("Content-Length", 0))
            while left:
                yield min(left, 1 << 16)
                left -= min(left, 1 << 16)
            return
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            yield size
            self.rfile.readline()
        self.rfile.readline()

    def respond(self, entry: Request, body: bytes, fault: Fault) -> Answer:
        hub = self.server.hub
        try:
            if fault.status is not None:
                after = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
                return answer({"error": "a fault that a test asked for"}, fault.status, **after)
            query = dict(parse_qsl(entry.query, keep_blank_values=True))
            access = access_of(self.headers)
            call = Call(hub.store, hub.url, entry.method, entry.path, query, self.headers, body, access)
            with hub.store.lock:
                return dispatch(call)
        except HubError as error:
            headers = {"X-Error-Message": error.message.replace("\n", " ")}
            headers |= {"X-Error-Code": error.code} if error.code else {}
            told = Answer(json.dumps({"error": error.message, **error.fields}).encode(), error.status, headers)
            return told
        except Exception:
            hub.crashes.append(f"{entry.method} {self.path}\n{traceback.format_exc()}")
            return answer({"error": "the Hub on loopback has a mistake: see its crashes"}, 500)

    def write(self, entry: Request, given: Answer, limit: int | None) -> None:
        """The answer; breaks the connection after `limit` bytes of its body, before the head where that is 0."""
        if limit == 0:
            raise Broken
        entry.status = given.status
        self.send_response(given.status)
        for name, value in {**given.headers, "Content-Type": given.type}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(given.body)))
        self.end_headers()
        part = b"" if self.command == "HEAD" else given.body[:limit]
        entry.sent = len(part)
        self.wfile.write(part)
        self.wfile.flush()
        if limit is not None:
            raise Broken

    def log_message(self, format: str, *values: Any) -> None:
        """Say nothing: the log is a list."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    hub: "HubServer"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none."""


class HubServer:
    """A running Hub.

    Attributes:
        url: What HF_ENDPOINT names.
        token: Of the user `me`; may read and write.
        read_token: Of the same user; may only read.
        store: The repositories.
        faults: What goes wrong with the next requests.
        log: Every request, oldest first.
        crashes: Mistakes of this server itself; a test that made one must fail.
    """

    user, token, read_token = USER, TOKEN, READ_TOKEN

    def __init__(self) -> None:
        self.store, self.faults = Store(), Faults()
        self.log: list[Request] = []
        self.crashes: list[str] = []
        self.closing = threading.Event()
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.hub = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "HubServer":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def environment(self, home: Path, **variables: str) -> dict[str, str]:
        """Variables of a process that talks to this Hub and keeps what it downloads under `home`."""
        inherited = {
            name: value for name, value in os.environ.items() if not re.match("HF_|HUGGING|TRANSFORMERS_", name)
        }
        return inherited | {
            "HF_ENDPOINT": self.url, "HF_TOKEN": self.token, "HF_HOME": str(home / "hf"), "HOME": str(home),
            "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_UPDATE_DOWNLOAD_COUNTS": "0", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "OMP_NUM_THREADS": "1", **variables,
        }  # fmt: skip

    def run(self, function: Callable[..., Any], home: Path, /, without: tuple[str, ...] = (), **given: Any) -> Any:
        """Call a function in another process (see `child.run`) that talks to this Hub."""
        return child.run(function, self.environment(home), home, without, **given)

    def repository(self, name: str, kind: str = "models") -> Repository | None:
        return self.store.find(kind, name)

    def snapshot(self, name: str, kind: str = "models", revision: str = "main") -> dict[str, bytes]:
        """Files of a repository as they lie on the Hub; {} where there is no such repository."""
        repository = self.store.find(kind, name)
        return repository.snapshot(revision) if repository else {}

    def requests(self, pattern: str) -> list[Request]:
        """Requests whose "METHOD path" matches."""
        return [entry for entry in self.log if re.search(pattern, f"{entry.method} {unquote(entry.path)}")]
