"""Committing a tree to the Hugging Face Hub: one commit, or none."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError
from huggingface_hub.utils import validate_repo_id

from hfmm import __version__
from hfmm.errors import AccessError, UsageError

PASSING = {408, 412, 429, 500, 502, 503, 504}  # busy, or (412) another commit came between
REFUSALS = (HTTPError, ConnectionError, TimeoutError)
WAITS = (1, 2, 4, 8)  # seconds before each further attempt
LONGEST_WAIT = 60  # seconds, of those that the Hub asks for
AGAIN = "run the same command again, which sends nothing twice"
MADE_BY_HUB = {".gitattributes", "README.md"}  # what a repository holds that nobody has committed to


@dataclass(frozen=True)
class Destination:
    """A branch of a repository of the Hub.

    Attributes:
        repo_id: `user/name`; it is made if it does not exist.
        written: Patterns of the files that publishing writes there. Those of an earlier publication that the new one
            does not have are removed.
        kind: `model` or `space`.
        private: Make a new repository private.
        revision: An existing branch; the main one by default.
        create_pr: Open a pull request instead of committing to the branch.
    """

    repo_id: str
    written: tuple[str, ...]
    kind: str = "model"
    private: bool = False
    revision: str | None = None
    create_pr: bool = False

    def holds_ours(self, file: str) -> bool:
        """Whether a file of the repository is of a kind that publishing writes: in that very folder."""
        return any(fnmatch(file, pattern) and file.count("/") == pattern.count("/") for pattern in self.written)


class Pushed(NamedTuple):
    """What came of it: the address of the commit or of the pull request, and the commit."""

    address: str
    commit: str


def check_name(repo_id: str) -> None:
    """Refuse what cannot be the name of a repository.

    Raises:
        UsageError: It cannot.
    """
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise UsageError(f"'{repo_id}' is no name of a repository: give user/name") from error


def check_token() -> None:
    """Refuse to publish without a token.

    Raises:
        AccessError: There is none.
    """
    if get_token() is None:
        raise AccessError("no token for the Hub: run `hf auth login` or set HF_TOKEN, or write with --local-dir")


def push(tree: Path, destination: Destination, message: str) -> Pushed:
    """Commit a tree to the Hub, in one commit; a repository that was made for a commit that failed is removed again.

    Raises:
        AccessError: The Hub cannot be reached or refuses.
    """
    api = HfApi(library_name="hfmm", library_version=__version__)
    where, kind = destination.repo_id, destination.kind
    made: list[str] = []

    def attempt() -> Pushed:
        if destination.revision is not None and not api.revision_exists(where, destination.revision, repo_type=kind):
            raise AccessError(f"{where} has no revision '{destination.revision}': create the branch first")
        if not made and not api.repo_exists(where, repo_type=kind):
            made.append(where)
        sdk = "gradio" if kind == "space" else None
        name = api.create_repo(
            where, repo_type=kind, private=destination.private or None, exist_ok=True, space_sdk=sdk
        ).repo_id
        try:
            return _commit(api, name, tree, destination, message)
        except RuntimeError as error:  # as which huggingface_hub tells that a large file did not go up
            if isinstance(error.__cause__, REFUSALS):
                raise error.__cause__ from None
            raise

    try:
        return patiently(attempt, once_sent=destination.create_pr)
    except REFUSALS as error:
        for name in made:
            _remove_if_empty(api, name, kind)
        raise AccessError(refusal(error, where)) from error


def _commit(api: HfApi, name: str, tree: Path, destination: Destination, message: str) -> Pushed:
    """One commit onto the head that was looked at: the Hub refuses it where another has come between."""
    kind, revision = destination.kind, destination.revision
    head = api.repo_info(name, repo_type=kind, revision=revision).sha
    paths = {path.relative_to(tree).as_posix(): path for path in sorted(tree.rglob("*")) if path.is_file()}
    there = api.list_repo_files(name, repo_type=kind, revision=head)
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        CommitOperationAdd(file, path) for file, path in paths.items()
    ]  # and what an earlier publication left: it would be loaded, too
    operations += [CommitOperationDelete(file) for file in there if file not in paths and destination.holds_ours(file)]
    done = api.create_commit(
        name,
        operations,
        commit_message=message,
        repo_type=kind,
        revision=revision,
        create_pr=destination.create_pr,
        parent_commit=head,
    )
    return Pushed(str(done.pr_url or done.commit_url), done.oid)


def _remove_if_empty(api: HfApi, name: str, kind: str) -> None:
    """Take a new repository back; where the Hub is out of reach it stays, empty, and the next attempt fills it."""
    try:
        if set(api.list_repo_files(name, repo_type=kind)) <= MADE_BY_HUB:
            api.delete_repo(name, repo_type=kind)
    except REFUSALS:
        return


def patiently(attempt: Callable[[], Pushed], once_sent: bool = False) -> Pushed:
    """Try again when the Hub is busy or the connection breaks, later each time.

    Args:
        attempt: What is tried.
        once_sent: It must not be done twice, as opening a pull request: where an answer is lost, it may have been done.
    """
    for wait in WAITS:
        try:
            return attempt()
        except REFUSALS as error:
            answered = isinstance(error, HfHubHTTPError)
            if constants.HF_HUB_OFFLINE or not is_passing(error) or (once_sent and not answered):
                raise
            time.sleep(max(wait, _asked_wait(error)))
    return attempt()


def is_passing(error: Exception) -> bool:
    """Whether another attempt may succeed."""
    return not isinstance(error, HfHubHTTPError) or error.response.status_code in PASSING


def _asked_wait(error: Exception) -> float:
    """Seconds that the Hub asks to wait."""
    asked = error.response.headers.get("Retry-After", "") if isinstance(error, HfHubHTTPError) else ""
    return min(float(asked), LONGEST_WAIT) if asked.isdigit() else 0.0


def refusal(error: Exception, repo_id: str) -> str:
    """Why nothing was published, in one line."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set: unset it to publish, or write with --local-dir"
    if not isinstance(error, HfHubHTTPError):
        reason = " ".join(str(error).split()) or type(error).__name__
        return f"the Hub cannot be reached ({reason}): check the network and {AGAIN}"
    status = error.response.status_code
    if status == 401:
        return "the Hub does not know this token: run `hf auth login`, or set HF_TOKEN anew"
    if status == 403:
        return f"this token may not write to {repo_id}: make one that may at huggingface.co/settings/tokens"
    if status == 404:
        return f"{repo_id} was not found on the Hub: check the name, and that this token may write there"
    if status in PASSING:
        return f"the Hub is busy (status {status}): {AGAIN}"
    said = " ".join((error.server_message or str(error)).split())
    return f"the Hub refused {repo_id} (status {status}): {said}"
