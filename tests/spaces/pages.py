"""What a person does on a page of an app, in Debian's Chromium, at the width of a desk and of a phone."""

import json
from contextlib import contextmanager

SCREENS = {
    "desktop": {"width": 1280, "height": 1200, "deviceScaleFactor": 1, "mobile": False},
    "phone": {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True},
}


class Page:
    """What a person does on the page."""

    def __init__(self, browser, address, screen, ready="#picture input[type=file]"):
        self.browser, self.screen = browser, SCREENS[screen]
        browser.get("about:blank")  # a page that is left while it still hears from the server says so
        browser.get_log("browser")  # what came before is not of this page
        browser.get(address)
        self.wait(lambda: self.all(ready))

    def all(self, selector):
        return self.browser.find_elements("css selector", selector)

    def wait(self, condition):
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.browser, 60).until(lambda _: condition())

    def upload(self, *paths, to="picture"):
        self.all(f"#{to} input[type=file]")[0].send_keys("\n".join(map(str, paths)))

    def open_tab(self, name, button):
        """Until its button can be pressed."""
        self.click("button[role=tab]", name)
        self.wait(lambda: self.all(button)[0].is_displayed())

    def click(self, selector, text=""):
        button = next(found for found in self.all(selector) if text in found.text)
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].click()", button)

    def text(self, name):
        """What is written in a box."""
        return self.all(f"#{name} textarea")[0].get_attribute("value")

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

    def fits(self):
        return self.width() <= self.screen["width"]

    def foreign(self):
        """Addresses outside this machine that the page has asked for."""
        messages = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        asked = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
        return [url for url in asked if not url.startswith(("http://127.0.0.1", "data:", "blob:", "chrome"))]


@contextmanager
def screen(browser, name):
    """A browser of that size meanwhile."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SCREENS[name])
    yield
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
