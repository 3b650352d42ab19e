"""Endpoints about repositories: identity, creation, settings, information, trees, branches and tags."""

import re
from typing import Any

from tests.hub_server import cards
from tests.hub_server.calls import REPOSITORY, USER, Answer, Call, answer, paged, route
from tests.hub_server.store import KINDS, Blob, Commit, HubError, Repository

NAME = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?")


@route("GET", "/api/whoami-v2")
def whoami(call: Call) -> Answer:
    if call.access is None:
        raise HubError(401, "Invalid username or password.")
    token = {"displayName": "tests", "role": call.access}
    auth = {"type": "access_token", "accessToken": token}
    return answer({"type": "user", "id": "0", "name": USER, "fullname": USER, "orgs": [], "auth": auth})


@route("POST", "/api/repos/create")
def create(call: Call) -> Answer:
    wanted = call.json
    namespace, name, kind = wanted.get("organization") or USER, wanted["name"], f"{wanted.get('type') or 'model'}s"
    call.may_write(namespace)
    if kind not in KINDS or not NAME.fullmatch(name) or name.endswith((".git", ".ipynb")):
        raise HubError(400, f"invalid name or kind of a repository: {kind} {name}")
    if kind == "spaces" and wanted.get("sdk") not in cards.SDKS:
        raise HubError(400, f'"sdk" must be one of [{", ".join(cards.SDKS)}]')
    repository = call.store.find(kind, f"{namespace}/{name}")
    if repository is not None:
        url = f"{call.url}/{repository.path}"
        raise HubError(409, f"You already created this {kind[:-1]} repo", url=url)
    private = wanted.get("visibility") == "private"
    repository = Repository(kind, f"{namespace}/{name}", private, wanted.get("sdk"))
    call.store.repositories[kind, repository.id] = repository
    return answer({"url": f"{call.url}/{repository.path}", "name": repository.id, "id": repository.id})


@route("DELETE", "/api/repos/delete")
def delete(call: Call) -> Answer:
    wanted = call.json
    name = f"{wanted.get('organization') or USER}/{wanted['name']}"
    call.store.delete(call.writable(f"{wanted.get('type') or 'model'}s", name))
    return answer({})


@route("PUT", rf"/api/{REPOSITORY}/settings")
def settings(call: Call, kind: str, id: str) -> Answer:
    repository = call.writable(kind, id)
    repository.private = call.json["visibility"] == "private"
    return answer({"private": repository.private})


@route("GET", rf"/api/{REPOSITORY}/auth-check")
def auth_check(call: Call, kind: str, id: str) -> Answer:
    call.readable(kind, id)
    return answer({})


@route("GET", rf"/api/{REPOSITORY}(?:/revision/(?P<revision>[^/]+))?")
def information(call: Call, kind: str, id: str, revision: str | None) -> Answer:
    repository = call.readable(kind, id)
    commit = repository.resolve(revision or "main")
    readme = commit.files.get("README.md", Blob(b"")).content.decode()
    card = cards.front_matter(readme) or {}
    siblings = [{"rfilename": path} for path in sorted(commit.files)]
    if call.query.get("blobs", "").lower() in ("1", "true"):
        siblings = [{"rfilename": path, **_sizes(commit.files[path])} for path in sorted(commit.files)]
    oldest = list(commit.history())[-1]
    found: dict[str, Any] = {
        "_id": id, "id": id, "modelId": id, "author": id.partition("/")[0], "sha": commit.oid,
        "lastModified": commit.date, "createdAt": oldest.date, "private": repository.private, "gated": False,
        "disabled": False, "downloads": 0, "likes": 0, "tags": card.get("tags", []), "siblings": siblings,
        "cardData": card, "sdk": repository.sdk,
    }  # fmt: skip
    found |= {key: card[key] for key in ("library_name", "pipeline_tag", "model-index") if key in card}
    return answer(found)


def _sizes(blob: Blob) -> dict[str, Any]:
    size = len(blob.content)
    lfs = {"lfs": {"sha256": blob.sha256, "size": size, "pointerSize": len(blob.pointer)}} if blob.large else {}
    return {"size": size, "blobId": blob.oid, **lfs}


def _entry(commit: Commit, path: str, expand: bool) -> dict[str, Any]:
    """A file or a folder as trees list it."""
    last = {"lastCommit": {"id": commit.oid, "title": commit.title, "date": commit.date}} if expand else {}
    if path not in commit.files:
        return {"type": "directory", "oid": commit.oid, "size": 0, "path": path, **last}
    blob = commit.files[path]
    size = len(blob.content)
    lfs = {"lfs": {"oid": blob.sha256, "size": size, "pointerSize": len(blob.pointer)}} if blob.large else {}
    return {"type": "file", "oid": blob.oid, "size": size, "path": path, **lfs, **last}


