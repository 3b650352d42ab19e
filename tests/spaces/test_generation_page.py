"""The page of the generation app as a person sees it, in Debian's Chromium, at the width of a desk and of a phone."""

from importlib.util import find_spec

import pytest

from hfmm.hub.spaces import folder_of
from tests.spaces.pages import SCREENS, Page, screen

if find_spec("gradio") is None:
    pytest.skip("the app needs gradio: pip install 'hfmm[demo]'", allow_module_level=True)

EXAMPLES = folder_of("generation") / "examples"


@pytest.fixture(params=SCREENS)
def page(request, browser, generation_address):
    with screen(browser, request.param):
        yield Page(browser, generation_address, request.param, ready="#ask_draw")


def test_a_person_draws_with_every_model(page):
    page.click("#ask_draw")
    page.wait(lambda: page.loaded("#drawn img") == 24)
    assert "pixelcnn (pixelcnn)" in page.all("#drawn")[0].text
    assert page.fits()
    assert page.errors() == []
    assert page.foreign() == []


def test_a_person_goes_from_one_picture_to_another(page):
    page.open_tab("Between", "#ask_between")
    page.upload(EXAMPLES / "seven_1.png", to="first")
    page.upload(EXAMPLES / "one_1.png", to="second")
    page.wait(lambda: page.loaded("#first img") and page.loaded("#second img"))
    page.click("#ask_between")
    page.wait(lambda: page.loaded("#way img") == 7)
    assert page.fits()
    assert page.errors() == []


def test_a_person_changes_a_picture(page):
    page.open_tab("Change", "#ask_edit")
    page.click("#ask_edit")
    assert "Upload pictures that have it" in page.toast()
    page.upload(EXAMPLES / "one_1.png")
    page.upload(*sorted(EXAMPLES.glob("seven_*.png"))[:3], to="having")
    page.upload(*sorted(EXAMPLES.glob("one_*.png"))[:3], to="lacking")
    page.wait(lambda: "one_3" in page.all("#lacking")[0].text and "seven_3" in page.all("#having")[0].text)
    page.wait(lambda: page.loaded("#picture img"))
    page.click("#ask_edit")
    page.wait(lambda: page.loaded("#changed img") == 5)
    assert "+1.0" in page.all("#changed")[0].text
    assert page.fits()
    assert page.errors() == []


def test_a_person_has_a_picture_mended(page, files):
    page.open_tab("Mend", "#ask_mend")
    page.upload(files / "scene.png", to="broken")
    page.wait(lambda: page.loaded("#broken img"))
    page.click("#ask_mend")
    page.wait(lambda: page.loaded("#mended img") == 4)
    assert page.fits()
    assert page.errors() == []
