"""The apps, running on loopback with random models, and a browser to look at them."""

import shutil
from importlib.util import find_spec

import pytest
import torch
from PIL import Image

import hfmm
from hfmm.cli import demo
from hfmm.hub.spaces import folder_of
from tests.retrieval import models as retrieval_models
from tests.spaces import talkers as talking_models
from tests.spaces import vision_models
from tests.testing import seeded

NAMES = ("show_attend_tell", "show_and_tell")
VISION = ("vit", "lenet5", "yolo", "segformer", "clip_vision_model")
GENERATORS = ("vae", "glow", "pixelcnn", "super_resolution")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def uploads(tmp_path_factory):
    """Where every app of this process keeps what is uploaded: gradio asks the environment again at each upload."""
    patch = pytest.MonkeyPatch()
    patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def address(files, uploads):
    """The running app."""
    app, page = demo.open_app([str(files / name) for name in NAMES])
    _, url, _ = app.launch(page, prevent_thread_lock=True, quiet=True)
    yield url
    page.close(verbose=False)


@pytest.fixture(scope="session")
def vision_address(files, uploads):
    """The vision app, running with a random model of each kind."""
    vision_models.save(files)
    app = demo.import_app(folder_of("vision"))
    page = app.build([app.load(str(files / name), own_code=False) for name in VISION])
    _, url, _ = app.launch(page, prevent_thread_lock=True, quiet=True)
    yield url
    page.close(verbose=False)


@pytest.fixture(scope="session")
def retrieval_address(files, uploads):
    """The retrieval app, running with a random CLIP."""
    for part in retrieval_models.clip():
        part.save_pretrained(files / "clip")
    app = demo.import_app(folder_of("retrieval"))
    page = app.build([app.load(str(files / "clip"), own_code=False)])
    _, url, _ = app.launch(page, prevent_thread_lock=True, quiet=True)
    yield url
    page.close(verbose=False)


@pytest.fixture(scope="session")
def generation_address(uploads):
    """The generation app, running with random models that can do different things."""
    app = demo.import_app(folder_of("generation"))
    with seeded():
        makers = [app.entry(hfmm.create_model(name).eval(), hfmm.create_processor(name), name) for name in GENERATORS]
    page = app.build(makers)
    _, url, _ = app.launch(page, prevent_thread_lock=True, quiet=True)
    yield url
    page.close(verbose=False)


@pytest.fixture(scope="session")
def talkers(tmp_path_factory):
    """A random model that converses, and adapters over it, in folders."""
    root = tmp_path_factory.mktemp("talkers")
    talking_models.save(root)
    return root


@pytest.fixture(scope="session")
def chat_address(talkers, uploads):
    """The chat app, running with both."""
    app, page = demo.open_app([str(talkers / "llava"), str(talkers / "adapter")])
    _, url, _ = app.launch(page, prevent_thread_lock=True, quiet=True)
    yield url
    page.close(verbose=False)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Debian's Chromium, headless, with a profile of its own."""
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
