"""What every endpoint of the Hub on loopback is given and gives back, who may do what, and the table of endpoints."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from tests.hub_server.store import HubError, Repository, Store

USER = "me"
TOKEN = "hf_writesOnTheHubOnLoopback"
READ_TOKEN = "hf_readsTheHubOnLoopback"
PAGE = 1000  # entries of one answer

REPOSITORY = r"(?P<kind>models|datasets|spaces)/(?P<id>[^/]+/[^/]+?)"
PAGE_OF_REPOSITORY = r"(?:(?P<kind>datasets|spaces)/)?(?P<id>[^/]+/[^/]+?)"


@dataclass
class Answer:
    """What goes back to the client."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    type: str = "application/json; charset=utf-8"


def answer(value: Any, status: int = 200, **headers: str) -> Answer:
    """JSON."""
    return Answer(json.dumps(value).encode(), status, headers)


@dataclass
class Call:
    """One request.

    Attributes:
        access: "write", "read" or None where no token came.
    """

    store: Store
    url: str
    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes
    access: str | None

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"{}")

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode())

    def readable(self, kind: str | None, name: str) -> Repository:
        """A repository that the caller may read; one that is private looks as if it were not there."""
        found = self.store.find(kind or "models", name)
        if found is None or (found.private and self.access is None):
            raise HubError(404 if self.access else 401, "Repository not found", "RepoNotFound")
        return found

    def writable(self, kind: str | None, name: str) -> Repository:
        """A repository that the caller may change."""
        self.may_write(name.partition("/")[0])
        return self.readable(kind, name)

    def may_write(self, namespace: str) -> None:
        if self.access is None:
            raise HubError(401, "Invalid username or password.")
        if self.access != "write":
            raise HubError(403, "this token may only read: use one with write access")
        if namespace != USER:
            raise HubError(403, f'you have no right to write under the namespace "{namespace}"')


def access_of(headers: Mapping[str, str]) -> str | None:
    """What a bearer token lets its holder do."""
    given = headers.get("Authorization")
    if given is None:
        return None
    granted = {f"Bearer {TOKEN}": "write", f"Bearer {READ_TOKEN}": "read"}.get(given)
    if granted is None:
        raise HubError(401, "Invalid credentials in Authorization header")
    return granted


Endpoint = Callable[..., Answer]
ROUTES: list[tuple[str, re.Pattern[str], Endpoint]] = []


def route(methods: str, pattern: str) -> Callable[[Endpoint], Endpoint]:
    """Register an endpoint for methods such as "GET HEAD" and paths that match; the groups become its arguments."""

    def register(endpoint: Endpoint) -> Endpoint:
        ROUTES.extend((method, re.compile(pattern), endpoint) for method in methods.split())
        return endpoint

    return register


def dispatch(call: Call) -> Answer:
    """Answer a request by the first endpoint that matches."""
    for method, pattern, endpoint in ROUTES:
        found = pattern.fullmatch(call.path) if method == call.method else None
        if found:
            groups = {name: value and unquote(value) for name, value in found.groupdict().items()}
            return endpoint(call, **groups)
    raise HubError(404, f"no endpoint for {call.method} {call.path}")


def paged(call: Call, values: list[Any]) -> Answer:
    """One page of a list, with a link to the next."""
    start = int(call.query.get("cursor", 0))
    size = min(int(call.query.get("limit", PAGE)), PAGE)
    headers = {}
    if start + size < len(values):
        query = "&".join(f"{key}={value}" for key, value in {**call.query, "cursor": start + size}.items())
        headers["Link"] = f'<{call.url}{call.path}?{query}>; rel="next"'
    return answer(values[start : start + size], **headers)
