"""Publishing to a Hub that fails: afterwards a repository is as it was or complete, and one commit made it so.

Every fault meets a repository of its own, whose name its pattern holds; one process publishes to all of them.
"""

import json
import random

import pytest

from hfmm import factory
from hfmm.hub.publish import publish
from tests.hub_server.store import Blob, Repository

POSITIONS = sorted(random.Random(0).sample(range(500_000), 12))  # bytes
PASSING = {  # what goes by: name -> method of the faults, what it is added to after the repository, settings
    "list-503": ("fail_next", "/tree/", {"status": 503}),
    "preupload-429": ("fail_next", "/preupload/", {"status": 429, "retry_after": 3}),
    "batch-504": ("fail_next", "git/info/lfs", {"status": 504, "times": 2}),
    "put-500": ("fail_next", "/[0-9a-f]{64}", {"status": 500}),
    "commit-503": ("fail_next", "/commit/", {"status": 503, "times": 2}),
    "commit-429": ("fail_next", "/commit/", {"status": 429, "retry_after": 2}),
    "commit-unheard": ("drop_answer", "/commit/", {}),
    "commit-half-heard": ("drop_answer", "/commit/", {"after_bytes": 20}),
    **{f"commit-cut-{size}": ("drop_upload", "/commit/", {"after_bytes": size}) for size in (0, 1000, 10_000)},
    **{f"put-cut-{size}": ("drop_upload", "/[0-9a-f]{64}", {"after_bytes": size}) for size in POSITIONS},
}
LASTING = {
    "put-always-cut": ("drop_upload", "/[0-9a-f]{64}", {"after_bytes": 5000, "times": 99}),
    "preupload-always-503": ("fail_next", "/preupload/", {"status": 503, "times": 99}),
    "commit-always-503": ("fail_next", "/commit/", {"status": 503, "times": 99}),
    "commit-always-cut": ("drop_upload", "/commit/", {"after_bytes": 1000, "times": 99}),
    "commit-401": ("fail_next", "/commit/", {"status": 401, "times": 99}),
    "commit-403": ("fail_next", "/commit/", {"status": 403, "times": 99}),
    "commit-413": ("fail_next", "/commit/", {"status": 413, "times": 99}),
    "put-403": ("fail_next", "/[0-9a-f]{64}", {"status": 403, "times": 99}),
}


