"""What a Hub on loopback holds: repositories with commits, branches and tags, and large objects, all in memory.

A commit is made of one dictionary of files that nothing changes afterwards, so a repository is always whole.
"""

import hashlib
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

KINDS = ("models", "datasets", "spaces")
INITIAL = {".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"}
LARGE_ENDINGS = (
    ".arrow", ".bin", ".gif", ".gz", ".jpeg", ".jpg", ".mp4", ".npy", ".npz", ".parquet", ".png", ".pt", ".pth",
    ".safetensors", ".tar", ".wav", ".zip",
)  # fmt: skip
LARGE_SIZE = 10 * 2**20  # bytes; the Hub takes no larger file outside its large file storage


class HubError(Exception):
    """An answer that is not 2xx.

    Args:
        status: Of HTTP.
        message: What the client shows.
        code: `X-Error-Code`, such as "RepoNotFound".
        fields: More of the answer's body.
    """

    def __init__(self, status: int, message: str, code: str = "", **fields: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.fields = status, message, code, fields


@dataclass(frozen=True)
class Blob:
    """One file's bytes, and whether they lie in large file storage."""

    content: bytes
    large: bool = False

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def pointer(self) -> bytes:
        """What git itself holds of a large file."""
        return (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.content)}\n".encode()
        )

    @cached_property
    def oid(self) -> str:
        """As git names it."""
        held = self.pointer if self.large else self.content
        return hashlib.sha1(b"blob %d\0" % len(held) + held).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.large else self.oid


@dataclass(frozen=True)
class Commit:
    """All files of one moment."""

    oid: str
    parent: "Commit | None"
    files: dict[str, Blob]
    title: str
    message: str
    date: str

    def history(self) -> Iterable["Commit"]:
        """This commit and those before it, newest first."""
        commit: Commit | None = self
        while commit is not None:
            yield commit
            commit = commit.parent


@dataclass
class Repository:
    """A repository: names of commits, and the commits."""

    kind: str
    id: str
    private: bool = False
    sdk: str | None = None
    branches: dict[str, Commit] = field(default_factory=dict)
    tags: dict[str, Commit] = field(default_factory=dict)
    pull_requests: dict[str, Commit] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)  # large files by sha256

    def __post_init__(self) -> None:
        self.branches["main"] = self.record(
            None, {path: Blob(held) for path, held in INITIAL.items()}, "initial commit"
        )

    @property
    def path(self) -> str:
        """Of its page: `me/net`, `datasets/me/pictures`, `spaces/me/cider`."""
        return self.id if self.kind == "models" else f"{self.kind}/{self.id}"

    def record(self, parent: Commit | None, files: dict[str, Blob], title: str, message: str = "") -> Commit:
        """Keep a commit; nothing points at it yet."""
        date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        listing = "\n".join(f"{path} {files[path].oid}" for path in sorted(files))
        whole = f"{parent.oid if parent else ''} {len(self.commits)} {date} {title}\n{message}\n{listing}"
        commit = Commit(hashlib.sha1(whole.encode()).hexdigest(), parent, files, title, message, date)
        self.commits[commit.oid] = commit
        return commit

    def resolve(self, revision: str) -> Commit:
        """The commit of a branch, a tag, a pull request or the first digits of a commit's own name."""
        for names in (self.branches, self.tags, self.pull_requests, self.commits):
            if revision in names:
                return names[revision]
        short = [commit for oid, commit in self.commits.items() if len(revision) >= 7 and oid.startswith(revision)]
        if len(short) != 1:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return short[0]

    def entry(self, revision: str, path: str) -> tuple[Commit, Blob]:
        commit = self.resolve(revision)
        if path not in commit.files:
            raise HubError(404, f"{path} does not exist on {revision}", "EntryNotFound")
        return commit, commit.files[path]

    def names_of(self, revision: str) -> dict[str, Commit]:
        """The dictionary whose entry a commit onto a revision moves: only branches and pull requests move."""
        for names in (self.branches, self.pull_requests):
            if revision in names:
                return names
        self.resolve(revision)
        raise HubError(400, f"{revision} is not a branch: commits go onto branches")

    def large(self, sha256: str) -> bytes | None:
        return self.objects.get(sha256)

    def keep(self, sha256: str, content: bytes) -> None:
        """Keep a large file that came in whole."""
        if hashlib.sha256(content).hexdigest() != sha256:
            raise HubError(400, f"what was uploaded is not the announced {sha256[:12]}")
        self.objects[sha256] = content

    def snapshot(self, revision: str = "main") -> dict[str, bytes]:
        """Every file of a revision, for tests."""
        return {path: blob.content for path, blob in self.resolve(revision).files.items()}


class Store:
    """All repositories of a Hub, changed by one request at a time."""

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.lock = threading.RLock()

    def find(self, kind: str, name: str) -> Repository | None:
        return self.repositories.get((kind, name))

    def delete(self, repository: Repository) -> None:
        del self.repositories[repository.kind, repository.id]