def _folders(commit: Commit) -> set[str]:
    parts = [path.split("/") for path in commit.files]
    return {"/".join(names[:depth]) for names in parts for depth in range(1, len(names))}


@route("GET", rf"/api/{REPOSITORY}/tree/(?P<revision>[^/]+)(?:/(?P<folder>.+))?")
def tree(call: Call, kind: str, id: str, revision: str, folder: str | None) -> Answer:
    commit = call.readable(kind, id).resolve(revision)
    start = f"{folder}/" if folder else ""
    folders = _folders(commit)
    if folder and folder not in folders:
        raise HubError(404, f"{folder} does not exist on {revision}", "EntryNotFound")
    everything = sorted(path for path in {*commit.files, *folders} if path.startswith(start))
    if call.query.get("recursive", "").lower() not in ("1", "true"):
        everything = [path for path in everything if "/" not in path.removeprefix(start)]
    expand = call.query.get("expand", "").lower() in ("1", "true")
    return paged(call, [_entry(commit, path, expand) for path in everything])


@route("POST", rf"/api/{REPOSITORY}/paths-info/(?P<revision>[^/]+)")
def paths_info(call: Call, kind: str, id: str, revision: str) -> Answer:
    commit = call.readable(kind, id).resolve(revision)
    known = {*commit.files, *_folders(commit)}
    expand = call.form.get("expand", [""])[0].lower() == "true"
    return answer([_entry(commit, path, expand) for path in call.form.get("paths", []) if path in known])


@route("GET", rf"/api/{REPOSITORY}/commits/(?P<revision>[^/]+)")
def commits(call: Call, kind: str, id: str, revision: str) -> Answer:
    history = call.readable(kind, id).resolve(revision).history()
    authors = [{"user": USER}]
    listed = [
        {"id": c.oid, "title": c.title, "message": c.message, "date": c.date, "authors": authors} for c in history
    ]
    return paged(call, listed)


@route("GET", rf"/api/{REPOSITORY}/refs")
def refs(call: Call, kind: str, id: str) -> Answer:
    repository = call.readable(kind, id)

    def listed(names: dict[str, Commit], prefix: str) -> list[dict[str, str]]:
        return [{"name": name, "ref": prefix + name, "targetCommit": names[name].oid} for name in names]

    found = {
        "branches": listed(repository.branches, "refs/heads/"),
        "tags": listed(repository.tags, "refs/tags/"),
        "converts": [],
    }
    if "include_prs" in call.query:
        found["pullRequests"] = listed(repository.pull_requests, "")
    return answer(found)


@route("POST", rf"/api/{REPOSITORY}/branch/(?P<branch>[^/]+)")
def create_branch(call: Call, kind: str, id: str, branch: str) -> Answer:
    repository = call.writable(kind, id)
    if branch in repository.branches:
        raise HubError(409, f"Reference already exists: refs/heads/{branch}")
    repository.branches[branch] = repository.resolve(call.json.get("startingPoint") or "main")
    return answer({})


@route("DELETE", rf"/api/{REPOSITORY}/branch/(?P<branch>[^/]+)")
def delete_branch(call: Call, kind: str, id: str, branch: str) -> Answer:
    repository = call.writable(kind, id)
    if branch == "main":
        raise HubError(403, "the main branch cannot be deleted")
    return _remove(repository.branches, branch)


@route("POST", rf"/api/{REPOSITORY}/tag/(?P<revision>[^/]+)")
def create_tag(call: Call, kind: str, id: str, revision: str) -> Answer:
    repository = call.writable(kind, id)
    tag = call.json["tag"]
    if tag in repository.tags:
        raise HubError(409, f"Tag reference exists already: {tag}")
    repository.tags[tag] = repository.resolve(revision)
    return answer({})


@route("DELETE", rf"/api/{REPOSITORY}/tag/(?P<tag>[^/]+)")
def delete_tag(call: Call, kind: str, id: str, tag: str) -> Answer:
    return _remove(call.writable(kind, id).tags, tag)


def _remove(names: dict[str, Commit], name: str) -> Answer:
    if name not in names:
        raise HubError(404, f"Invalid rev id: {name}", "RevisionNotFound")
    del names[name]
    return answer({})


@route("POST", "/api/validate-yaml")
def validate_yaml(call: Call) -> Answer:
    errors, warnings = cards.validate(call.json.get("repoType") or "model", call.json["content"])
    told = {"errors": [{"message": text} for text in errors], "warnings": [{"message": text} for text in warnings]}
    if errors:
        raise HubError(400, "; ".join(errors), **told)
    return answer(told)