def publish_all(names, folder):
    """Publish a folder under many names; returns what came of each, and the seconds it would have waited."""
    import time

    import hfmm

    outcomes, waits = {}, []
    time.sleep = waits.append
    for name in names:
        waits.clear()
        try:
            outcomes[name] = {"address": hfmm.publish(folder, repo_id=f"me/{name}")}
        except Exception as error:
            outcomes[name] = {"kind": type(error).__name__, "message": str(error)}
        outcomes[name]["waits"] = [*waits]
    return outcomes


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two folders that `save_pretrained` wrote, with different weights."""
    folders = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
    for folder, width in zip(folders, (24, 32), strict=True):
        factory.create_model("small_cnn", hidden_sizes=[width, 2 * width, 4 * width]).save_pretrained(folder)
        factory.create_processor("small_cnn").save_pretrained(folder)
    return folders


def tree(folder, name, where):
    """What publishing a folder under a name gives, written to `where`."""
    publish(folder, f"me/{name}", local_dir=where)
    return {path.relative_to(where).as_posix(): path.read_bytes() for path in where.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def states(models, tmp_path_factory):
    """Files of a repository before it is published to again, and after; its name is NAME in them."""
    home = tmp_path_factory.mktemp("trees")
    kept = {"notes/mine.txt": b"mine", ".gitattributes": b""}
    before = tree(models[0], "NAME", home / "first")
    before = {path: content for path, content in before.items() if not path.endswith(".py")} | {"old.py": b""} | kept
    return before, tree(models[1], "NAME", home / "second") | kept


@pytest.fixture(scope="module")
def outcomes(hub_of_module, models, states, tmp_path_factory):
    """What came of publishing to repositories that exist, with a fault each."""
    hub, faults = hub_of_module, PASSING | LASTING
    for name, (kind, what, settings) in faults.items():
        repository = hub.store.repositories["models", f"me/{name}"] = Repository("models", f"me/{name}")
        files = {path: Blob(named(content, name), path.endswith(".safetensors")) for path, content in states[0].items()}
        repository.branches["main"] = repository.record(None, files, "before")
        getattr(hub.faults, kind)(f"me/{name}[/.]?{what}", **settings)
    return hub.run(publish_all, tmp_path_factory.mktemp("home"), names=list(faults), folder=models[1])


def named(content, name):
    return content.replace(b"me/NAME", f"me/{name}".encode())


def expected(state, name):
    return {path: named(content, name) for path, content in state.items()}


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_goes_by_ends_in_one_whole_commit(hub_of_module, outcomes, states, name):
    assert "address" in outcomes[name], outcomes[name]
    assert outcomes[name]["waits"]
    assert hub_of_module.snapshot(f"me/{name}") == expected(states[1], name)
    assert len(list(hub_of_module.repository(f"me/{name}").branches["main"].history())) == 2


@pytest.mark.parametrize("name", LASTING)
def test_a_fault_that_lasts_leaves_what_was_there(hub_of_module, outcomes, states, name):
    assert outcomes[name]["kind"] == "AccessError", outcomes[name]
    assert "\n" not in outcomes[name]["message"]
    assert hub_of_module.snapshot(f"me/{name}") == expected(states[0], name)


def test_the_hub_is_heard_when_it_says_how_long_to_wait(outcomes):
    assert outcomes["preupload-429"]["waits"] == [4.0]  # huggingface_hub adds a second
    assert outcomes["commit-429"]["waits"] == [2.0]


def test_what_another_attempt_cannot_change_is_not_attempted_again(outcomes):
    for name in ("commit-401", "commit-403", "commit-413", "put-403"):
        assert outcomes[name]["waits"] == []


def test_the_same_command_again_completes_it(hub_of_module, outcomes, models, states, tmp_path):
    hub_of_module.faults.clear()
    again = hub_of_module.run(publish_all, tmp_path, names=list(LASTING), folder=models[1])
    assert [name for name in again if "address" not in again[name]] == []
    for name in LASTING:
        assert hub_of_module.snapshot(f"me/{name}") == expected(states[1], name)


def test_a_new_repository_is_there_only_when_it_is_whole(hub_of_module, models, tmp_path):
    names = [f"new-{position}" for position in POSITIONS[:3]]
    for name, position in zip(names, POSITIONS, strict=False):
        hub_of_module.faults.drop_upload(f"me/{name}/[0-9a-f]{{64}}", after_bytes=position, times=99)
    hub_of_module.faults.drop_answer("POST /api/repos/create")  # made, and not heard
    outcomes = hub_of_module.run(publish_all, tmp_path, names=names, folder=models[1])
    assert {outcome["kind"] for outcome in outcomes.values()} == {"AccessError"}
    assert [hub_of_module.repository(f"me/{name}") for name in names] == [None] * 3
    hub_of_module.faults.clear()
    outcomes = hub_of_module.run(publish_all, tmp_path, names=names, folder=models[1])
    assert "address" in outcomes[names[0]], json.dumps(outcomes)


def test_a_commit_that_came_between_is_seen(hub_of_module, models, tmp_path):
    """The files to remove were listed before it: the Hub refuses the commit, and the next attempt lists them again."""

    def publish_twice(first, second):
        from huggingface_hub import HfApi

        import hfmm

        listed, paused = HfApi.list_repo_files, []

        def listed_then_changed(self, *words, **named):
            found = listed(self, *words, **named)
            if not paused:
                paused.append(HfApi().upload_file(path_or_fileobj=b"", path_in_repo="late.py", repo_id="me/raced"))
            return found

        hfmm.publish(first, "me/raced")
        HfApi.list_repo_files = listed_then_changed
        hfmm.publish(second, "me/raced")

    hub_of_module.run(publish_twice, tmp_path, first=models[0], second=models[1])
    assert "late.py" not in hub_of_module.snapshot("me/raced")
