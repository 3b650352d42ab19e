"""The captioning app: its endpoints, its limits, and its page in a real browser, with two random models."""

import json
import shutil
import signal
import subprocess
import sys
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from PIL import Image

import hfmm
from hfmm.cli import demo
from hfmm.errors import UsageError

if find_spec("gradio") is None:
    pytest.skip("the app needs gradio: pip install 'hfmm[demo]'", allow_module_level=True)

NAMES = ("show_attend_tell", "show_and_tell")
FIRST, SECOND = "show attend tell (show_attend_tell)", "show and tell (show_and_tell)"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
SCREENS = {
    "desktop": {"width": 1280, "height": 1200, "deviceScaleFactor": 1, "mobile": False},
    "phone": {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two random captioners, and things to upload."""
    root = tmp_path_factory.mktemp("space")
    torch.manual_seed(0)
    for name in NAMES:
        model = hfmm.create_model(name)
        model.generation_config.max_new_tokens = 5
        model.save_pretrained(root / name)
        hfmm.create_processor(name).save_pretrained(root / name)
    hfmm.load_data("scenes", split="test")[3]["image"].save(root / "scene.png")
    Image.new("1", (13_000, 13_000)).save(root / "huge.png")  # a few kilobytes
    Image.new("1", (20_000, 20_000)).save(root / "bomb.png")
    (root / "words.txt").write_text("no picture")
    (root / "words.png").write_text("no picture")
    (root / "heavy.png").write_bytes(bytes(6_000_000))
    return root


@pytest.fixture(scope="module")
def address(files, tmp_path_factory):
    """The running app."""
    patch = pytest.MonkeyPatch()
    patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
    app, page = demo.open_app([str(files / name) for name in NAMES])
    _, url, _ = app.launch(page, prevent_thread_lock=True, quiet=True)
    yield url
    page.close(verbose=False)
    patch.undo()


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
    assert page.max_threads
    assert page._queue.max_size == 20
    assert page.delete_cache == (3600, 3600)
    assert {function.concurrency_limit for function in page.fns.values() if function.api_name in NAMES} <= {2}
    assert not page.analytics_enabled


# Page


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Debian's Chromium; it sees loopback only because it is started without a network's services."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if find_spec("selenium") is None or chromium is None or driver is None:
        pytest.skip("the page is looked at with selenium and Debian's chromium and chromium-driver, which are not here")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    window = webdriver.Chrome(options=options, service=Service(driver))
    yield window
    window.quit()


class Page:
    """What a person does on the page."""

    def __init__(self, browser, address):
        self.browser = browser
        browser.get_log("browser")  # what came before is not of this page
        browser.get(address)
        self.wait(lambda: self.all("#picture input[type=file]"))

    def all(self, selector):
        return self.browser.find_elements("css selector", selector)

    def wait(self, condition):
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.browser, 60).until(lambda _: condition())

    def upload(self, path):
        self.all("#picture input[type=file]")[0].send_keys(str(path))

    def click(self, selector, text=""):
        button = next(found for found in self.all(selector) if text in found.text)
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].click()", button)

    def caption(self):
        return self.all("#caption textarea")[0].get_attribute("value")

    def loaded(self, selector):
        """Pictures that the browser has decoded."""
        script = "return [...document.querySelectorAll(arguments[0])].filter(i => i.naturalWidth > 0).length"
        return self.browser.execute_script(script, selector)

    def toast(self):
        return self.wait(lambda: " ".join(found.text for found in self.all(".toast-body")))

    def errors(self):
        return [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]

    def width(self):
        """Pixels from side to side, what one would have to scroll to included."""
        return self.browser.execute_script("return document.documentElement.scrollWidth")


@pytest.fixture(params=SCREENS)
def page(request, browser, address):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SCREENS[request.param])
    yield Page(browser, address)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_person_uploads_a_picture_and_reads_the_answers(page, files, browser, tmp_path, request):
    screen = SCREENS["phone" if "phone" in request.node.name else "desktop"]
    page.upload(files / "scene.png")
    page.wait(lambda: page.loaded("#picture img"))
    page.click("#ask")
    page.wait(page.caption)
    page.wait(lambda: page.loaded("#words img") >= 1)
    assert page.caption() in page.all("#best")[0].text.replace("\n", " ")
    assert page.width() <= screen["width"]
    assert max(panel.rect["x"] + panel.rect["width"] for panel in page.all("#words img")) <= screen["width"]
    page.click("button[role=tab]", "Compare")
    page.wait(lambda: page.all("#ask_all")[0].is_displayed())
    page.click("#ask_all")
    page.wait(lambda: page.loaded("#sheets img") == 2)
    assert FIRST.partition(" (")[0] in page.all("#said")[0].text
    assert page.width() <= screen["width"]
    assert browser.save_screenshot(str(tmp_path / "page.png"))
    assert Image.open(tmp_path / "page.png").size == (screen["width"], screen["height"])
    assert page.errors() == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith(("http://127.0.0.1", "data:", "blob:", "chrome"))] == []


@pytest.mark.parametrize(
    ("name", "message"),
    [("huge.png", "the limit is 40 megapixels"), ("words.png", "no picture that can be read"), ("words.txt", "image")],
)
@pytest.mark.parametrize("page", ["desktop"], indirect=True)
def test_a_person_who_uploads_something_else_is_told(page, files, name, message):
    page.upload(files / name)
    if not name.endswith(".txt"):  # the page itself refuses what is not called a picture
        page.wait(lambda: page.all("#picture img"))
        page.click("#ask")
    assert message in page.toast()


# `hfmm demo`


def test_demo_serves_until_it_is_stopped(files):
    command = [sys.executable, "-m", "hfmm", "demo", str(files / NAMES[1]), "--quiet"]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
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


def test_own_code_needs_a_pinned_repository(monkeypatch):
    demo.import_app("captioning")
    from captioner import load

    monkeypatch.setenv("HFMM_TRUST_REMOTE_CODE", "1")
    with pytest.raises(ValueError, match="pin the repository to a commit"):
        load("me/sat@main")


def test_requirements_are_exact_and_few():
    lines = (demo.folder_of("captioning") / "requirements.txt").read_text().split()
    assert {line.partition("==")[0] for line in lines} == {"gradio", "pillow", "torch", "transformers"}
    assert all("==" in line for line in lines)
