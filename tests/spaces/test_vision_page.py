"""The page of the vision app as a person sees it, in Debian's Chromium, at the width of a desk and of a phone."""

from importlib.util import find_spec

import pytest

from hfmm.hub.spaces import folder_of
from tests.spaces.pages import SCREENS, Page, screen

if find_spec("gradio") is None:
    pytest.skip("the app needs gradio: pip install 'hfmm[demo]'", allow_module_level=True)

EXAMPLES = sorted((folder_of("vision") / "examples").glob("*.png"))


@pytest.fixture(params=SCREENS)
def page(request, browser, vision_address):
    with screen(browser, request.param):
        yield Page(browser, vision_address, request.param)


def rightmost(page, selector):
    return max(found.rect["x"] + found.rect["width"] for found in page.all(selector))


def test_a_person_sees_the_classes_and_where_the_model_looked(page, files):
    page.upload(files / "scene.png")
    page.wait(lambda: page.loaded("#picture img"))
    page.click("#ask_class")
    page.wait(lambda: page.loaded("#looked img") == 2)
    assert "LABEL_" in page.all("#classes")[0].text
    assert "where it looked" in page.all("#looked")[0].text
    assert page.fits()
    assert rightmost(page, "#looked img") <= page.screen["width"]
    assert page.errors() == []
    assert page.foreign() == []


def test_a_person_finds_objects(page, files):
    page.open_tab("Find", "#ask_find")
    page.upload(files / "scene.png", to="scene")
    page.wait(lambda: page.loaded("#scene img"))
    page.click("#ask_find")
    page.wait(lambda: page.loaded("#drawn img"))
    assert page.fits()
    assert page.errors() == []


def test_a_person_compares_and_searches_faces(page):
    page.open_tab("Faces", "#ask_faces")
    page.upload(EXAMPLES[0], to="face")
    page.upload(EXAMPLES[0], to="other")
    page.wait(lambda: page.loaded("#face img") and page.loaded("#other img"))
    page.click("#ask_faces")
    page.wait(lambda: page.text("verdict"))
    assert page.text("verdict") == "The same person: cosine 1.00, threshold 0.50."
    page.upload(*EXAMPLES[:3], to="gallery")
    page.wait(lambda: EXAMPLES[2].stem in page.all("#gallery")[0].text)
    page.click("#ask_search")
    page.wait(lambda: page.loaded("#matches img") == 3)
    assert f"{EXAMPLES[0].name}: 1.00" in page.all("#matches")[0].text
    assert page.fits()
    assert page.errors() == []


def test_a_person_maps_pictures(page):
    page.open_tab("Map", "#ask_map")
    page.upload(*EXAMPLES[:6], to="pictures")
    page.wait(lambda: EXAMPLES[5].stem in page.all("#pictures")[0].text)
    page.click("#ask_map")
    page.wait(lambda: page.loaded("#chart img") and page.loaded("#nearest img"))
    assert page.fits()
    assert rightmost(page, "#nearest img") <= page.screen["width"]
    assert page.errors() == []


@pytest.mark.parametrize("page", ["phone"], indirect=True)
def test_a_person_who_sends_too_little_or_something_else_is_told(page, files):
    page.click("#ask_class")
    assert "Upload a picture first" in page.toast()
    page.open_tab("Map", "#ask_map")
    page.upload(files / "scene.png", files / "words.png", to="pictures")
    page.wait(lambda: "words" in page.all("#pictures")[0].text)
    page.click("#ask_map")
    page.wait(lambda: "no picture that can be read" in page.toast())
