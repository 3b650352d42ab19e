"""The page of the chat app as a person sees it, in Debian's Chromium, at the width of a desk and of a phone."""

from importlib.util import find_spec

import pytest

from hfmm.hub.spaces import folder_of
from tests.spaces.pages import SCREENS, Page, screen

if find_spec("gradio") is None:
    pytest.skip("the app needs gradio: pip install 'hfmm[demo]'", allow_module_level=True)

EXAMPLES = sorted((folder_of("chat") / "examples").glob("*.png"))


@pytest.fixture(params=SCREENS)
def page(request, browser, chat_address):
    with screen(browser, request.param):
        yield Page(browser, chat_address, request.param, ready="#words textarea")


def upload(page, *pictures):
    """Add pictures; the browser would send those of the last time again."""
    page.browser.execute_script("document.querySelector('#words input[type=file]').value = ''")
    page.upload(*pictures, to="words")


def say(page, text, *pictures):
    """Write, upload and send."""
    if pictures:
        upload(page, *pictures)
        page.wait(lambda: page.loaded("#words img") == len(pictures))
    page.all("#words textarea")[0].send_keys(text)
    page.wait(lambda: written(page) == text)
    page.wait(lambda: sent(page))


def written(page):
    return page.all("#words textarea")[0].get_attribute("value")


def sent(page):
    """Press the button until the box is empty: while a model answers, it waits."""
    if written(page):
        page.click("#words button.submit-button")
    return not written(page)


def heard(page, where="first"):
    """The answers in a conversation, in one look: what is found is drawn anew while it grows."""
    return texts(page, f"#{where} .bot.message")


def texts(page, selector):
    script = "return [...document.querySelectorAll(arguments[0])].map(found => found.innerText)"
    return page.browser.execute_script(script, selector)


def answered(page, count, where="first"):
    page.wait(lambda: len(heard(page, where)) == count and all(heard(page, where)))


def test_a_person_asks_about_pictures_goes_on_and_clears(page):
    say(page, "what color is the star", EXAMPLES[0])
    answered(page, 1)
    assert page.loaded("#first img") == 1
    say(page, "and in these", *EXAMPLES[1:3])
    answered(page, 2)
    assert page.loaded("#first img") == 3
    assert texts(page, "#first .user.message")[-1].strip() == "and in these"
    assert page.fits()
    page.click("#clear")
    page.wait(lambda: not heard(page))
    assert page.loaded("#first img") == 0
    assert page.errors() == []
    assert page.foreign() == []


def is_shown(page, name):
    script = "const found = document.getElementById(arguments[0]); return !!found && found.offsetParent !== null"
    return page.browser.execute_script(script, name)


def choose(page, name, text):
    """Take an entry of a drop-down."""
    from selenium.webdriver.common.keys import Keys

    box = page.all(f"#{name} input")[0]
    page.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", box)
    box.click()
    box.send_keys(Keys.CONTROL, "a")
    box.send_keys(text, Keys.ENTER)


def test_a_person_compares_with_an_adapted_model(page):
    choose(page, "other", "llava (adapter), adapted")
    page.wait(lambda: is_shown(page, "second"))
    say(page, "what color is the star", EXAMPLES[0])
    answered(page, 1, "second")
    assert len(heard(page)) == 1
    assert page.loaded("#second img") == 1
    assert "llava (adapter), adapted" in texts(page, "#second")[0]
    assert page.fits()
    if page.screen["mobile"]:  # one under the other, not side by side
        first, second = (page.all(f"#{name}")[0].rect for name in ("first", "second"))
        assert first["y"] + first["height"] <= second["y"]
    choose(page, "other", "nobody")
    page.wait(lambda: not is_shown(page, "second"))
    page.wait(lambda: not heard(page))
    assert page.errors() == []


@pytest.mark.parametrize("page", ["phone"], indirect=True)
def test_a_person_who_sends_too_little_or_something_else_is_told(page, files):
    upload(page, EXAMPLES[0])
    page.wait(lambda: page.loaded("#words img") == 1)
    page.click("#words button.submit-button")
    assert "Write something first" in page.toast()
    upload(page, files / "words.png")
    page.wait(lambda: len(page.all("#words .thumbnail-item")) == 2)
    page.all("#words textarea")[0].send_keys("what is it")
    page.click("#words button.submit-button")
    page.wait(lambda: "no picture that can be read" in page.toast())


@pytest.mark.parametrize("page", ["desktop"], indirect=True)
def test_a_person_takes_an_example(page):
    page.click("tr.tr-body, .gallery-item", "")
    page.wait(lambda: page.loaded("#words img") == 1)
    page.wait(lambda: written(page))
    page.wait(lambda: sent(page))
    answered(page, 1)
    assert page.loaded("#first img") == 1
    assert page.errors() == []
