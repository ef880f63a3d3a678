"""Other ways to look at the page: projector, phone, dark mode, keyboard, assistive technology."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from visitor import (
    LONG,
    SHORT,
    open_more,
    open_view,
    paint_to_the_end,
    settle,
    shoot,
    visit,
    wait_for_pictures,
    wait_until_idle,
)

pytestmark = pytest.mark.browser


# --- Presenter mode -----------------------------------------------------------------------------


@pytest.fixture
def stage(browser, page_address):
    """A speaker in presenter mode, a long run before her."""
    projector = {"width": 1920, "height": 1080}
    with visit(browser, page_address, LONG, viewport=projector) as page:
        page.click("#present")
        expect(page.locator("body.presenting")).to_be_attached()
        yield page


def test_the_stage_fills_the_screen(stage):
    box = stage.locator("#stage").bounding_box()
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 1920, 1080)
    stage.keyboard.press("Space")
    wait_for_pictures(stage, 3)
    shoot(stage, "presenter", full_page=False)
    stage.keyboard.press("Space")
    expect(stage.locator("#status")).to_contain_text("Stopped at step")
    stage.keyboard.press("Escape")
    expect(stage.locator("body.presenting")).to_have_count(0)


def test_b_shows_the_photo_and_the_picture_again(stage):
    stage.keyboard.press("Space")
    wait_for_pictures(stage, 2)
    expect(stage.locator("#before")).to_be_hidden()
    stage.keyboard.press("b")
    expect(stage.locator("#before")).to_be_visible()
    photo, picture = (stage.locator(f"{name}").bounding_box() for name in ("#before", "#result"))
    assert photo == picture
    shoot(stage, "presenter-before", full_page=False)
    stage.keyboard.press("b")
    expect(stage.locator("#before")).to_be_hidden()


def test_arrows_change_the_pair_also_during_a_run(stage):
    stage.keyboard.press("Space")
    wait_for_pictures(stage, 2)
    stage.keyboard.press("ArrowRight")
    expect(stage.locator("#status")).to_contain_text("A finished example")
    expect(stage.locator("#title")).to_contain_text("Mont Saint-Michel")
    stage.keyboard.press("ArrowRight")
    expect(stage.locator("#title")).to_contain_text("Owl")
    wait_until_idle(stage)
    expect(stage.locator("#status")).to_contain_text("A finished example")  # the run is not back
    shoot(stage, "presenter-pair", full_page=False)
    stage.keyboard.press("ArrowLeft")
    expect(stage.locator("#title")).to_contain_text("Mont Saint-Michel")


# --- Phone and dark mode ------------------------------------------------------------------------


def test_a_phone_needs_no_sideways_scrolling(browser, page_address):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with visit(browser, page_address, SHORT, **phone) as page:
        shoot(page, "phone-start")
        paint_to_the_end(page)
        for view in ("Picture", "Before and after", "The run", "Film"):
            open_phone_view(page, view)
            settle(page)
            shoot(page, f"phone-{view.lower().replace(' ', '-')}")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390


def open_phone_view(page, name: str) -> None:
    """Tabs that do not fit are in a menu."""
    tab = page.get_by_role("tab", name=name)
    if not tab.is_visible():
        page.locator("#views .overflow-menu button").first.click()
        tab = page.locator("#views .overflow-dropdown").get_by_text(name)
    tab.click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(scheme, browser, page_address):
    with visit(browser, page_address, SHORT, color_scheme=scheme) as page:
        page.locator("#settings > button").click()
        page.get_by_text("Regions as pictures").click()
        page.get_by_role("tab", name="Photos").click()
        for name in ("Mix paintings", "Colours and size", "Keep part of the photo"):
            open_more(page, name)
            settle(page)
            assert serious(Axe().run(page)) == []
        expect(page.locator("#board canvas").first).to_be_visible()
        open_view(page, "Picture")
        paint_to_the_end(page)
        shoot(page, f"axe-{scheme}")
        check_every_view(page)
        shoot(page, f"axe-{scheme}-film")


def check_every_view(page) -> None:
    for view in ("Picture", "Before and after", "The run", "Film"):
        open_view(page, view)
        settle(page)
        assert serious(Axe().run(page)) == []


def serious(results) -> list[str]:
    """Rule, impact and places of the findings that keep people out."""
    return [
        f"{found['id']} ({found['impact']}): {[node['html'][:160] for node in found['nodes'][:5]]}"
        for found in results.response["violations"]
        if found["impact"] in ("serious", "critical")
    ]


def test_the_keyboard_reaches_everything(browser, page_address):
    with visit(browser, page_address, SHORT) as page:
        paint_to_the_end(page)
        wanted = {"paint", "continue", "save", "link", "present"}
        reached: set[str] = set()
        page.locator("body").focus()
        for _ in range(120):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.closest('[id]')?.id ?? ''"))
        assert wanted <= reached, wanted - reached
