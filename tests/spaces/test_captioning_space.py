"""The captioning app: its endpoints and its limits, and the command that serves it."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

import hfmm
from hfmm.cli import demo
from hfmm.errors import UsageError
from hfmm.hub.spaces import folder_of

if find_spec("gradio") is None:
    pytest.skip("the app needs gradio: pip install 'hfmm[demo]'", allow_module_level=True)

NAMES = ("show_attend_tell", "show_and_tell")
APP = folder_of("captioning")
FIRST, SECOND = "show attend tell (show_attend_tell)", "show and tell (show_and_tell)"


# Endpoints


@pytest.fixture(scope="module")
def client(address, tmp_path_factory):
    from gradio_client import Client

    return Client(address, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))


@pytest.fixture
def ask(client, files):
    """Send a file to /caption."""
    from gradio_client import handle_file

    return lambda name, *rest: client.predict(handle_file(str(files / name)), *rest, api_name="/caption")


def test_caption_gives_the_best_captions_and_a_picture_a_word(ask):
    caption, best, words = ask("scene.png", FIRST, 4)
    assert best["headers"] == ["caption", "score"]
    captions, scores = zip(*best["data"], strict=True)
    assert captions[0] == caption
    assert len(scores) == 4
    assert list(scores) == sorted(scores, reverse=True)
    assert " ".join(word["caption"] for word in words if not word["caption"].startswith("<")) == caption
    assert Image.open(words[0]["image"]).size == (160, 160)


def test_without_attention_the_picture_alone_is_shown(ask):
    _, _, words = ask("scene.png", SECOND, 1)
    assert len(words) == 1
    assert "no attention" in words[0]["caption"]


def test_compare_gives_a_row_and_a_sheet_a_model(client, files, ask):
    from gradio_client import handle_file

    said, sheets = client.predict(handle_file(str(files / "scene.png")), [FIRST, SECOND], api_name="/compare")
    assert [row[0] for row in said["data"]] == [FIRST, SECOND]
    assert [sheet["caption"] for sheet in sheets] == [f"{name}: {caption}" for name, caption, _ in said["data"]]


def test_endpoints_are_named_and_described(client, address):
    endpoints = client.view_api(print_info=False, return_format="dict")["named_endpoints"]
    assert sorted(endpoints) == ["/caption", "/compare"]
    with urllib.request.urlopen(f"{address}gradio_api/info") as answer:
        described = json.load(answer)["named_endpoints"]
    assert "what is on a picture" in described["/caption"]["description"]
    assert "several captioners" in described["/compare"]["description"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("words.png", "no picture that can be read"),
        ("words.txt", "no picture that can be read"),
        ("huge.png", "13000 x 13000 pixels: the limit is 40 megapixels"),
        ("bomb.png", "too many pixels: the limit is 40 megapixels"),
    ],
)
def test_what_is_no_picture_or_too_large_is_told(ask, name, message):
    with pytest.raises(Exception, match=message):
        ask(name, FIRST, 1)


def test_a_missing_picture_and_an_unknown_model_are_told(client, ask):
    with pytest.raises(Exception, match="Upload a picture first"):
        client.predict(None, FIRST, 1, api_name="/caption")
    with pytest.raises(Exception, match="not in the list"):
        ask("scene.png", "another", 1)


@pytest.mark.parametrize("place", ["http://127.0.0.1:9/a.png", "file:///etc/hostname", "/etc/hostname", "../words.txt"])
def test_addresses_and_paths_of_the_server_are_refused(address, place):
    """Sent as they are: the client of gradio would read the file here and upload it."""
    body = json.dumps({"data": [{"path": place, "meta": {"_type": "gradio.FileData"}}, FIRST, 1]}).encode()
    request = urllib.request.Request(
        f"{address}gradio_api/call/caption", body, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{address}gradio_api/call/caption/{event}") as answer:
        text = answer.read().decode()
    assert text.startswith("event: error")
    assert "event: complete" not in text
    if place.startswith("http"):
        assert "not fetched" in text


def test_heavy_files_are_refused(ask):
    with pytest.raises(Exception, match=r"(?i)size|413|large"):
        ask("heavy.png", FIRST, 1)


def test_the_queue_is_bounded_and_uploads_are_deleted(files):
    _, page = demo.open_app([str(files / NAMES[0])])
    assert page._queue.max_size == 20
    assert page.delete_cache == (3600, 3600)
    limits = {function.api_name: function.concurrency_limit for function in page.fns.values()}
    assert (limits["caption"], limits["compare"]) == (2, 2)
    assert not page.analytics_enabled


# `hfmm demo`


def test_demo_serves_until_it_is_stopped(files):
    command = [sys.executable, "-m", "hfmm", "demo", str(files / NAMES[1]), "--quiet"]
    root = Path(__file__).resolve().parents[2]
    heard = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731  tests in the background inherit deaf ears
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root, preexec_fn=heard) as process:
        url = process.stdout.readline().strip()
        with urllib.request.urlopen(url) as answer:
            assert "Image captioning" in answer.read().decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


def test_demo_tells_what_is_missing(files, monkeypatch):
    with pytest.raises(UsageError, match="no such run directory"):
        demo.open_app(["nowhere"])
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'hfmm\[demo\]'"):
        demo.run([str(files / NAMES[0])])
    monkeypatch.setattr(demo, "find_spec", lambda name: None if name == "mcp" else name)
    with pytest.raises(UsageError, match=r"pip install 'gradio\[mcp\]'"):
        demo.run([str(files / NAMES[0]), "--mcp"])


def test_own_code_needs_a_pinned_repository():
    demo.import_app(APP)
    from captioner import load

    with pytest.raises(ValueError, match="pin the repository to a commit"):
        load("me/sat@main", own_code=True)


def test_published_with_its_space_it_runs_where_hfmm_is_not_installed(files, tmp_path):
    hfmm.publish(files / NAMES[0], "me/sat", local_dir=tmp_path / "out", space=True)
    code = """
import sys
sys.modules["hfmm"] = None  # importing it raises
sys.path.insert(0, "")
import app
from PIL import Image
names, own_code = app.wanted()
captioner = app.load(names[0], own_code)
app.build([captioner])
answer = app.describe(captioner, Image.open(sys.argv[1]).convert("RGB"), 2)
print(answer.captions[0], len(answer.captions))
print(*(word for _, word in answer.panels), len(answer.captions))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(files / "scene.png")],
        capture_output=True,
        text=True,
        cwd=tmp_path / "out-space",
        env={**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules")},
    )
    assert done.returncode == 0, done.stderr
    said, words = done.stdout.splitlines()
    assert said == words  # a panel a word
    assert said.endswith(" 2")


def test_requirements_are_exact_and_few():
    lines = (APP / "requirements.txt").read_text().split()
    assert {line.partition("==")[0] for line in lines} == {"gradio", "pillow", "torch", "transformers"}
    assert all("==" in line for line in lines)
