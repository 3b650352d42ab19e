"""From a run to a repository of the Hugging Face Hub: one commit, or none."""

import shutil
import tempfile
import time
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError
from huggingface_hub.utils import validate_repo_id

from hfmm import __version__
from hfmm.errors import AccessError, UsageError
from hfmm.hub.staging import WRITTEN, stage

PASSING = {408, 429, 500, 502, 503, 504}  # what the Hub answers when it is busy
REFUSALS = (HTTPError, ConnectionError, TimeoutError)
WAITS = (1, 2, 4, 8)  # seconds before each further attempt
LONGEST_WAIT = 60  # seconds, of those that the Hub asks for
AGAIN = "run the same command again, which sends nothing twice"


def publish(
    where: str | Path,
    repo_id: str,
    local_dir: str | Path | None = None,
    private: bool = False,
    revision: str | None = None,
    create_pr: bool = False,
    merge: bool = False,
) -> str:
    """Publish weights, code, processor, card and scores.

    What an earlier model left in the repository and this one does not have is removed; files of other kinds stay.

    Args:
        where: A run directory, or a folder that `save_pretrained` wrote (its card says "Not measured").
        repo_id: `user/name` on the Hub; it is made if it does not exist.
        local_dir: Write there what would be pushed, and push nothing.
        private: Make a new repository private.
        revision: An existing branch; the main one by default.
        create_pr: Open a pull request instead of committing to the branch.
        merge: Add low-rank adapters to the weights they adapt.

    Returns:
        Address of the commit or of the pull request; the path of `local_dir` where that is given.

    Raises:
        UsageError: Nothing to publish there, a wrong name, or `local_dir` is in use.
        DataError: Something in it must not be published.
        AccessError: The Hub cannot be reached or refuses; nothing was published.
    """
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise UsageError(f"'{repo_id}' is no name of a repository: give user/name") from error
    if local_dir is not None:
        return str(_write(Path(where), Path(local_dir), repo_id, merge))
    if get_token() is None:
        raise AccessError("no token for the Hub: run `hf auth login` or set HF_TOKEN, or write with --local-dir")
    with tempfile.TemporaryDirectory(prefix="hfmm-publish-") as folder:
        tree = Path(folder)
        row = stage(Path(where), tree, repo_id, merge)
        message = f"{row.title}, published with hfmm {__version__}"
        return push(tree, repo_id, message, private, revision, create_pr)


def _write(where: Path, target: Path, repo_id: str, merge: bool) -> Path:
    """Stage beside the target and move it there when it is whole."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} is not empty: name a new folder, or remove it first")
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        stage(where, staged, repo_id, merge)
        staged.chmod(0o755)
        staged.replace(target)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return target


def push(tree: Path, repo_id: str, message: str, private: bool, revision: str | None, create_pr: bool) -> str:
    """Commit a tree to the Hub, in one commit.

    Raises:
        AccessError: The Hub cannot be reached or refuses.
    """

    def attempt() -> str:
        api = HfApi(library_name="hfmm", library_version=__version__)
        if revision is not None and not api.revision_exists(repo_id, revision):
            raise AccessError(f"{repo_id} has no revision '{revision}': create the branch first")
        name = api.create_repo(repo_id, private=private or None, exist_ok=True).repo_id
        paths = {path.relative_to(tree).as_posix(): path for path in sorted(tree.rglob("*")) if path.is_file()}
        old = [file for file in api.list_repo_files(name, revision=revision) if file not in paths and is_ours(file)]
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(file, path) for file, path in paths.items()
        ]
        operations += [CommitOperationDelete(file) for file in old]  # of an earlier model: it would be loaded, too
        try:
            done = api.create_commit(name, operations, commit_message=message, revision=revision, create_pr=create_pr)
        except RuntimeError as error:  # as which huggingface_hub tells that a large file did not go up
            if isinstance(error.__cause__, REFUSALS):
                raise error.__cause__ from None
            raise
        return str(done.pr_url or done.commit_url)

    try:
        return patiently(attempt, once_sent=create_pr)
    except REFUSALS as error:
        raise AccessError(refusal(error, repo_id)) from error


def is_ours(file: str) -> bool:
    """Whether a file of a repository is of a kind that publishing writes: at the root, and scores in their folder."""
    return any(fnmatch(file, pattern) and file.count("/") == pattern.count("/") for pattern in WRITTEN)


def patiently(attempt: Callable[[], str], once_sent: bool = False) -> str:
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
