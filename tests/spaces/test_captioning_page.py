"""The page of the captioning app as a person sees it, in Debian's Chromium, at the width of a desk and of a phone."""

from importlib.util import find_spec

import pytest
from PIL import Image

from tests.spaces.pages import SCREENS, Page, screen

if find_spec("gradio") is None:
    pytest.skip("the app needs gradio: pip install 'hfmm[demo]'", allow_module_level=True)

MODEL = "show attend tell"


@pytest.fixture(params=SCREENS)
def page(request, browser, address):
    with screen(browser, request.param):
        yield Page(browser, address, request.param)


def test_a_person_uploads_a_picture_and_reads_the_answers(page, files, browser, tmp_path):
    screen = page.screen
    page.upload(files / "scene.png")
    page.wait(lambda: page.loaded("#picture img"))
    page.click("#ask")
    page.wait(lambda: page.text("caption"))
    page.wait(lambda: page.loaded("#words img") >= 1)
    assert page.text("caption") in page.all("#best")[0].text.replace("\n", " ")
    assert page.fits()
    assert max(panel.rect["x"] + panel.rect["width"] for panel in page.all("#words img")) <= screen["width"]
    page.open_tab("Compare", "#ask_all")
    page.click("#ask_all")
    page.wait(lambda: page.loaded("#sheets img") == 2)
    assert MODEL in page.all("#said")[0].text
    assert page.fits()
    assert browser.save_screenshot(str(tmp_path / "page.png"))
    assert Image.open(tmp_path / "page.png").size == (screen["width"], screen["height"])
    assert page.errors() == []
    assert page.foreign() == []


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
