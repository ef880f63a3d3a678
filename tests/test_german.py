"""The page as visitors meet it whose browser speaks German."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import visitor
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

SCREENS = {"laptop": {"width": 1366, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(params=SCREENS)
def german(request, browser, page_address) -> Iterator[tuple[str, Page]]:
    """A screen's name, and the page that was just opened on it."""
    viewport = SCREENS[request.param]
    with visitor.visit(browser, page_address, locale="de-DE", viewport=viewport) as page:
        yield request.param, page


def test_the_whole_page_is_german(german):
    screen, page = german
    assert page.evaluate("document.documentElement.lang") == "de"
    expect(page.locator("#paint")).to_have_text("Malen · 30 s")
    expect(page.locator("#status")).to_contain_text("Ein fertiges Beispiel. Drücken Sie Malen")
    expect(page.locator("#content")).to_contain_text("Foto")
    expect(page.locator("#preset")).to_contain_text("Skizze · 10 s")
    page.locator("#more > button").click()
    expect(page.locator("#more")).to_contain_text("Malen Sie über das, was wie im Foto")
    page.locator("#settings > button").click()
    expect(page.locator("#setting-optimizer")).to_contain_text("Optimierer")
    page.locator("#setting-init input").click()
    expect(page.get_by_role("option", name="Rauschen")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_text("Bereiche als Bilder").click()
    visitor.settle(page)
    visitor.shoot(page, f"german-{screen}")
    assert serious(page) == []


def test_a_run_is_told_in_german(german):
    screen, page = german
    page.click("#paint")
    visitor.wait_for(page, lambda: "Schritt" in visitor.status(page))
    page.click("#stop")
    expect(page.locator("#status")).to_contain_text("Gestoppt bei Schritt")
    visitor.wait_until_idle(page)
    expect(page.locator("#save")).to_have_text("Bild speichern")
    page.locator("#chart > button").click()
    expect(page.locator("#chart")).to_contain_text("Die Summe sinkt")
    visitor.shoot(page, f"german-{screen}-run")
    assert serious(page) == []


def test_an_error_is_told_in_german(browser, page_address):
    with browser.new_context(locale="de-AT") as context:
        page = context.new_page()
        page.goto(page_address + "?size=3")  # at once: the notice goes after a while
        expect(page.get_by_text("möglich ist ein Wert von 64 bis 4096 px")).to_be_visible()
        expect(page.locator("#status")).to_contain_text("Ein fertiges Beispiel")


def test_no_button_is_cut(german):
    """On a phone either."""
    _, page = german
    for name in ("present", "paint", "stop", "continue", "save", "link"):
        cut = page.locator(f"#{name}").evaluate("one => one.scrollWidth > one.clientWidth + 1")
        assert not cut, name
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_visitor_of_another_language_reads_english(browser, page_address):
    with visitor.visit(browser, page_address, locale="fi-FI") as page:
        expect(page.locator("#paint")).to_have_text("Paint · 30 s")
        assert page.evaluate("document.documentElement.lang") == "en"


def serious(page: Page) -> list[Any]:
    """What axe finds that keeps somebody from using the page."""
    found = Axe().run(page).response["violations"]
    return [one["id"] for one in found if one["impact"] in ("serious", "critical")]
