"""Endpoints that move bytes: commits, large file storage and downloads."""

import base64
import json
import re
import secrets
from typing import Any

from tests.hub_server import cards
from tests.hub_server.calls import PAGE_OF_REPOSITORY, REPOSITORY, Answer, Call, answer, route
from tests.hub_server.store import LARGE_ENDINGS, LARGE_SIZE, Blob, Commit, HubError, Repository

SIGNATURE = secrets.token_urlsafe(8)  # uploads of large files carry no token: their address lets them in


@route("POST", rf"/api/{REPOSITORY}/preupload/(?P<revision>[^/]+)")
def preupload(call: Call, kind: str, id: str, revision: str) -> Answer:
    """Which files go to large file storage."""
    files = call.writable(kind, id).resolve(revision).files
    found = []
    for wanted in call.json["files"]:
        path, size = wanted["path"], wanted["size"]
        binary = b"\0" in base64.b64decode(wanted["sample"])
        large = size > 0 and (size > LARGE_SIZE or binary or path.endswith(LARGE_ENDINGS))
        held = files.get(path)
        same = {"oid": held.etag} if held and held.large == large else {}
        found.append({"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False, **same})
    return answer({"files": found})


@route("POST", rf"/{PAGE_OF_REPOSITORY}\.git/info/lfs/objects/batch")
def batch(call: Call, kind: str | None, id: str) -> Answer:
    """Where to put large files; nothing for those that are there."""
    repository = call.writable(kind, id)
    objects: list[dict[str, Any]] = []
    for wanted in call.json["objects"]:
        found = {"oid": wanted["oid"], "size": wanted["size"]}
        if repository.large(wanted["oid"]) is None:
            address = f"{call.url}/large/{repository.kind}/{repository.id}/{wanted['oid']}?signature={SIGNATURE}"
            verify = f"{call.url}/{repository.path}.git/info/lfs/objects/verify"
            found["actions"] = {"upload": {"href": address, "header": {}}, "verify": {"href": verify, "header": {}}}
        objects.append(found)
    return answer({"transfer": "basic", "objects": objects})


@route("PUT", rf"/large/{REPOSITORY}/(?P<oid>[0-9a-f]{{64}})")
def put_large(call: Call, kind: str, id: str, oid: str) -> Answer:
    repository = call.store.find(kind, id)
    if repository is None or call.query.get("signature") != SIGNATURE:
        raise HubError(403, "the address of this upload is not valid")
    repository.keep(oid, call.body)
    return Answer(headers={"ETag": f'"{oid}"'})


@route("POST", rf"/{PAGE_OF_REPOSITORY}\.git/info/lfs/objects/verify")
def verify_large(call: Call, kind: str | None, id: str) -> Answer:
    held = call.writable(kind, id).large(call.json["oid"])
    if held is None or len(held) != call.json["size"]:
        raise HubError(404, f"{call.json['oid'][:12]} was not uploaded")
    return answer({})


@route("POST", rf"/api/{REPOSITORY}/commit/(?P<revision>[^/]+)")
def commit(call: Call, kind: str, id: str, revision: str) -> Answer:
    """One commit, or none at all where any line of it is refused."""
    repository = call.writable(kind, id)
    names = repository.names_of(revision)
    head = names[revision]
    lines = [json.loads(line) for line in call.body.splitlines() if line.strip()]
    if not lines or lines[0]["key"] != "header":
        raise HubError(400, "the first line of a commit is its header")
    header = lines[0]["value"]
    if header.get("parentCommit") not in (None, head.oid):
        raise HubError(412, "A commit has happened since. Please refresh and try again.")
    files = dict(head.files)
    for line in lines[1:]:
        OPERATIONS[line["key"]](repository, files, line["value"])
    _check_card(kind, files, head)
    new = repository.record(head, files, header["summary"], header.get("description", ""))
    pull_request = None
    if call.query.get("create_pr") == "1":
        number = len(repository.pull_requests) + 1
        repository.pull_requests[f"refs/pr/{number}"] = new
        pull_request = f"{call.url}/{repository.path}/discussions/{number}"
    else:
        names[revision] = new
    url = f"{call.url}/{repository.path}/commit/{new.oid}"
    told = {"success": True, "commitOid": new.oid, "commitUrl": url, "hookOutput": ""}
    return answer({**told, "pullRequestUrl": pull_request})


def _check_card(kind: str, files: dict[str, Blob], head: Commit) -> None:
    """A commit that brings a README.md with bad front matter is refused."""
    readme = files.get("README.md")
    if readme is not None and readme != head.files.get("README.md"):
        errors, _ = cards.validate(kind[:-1], readme.content.decode())
        if errors:
            raise HubError(400, "; ".join(errors))


def _path(value: dict[str, Any]) -> str:
    path = value["path"].strip("/")
    if not path or value["path"].startswith("/") or {"", ".", "..", ".git"} & set(path.split("/")):
        raise HubError(400, f"invalid path {value['path']!r}")
    return path


def _add(repository: Repository, files: dict[str, Blob], value: dict[str, Any]) -> None:
    path = _path(value)
    content = base64.b64decode(value["content"], validate=True)
    if len(content) > LARGE_SIZE:
        raise HubError(400, f"{path} is too large for git: use large file storage")
    files[path] = Blob(content)


def _add_large(repository: Repository, files: dict[str, Blob], value: dict[str, Any]) -> None:
    held = repository.large(value["oid"])
    if held is None:
        raise HubError(400, f"{value['path']} points at a large file that was not uploaded")
    files[_path(value)] = Blob(held, large=True)


def _delete(repository: Repository, files: dict[str, Blob], value: dict[str, Any]) -> None:
    if files.pop(_path(value), None) is None:
        raise HubError(404, f"A file with this name doesn't exist: {value['path']}", "EntryNotFound")


def _delete_folder(repository: Repository, files: dict[str, Blob], value: dict[str, Any]) -> None:
    inside = [path for path in files if path.startswith(f"{_path(value)}/")]
    if not inside:
        raise HubError(404, f"A folder with this name doesn't exist: {value['path']}", "EntryNotFound")
    for path in inside:
        del files[path]


OPERATIONS = {"file": _add, "lfsFile": _add_large, "deletedFile": _delete, "deletedFolder": _delete_folder}


@route("GET HEAD", rf"/{PAGE_OF_REPOSITORY}/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
def resolve(call: Call, kind: str | None, id: str, revision: str, path: str) -> Answer:
    """A file, or the part of it that the header Range asks for."""
    commit, blob = call.readable(kind, id).entry(revision, path)
    headers = {"ETag": f'"{blob.etag}"', "X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
    if blob.large:
        headers |= {"X-Linked-Etag": f'"{blob.etag}"', "X-Linked-Size": str(len(blob.content))}
    wanted = call.headers.get("Range")
    if not wanted:
        return Answer(blob.content, 200, headers, "application/octet-stream")
    start, end = _range(wanted, len(blob.content))
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(blob.content)}"
    return Answer(blob.content[start:end], 206, headers, "application/octet-stream")


def _range(wanted: str, size: int) -> tuple[int, int]:
    """First byte and the one after the last."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted)
    first, last = found.groups() if found else ("", "")
    start, end = (int(first), min(int(last or size), size - 1) + 1) if first else (size - int(last or 0), size)
    if not found or not 0 <= start < end:
        raise HubError(416, f"no bytes {wanted} in a file of {size}")
    return start, end
