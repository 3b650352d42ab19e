"""Publishing: what the Hub has afterwards, whatever goes wrong."""

import json
import re
from types import SimpleNamespace

import httpx2
import pytest
import torch
import yaml
from huggingface_hub.errors import HfHubHTTPError
from transformers import AutoModelForImageTextToText

import hfmm
from hfmm.errors import AccessError
from hfmm.hub import remote, staging
from hfmm.hub.publish import publish
from tests.hub.small_run import WEIGHTS, contents, make_run

DESTINATION = remote.Destination("me/sat", staging.WRITTEN)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "sat")


# Talking to the Hub


def answered(status, **headers):
    response = httpx2.Response(status, headers=headers, request=httpx2.Request("POST", "http://hub"))
    return HfHubHTTPError("said\nso", response=response, server_message="too\nlarge")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (answered(401), "does not know this token"),
        (answered(403), "may not write to me/sat"),
        (answered(404), "was not found"),
        (answered(413), r"refused me/sat \(status 413\): too large"),
        (answered(503), r"busy \(status 503\)"),
        (httpx2.ConnectError("no route"), r"cannot be reached \(no route\): check the network"),
        (TimeoutError(), r"cannot be reached \(TimeoutError\)"),
    ],
)
def test_every_refusal_is_one_line(error, message, tmp_path, monkeypatch):
    attempts, waits = [], []

    def refuse(*words, **named):
        attempts.append(words)
        raise error

    monkeypatch.setattr(remote, "HfApi", lambda **named: SimpleNamespace(repo_exists=refuse))
    monkeypatch.setattr(remote.time, "sleep", waits.append)
    monkeypatch.setattr(remote.constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(AccessError, match=message) as caught:
        remote.push(tmp_path, DESTINATION, "a message")
    assert len(str(caught.value).splitlines()) == 1
    passing = not isinstance(error, HfHubHTTPError) or error.response.status_code == 503
    assert waits == ([1, 2, 4, 8] if passing else [])
    assert len(attempts) == len(waits) + 1


def test_it_waits_as_long_as_the_hub_asks_within_reason(monkeypatch):
    errors, waits = [answered(429, **{"Retry-After": "7"}), answered(429, **{"Retry-After": "9999"})], []
    monkeypatch.setattr(remote.time, "sleep", waits.append)
    monkeypatch.setattr(remote.constants, "HF_HUB_OFFLINE", False)

    def attempt():
        if errors:
            raise errors.pop(0)
        return "done"

    assert remote.patiently(attempt) == "done"
    assert waits == [7, 60]


def test_offline_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(remote.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(AccessError, match="HF_HUB_OFFLINE is set"):
        remote.push(tmp_path, DESTINATION, "a message")


# A Hub on loopback


def test_published_it_is_what_local_dir_writes_and_loads_by_name(hub, finished, tmp_path):
    def send(run):
        import hfmm

        return hfmm.publish(run, "me/sat", private=True)

    def load():
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor

        torch.set_num_threads(1)
        model = AutoModelForImageTextToText.from_pretrained("me/sat", trust_remote_code=True).eval()
        processor = AutoProcessor.from_pretrained("me/sat", trust_remote_code=True)
        pixels = torch.linspace(-1, 1, 2 * 3 * 64 * 64).view(2, 3, 64, 64)
        ids = model.generate(pixel_values=pixels, num_beams=2, max_new_tokens=6)
        told = processor.post_process_image_text_to_text(ids)
        return [ids.tolist(), told, type(model.config) is model.config_class, type(model).__module__]

    address = hub.run(send, tmp_path / "sender", run=finished)
    assert address.startswith(f"{hub.url}/me/sat/commit/")
    publish(finished, "me/sat", local_dir=tmp_path / "out")
    remote = hub.snapshot("me/sat")
    remote.pop(".gitattributes")
    assert remote == contents(tmp_path / "out")
    assert len(hub.requests("POST /api/models/me/sat/commit/")) == 1
    ids, told, one_class, module = hub.run(load, tmp_path / "reader", without=("hfmm",))
    model = AutoModelForImageTextToText.from_pretrained(finished).eval()
    pixels = torch.linspace(-1, 1, 2 * 3 * 64 * 64).view(2, 3, 64, 64)
    assert ids == model.generate(pixel_values=pixels, num_beams=2, max_new_tokens=6).tolist()
    assert len(told) == 2
    assert one_class
    assert module.startswith("transformers_modules.me.sat.")


def test_faults_leave_the_whole_commit_or_none(hub, finished, tmp_path):
    def send(run, read_token):
        import os

        import hfmm
        from hfmm.errors import AccessError
        from hfmm.hub import remote

        remote.WAITS = (0, 0)

        def attempt(name, **given):
            try:
                return hfmm.publish(run, f"me/{name}", **given)
            except AccessError as error:
                return str(error)

        names = ("busy", "limited", "broken-upload", "broken-answer", "down", "down")
        found = [attempt(name) for name in names]
        found += [
            attempt("proposed", create_pr=True),
            attempt("busy", revision="nowhere"),
            attempt("new", revision="x"),
        ]
        for token in (read_token, "hf_nobody"):
            os.environ["HF_TOKEN"] = token
            found.append(attempt("closed"))
        return found

    commit = "POST /api/models/me/{}/commit/"
    hub.faults.fail_next(commit.format("busy"), status=503, times=2)
    hub.faults.fail_next(commit.format("limited"), status=429, times=1, retry_after=0)
    hub.faults.drop_upload(commit.format("broken-upload"), after_bytes=1000)
    hub.faults.drop_answer(commit.format("broken-answer"), after_bytes=0)
    hub.faults.fail_next(commit.format("down"), status=504, times=3)
    found = hub.run(send, tmp_path / "sender", run=finished, read_token=hub.read_token)
    assert hub.faults.left == 0
    for name, said in zip(("busy", "limited", "broken-upload", "broken-answer"), found, strict=False):
        assert said.startswith(f"{hub.url}/me/{name}/commit/")
    assert "the Hub is busy (status 504)" in found[4]
    assert found[5].startswith(f"{hub.url}/me/down/commit/")  # the same command, later
    assert "/discussions/" in found[6]
    assert hub.snapshot("me/proposed").keys() == {".gitattributes"}
    assert found[7] == "me/busy has no revision 'nowhere': create the branch first"
    assert found[8] == "me/new has no revision 'x': create the branch first"
    assert "may not write to me/closed" in found[9]
    assert "does not know this token" in found[10]
    trees = [hub.snapshot(f"me/{name}") for name in ("busy", "limited", "broken-upload", "broken-answer", "down")]
    assert [tree.keys() for tree in trees] == [trees[0].keys()] * 5
    assert all(tree[WEIGHTS] == (finished / WEIGHTS).read_bytes() for tree in trees)
    for name in ("busy", "limited", "broken-upload", "broken-answer", "down"):
        assert len(hub.repository(f"me/{name}").commits) == 2  # the first, with nothing in it, and ours
    assert [hub.repository(f"me/{name}") for name in ("new", "closed")] == [None, None]


def test_with_space_the_app_shows_the_very_commit(hub, finished, tmp_path):
    def send(run):
        import hfmm

        return hfmm.publish(run, "me/shown", space=True)

    address = hub.run(send, tmp_path / "sender", run=finished)
    assert address.startswith(f"{hub.url}/spaces/me/shown/commit/")
    app = hub.repository("me/shown", "spaces").snapshot()
    commit = hub.repository("me/shown").branches["main"].oid
    assert json.loads(app["models.json"]) == {"models": [f"me/shown@{commit}"], "trust_remote_code": True}
    assert {"app.py", "captioner.py", "pictures.py", "requirements.txt", "examples/scene_1.png"} <= app.keys()
    front = yaml.safe_load(app["README.md"].decode().split("---\n")[1])
    assert (front["title"], front["models"], front["sdk"]) == ("Show, Attend and Tell", ["me/shown"], "gradio")


def test_without_an_app_for_the_task_nothing_is_sent(hub, tmp_path):
    def send(model):
        import hfmm
        from hfmm.errors import UsageError

        try:
            return hfmm.publish(model, "me/lonely", space=True)
        except UsageError as error:
            return str(error)

    hfmm.create_model("pretext").save_pretrained(tmp_path / "model")
    assert "there is no app for" in hub.run(send, tmp_path / "sender", model=tmp_path / "model")
    assert hub.repository("me/lonely") is None


def test_published_again_it_replaces_what_was_there_and_keeps_what_is_not_ours(hub, finished, tmp_path):
    def send(run, other):
        from huggingface_hub import HfApi

        import hfmm

        hfmm.publish(run, "me/replaced")
        first = HfApi().model_info("me/replaced").sha
        hfmm.publish(run, "me/replaced")  # nothing new, so no commit
        same = HfApi().model_info("me/replaced").sha == first
        HfApi().upload_file(path_or_fileobj=b"mine", path_in_repo="notes/mine.py", repo_id="me/replaced")
        hfmm.publish(other, "me/replaced")
        return same

    hfmm.create_model("vgg").save_pretrained(tmp_path / "other")
    assert hub.run(send, tmp_path / "sender", run=finished, other=tmp_path / "other")
    names = hub.snapshot("me/replaced").keys()
    assert "modeling_vgg.py" in names
    assert "notes/mine.py" in names
    assert [name for name in names if re.search("show_attend|processor|recipe|eval_results", name)] == []
