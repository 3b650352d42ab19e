"""The page of the retrieval app as a person sees it, in Debian's Chromium, at the width of a desk and of a phone."""

from importlib.util import find_spec

import pytest

from hfmm.hub.spaces import folder_of
from tests.spaces.pages import SCREENS, Page, screen

if find_spec("gradio") is None:
    pytest.skip("the app needs gradio: pip install 'hfmm[demo]'", allow_module_level=True)

EXAMPLES = sorted((folder_of("retrieval") / "examples").glob("*.png"))


@pytest.fixture(params=SCREENS)
def page(request, browser, retrieval_address):
    with screen(browser, request.param):
        yield Page(browser, retrieval_address, request.param)


def collect(page):
    page.upload(*EXAMPLES[:6], to="collection")
    page.wait(lambda: EXAMPLES[5].stem in page.all("#collection")[0].text)


def test_a_person_searches_in_words_and_by_a_picture(page, tmp_path):
    collect(page)
    page.all("#words textarea, #words input")[0].send_keys("a red circle")
    page.click("#ask_words")
    page.wait(lambda: page.loaded("#matches img") == 6)
    page.upload(EXAMPLES[3])
    page.wait(lambda: page.loaded("#picture img"))
    page.click("#ask_picture")
    page.wait(lambda: f"{EXAMPLES[3].name}: 1.00" in page.all("#matches")[0].text)
    assert page.fits()
    assert page.errors() == []
    assert page.foreign() == []


def test_a_person_labels_a_picture(page):
    page.open_tab("Label", "#ask_label")
    page.upload(EXAMPLES[0], to="pictured")
    page.wait(lambda: page.loaded("#pictured img"))
    page.click("#ask_label")
    page.wait(lambda: "red circle" in page.all("#shares")[0].text)
    assert "%" in page.all("#shares")[0].text
    assert page.fits()
    assert page.errors() == []


@pytest.mark.parametrize("page", ["phone"], indirect=True)
def test_a_person_who_sends_too_little_is_told(page):
    page.click("#ask_words")
    assert "Write what to search for first" in page.toast()
