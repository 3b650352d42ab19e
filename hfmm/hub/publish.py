"""`hfmm publish`: a run or a metric becomes a repository of the Hugging Face Hub, and a run a Space as well."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hfmm import __version__
from hfmm.catalogue import Row
from hfmm.errors import AccessError, UsageError
from hfmm.hub import metric_space, spaces, staging
from hfmm.hub.remote import Destination, check_name, check_token, push


def publish(
    where: str | Path,
    repo_id: str,
    local_dir: str | Path | None = None,
    private: bool = False,
    revision: str | None = None,
    create_pr: bool = False,
    merge: bool = False,
    space: bool = False,
) -> str:
    """Publish weights, code, processor, card and scores; or a metric.

    What an earlier model left in the repository and this one does not have is removed; files of other kinds stay.

    Args:
        where: A run directory, a folder that `save_pretrained` wrote (its card says "Not measured"), or a metric.
        repo_id: `user/name` on the Hub; it is made if it does not exist.
        local_dir: Write there what would be pushed, and push nothing; the Space goes to `<local_dir>-space`.
        private: Make a new repository private.
        revision: An existing branch; the main one by default.
        create_pr: Open a pull request instead of committing to the branch.
        merge: Add low-rank adapters to the weights they adapt.
        space: Also publish the task's app as the Space `repo_id`, on the model at the commit that this makes.

    Returns:
        Address of the commit or of the pull request (with `space`, that of the Space); `local_dir` where it is given.

    Raises:
        UsageError: Nothing to publish there, a wrong name, or `local_dir` is in use.
        DataError: Something in it must not be published.
        AccessError: The Hub cannot be reached or refuses; nothing was published.
    """
    check_name(repo_id)
    if not Path(where).exists() and str(where) in metric_space.metrics():
        if merge or space:
            raise UsageError(f"{where} is a metric, which is a Space already: publish it without --merge and --space")
        return _publish_metric(str(where), repo_id, local_dir, private, revision, create_pr)
    if local_dir is not None:
        return str(_write_model(Path(where), Path(local_dir), repo_id, merge, space))
    check_token()
    with tempfile.TemporaryDirectory(prefix="hfmm-publish-") as folder:
        tree = Path(folder)
        row = staging.stage(Path(where), tree, repo_id, merge)
        app = spaces.app_of(row) if space else None  # before anything is sent
        model = Destination(repo_id, staging.WRITTEN, "model", private, revision, create_pr)
        pushed = push(tree, model, _message(row.title))
    if app is None:
        return pushed.address
    try:
        return _publish_space(app, row, Destination(repo_id, spaces.WRITTEN, "space", private), pushed.commit)
    except AccessError as error:
        raise AccessError(f"{error} (the model is published, its Space is not)") from error


def _message(what: str) -> str:
    return f"{what}, published with hfmm {__version__}"


def _publish_space(app: Path, row: Row, destination: Destination, commit: str) -> str:
    with tempfile.TemporaryDirectory(prefix="hfmm-publish-") as folder:
        spaces.stage(app, Path(folder), f"{destination.repo_id}@{commit}", row)
        return push(Path(folder), destination, _message(f"{row.title}: the app")).address


def _publish_metric(
    name: str, repo_id: str, local_dir: str | Path | None, private: bool, revision: str | None, create_pr: bool
) -> str:
    if repo_id.rpartition("/")[2] != name:
        raise UsageError(f"evaluate looks for {name}.py in a Space named like it: give --repo-id USER/{name}")
    if local_dir is not None:
        return str(_in_place(Path(local_dir), lambda tree: metric_space.write_metric(name, tree, repo_id)))
    check_token()
    with tempfile.TemporaryDirectory(prefix="hfmm-publish-") as folder:
        metric_space.write_metric(name, Path(folder), repo_id)
        destination = Destination(repo_id, metric_space.WRITTEN, "space", private, revision, create_pr)
        return push(Path(folder), destination, _message(f"The metric {name}")).address


def _write_model(where: Path, target: Path, repo_id: str, merge: bool, space: bool) -> Path:
    rows: list[Row] = []
    beside = target.with_name(f"{target.name}-space")
    if space:
        _check_free(beside)
    _in_place(target, lambda tree: rows.append(staging.stage(where, tree, repo_id, merge)))
    if space:  # on the folder beside it: a commit has its name only when it is made
        _in_place(beside, lambda tree: spaces.stage(spaces.app_of(rows[0]), tree, f"../{target.name}", rows[0]))
    return target


def _check_free(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} is not empty: name a new folder, or remove it first")


def _in_place(target: Path, write: Callable[[Path], object]) -> Path:
    """Write a tree beside the target and move it there when it is whole."""
    _check_free(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        write(staged)
        staged.chmod(0o755)
        staged.replace(target)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return target
