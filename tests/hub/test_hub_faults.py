"""The faults of the Hub on loopback do what they say, and leave a repository as it was or complete."""

import random

import pytest

from tests.hub_server.child import ChildError

WEIGHTS = random.Random(0).randbytes(300_000)


@pytest.fixture
def folder(tmp_path):
    """What the tests upload."""
    folder = tmp_path / "sent"
    folder.mkdir()
    (folder / "config.json").write_text('{"a": 1}')
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    return folder


@pytest.fixture
def before(hub, tmp_path):
    """A repository with one file, and what it holds."""

    def create():
        from huggingface_hub import HfApi

        HfApi().create_repo("me/faulty", exist_ok=True)
        HfApi().create_commit("me/faulty", [], commit_message="start")
        HfApi().upload_file(path_or_fileobj=b"old", path_in_repo="config.json", repo_id="me/faulty")

    hub.run(create, tmp_path)
    yield hub.snapshot("me/faulty")
    hub.store.delete(hub.repository("me/faulty"))


def upload(folder):
    """Push a folder; returns the seconds that the client waited between its attempts, without waiting them."""
    import time

    from huggingface_hub import HfApi

    waits = []
    time.sleep = waits.append
    HfApi().upload_folder(repo_id="me/faulty", folder_path=folder)
    return waits


def complete(hub):
    files = hub.snapshot("me/faulty")
    return files["config.json"] == b'{"a": 1}' and files["model.safetensors"] == WEIGHTS and len(files) == 3


def test_a_status_is_answered_as_often_as_asked(hub, before, folder, tmp_path):
    hub.faults.fail_next("POST .*/preupload/", status=503, times=2)
    assert hub.run(upload, tmp_path, folder=folder)[:2] == [1, 2]
    assert [entry.status for entry in hub.requests("preupload")][-3:] == [503, 503, 200]
    assert complete(hub)


def test_retry_after_is_heard(hub, before, folder, tmp_path):
    hub.faults.fail_next("PUT /large/", status=429, retry_after=7)
    assert hub.run(upload, tmp_path, folder=folder) == [8.0]
    assert complete(hub)


@pytest.mark.parametrize("size", [0, 1, 100_000, len(WEIGHTS) - 1, len(WEIGHTS)])
def test_an_upload_breaks_after_some_bytes(hub, before, folder, tmp_path, size):
    hub.faults.drop_upload("PUT /large/", after_bytes=size)
    assert hub.run(upload, tmp_path, folder=folder) == [1]
    assert [entry.received for entry in hub.requests("PUT /large/")] == [size, len(WEIGHTS)]
    assert [entry.status for entry in hub.requests("PUT /large/")] == [0, 200]
    assert complete(hub)


def test_what_fails_for_good_leaves_no_half_commit(hub, before, folder, tmp_path):
    for pattern in ("PUT /large/", "POST .*/objects/batch", "POST .*/commit/"):
        hub.faults.drop_upload(pattern, after_bytes=10, times=99)
        with pytest.raises(ChildError):
            hub.run(upload, tmp_path, folder=folder)
        hub.faults.clear()
        assert hub.snapshot("me/faulty") == before
    hub.run(upload, tmp_path, folder=folder)
    assert complete(hub)


def test_a_commit_whose_answer_is_lost_is_made(hub, before, folder, tmp_path):
    hub.faults.drop_answer("POST .*/commit/", times=99)
    with pytest.raises(ChildError):
        hub.run(upload, tmp_path, folder=folder)
    assert complete(hub)
    hub.faults.clear()
    commits = len(hub.repository("me/faulty").commits)
    hub.run(upload, tmp_path, folder=folder)
    assert len(hub.repository("me/faulty").commits) == commits


def test_a_download_that_breaks_goes_on_from_there(hub, before, folder, tmp_path):
    def download():
        import hashlib
        import time

        from huggingface_hub import constants, hf_hub_download

        constants.DOWNLOAD_CHUNK_SIZE = 1000  # bytes; what a broken piece held is asked for again
        time.sleep = lambda seconds: None
        with open(hf_hub_download("me/faulty", "model.safetensors"), "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    hub.run(upload, tmp_path, folder=folder)
    hub.faults.drop_answer("GET .*/resolve/.*safetensors", after_bytes=100_000)
    assert hub.run(download, tmp_path) == hub.repository("me/faulty").branches["main"].files["model.safetensors"].sha256
    first, second = hub.requests("GET .*/resolve/.*safetensors")
    assert (first.status, first.sent, second.status) == (200, 100_000, 206)
    assert second.range == "bytes=100000-"


def test_a_slow_answer_meets_the_patience_of_a_client(hub, before, tmp_path):
    def ask(url):
        from huggingface_hub.utils import get_session

        told = []
        for _ in range(3):
            try:
                told.append(get_session().get(f"{url}/api/models/me/faulty", timeout=2).status_code)
            except Exception as error:
                told.append(type(error).__name__)
        return told

    hub.faults.slow_next("GET /api/models/me/faulty", seconds=60, skip=1)
    assert hub.run(ask, tmp_path, url=hub.url) == [200, "ReadTimeout", 200]
    assert hub.faults.left == 0
