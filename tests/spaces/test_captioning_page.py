"""The page of the captioning app as a person sees it, in Debian's Chromium, at the width of a desk and of a phone."""

import json
from importlib.util import find_spec

import pytest
from PIL import Image

if find_spec("gradio") is None:
    pytest.skip("the app needs gradio: pip install 'hfmm[demo]'", allow_module_level=True)

MODEL = "show attend tell"
SCREENS = {
    "desktop": {"width": 1280, "height": 1200, "deviceScaleFactor": 1, "mobile": False},
    "phone": {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True},
}


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
    assert MODEL in page.all("#said")[0].text
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
