"""Other ways to look at the page: projector, phone, dark mode, keyboard, assistive technology."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from visitor import (
    LONG,
    SHORT,
    WATCH_SHIFTS,
    open_more,
    open_view,
    paint_to_the_end,
    settle,
    shoot,
    visit,
    wait_for,
    wait_for_pictures,
    wait_until_idle,
)

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}

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
    expect(stage.locator("#title")).to_contain_text("Chateau de Chenonceau")
    stage.keyboard.press("ArrowRight")
    expect(stage.locator("#title")).to_contain_text("Owl")
    wait_until_idle(stage)
    expect(stage.locator("#status")).to_contain_text("A finished example")  # the run is not back
    shoot(stage, "presenter-pair", full_page=False)
    stage.keyboard.press("ArrowLeft")
    expect(stage.locator("#title")).to_contain_text("Chateau de Chenonceau")


def test_what_is_behind_the_stage_is_out_of_reach(stage):
    """For the keyboard and for screen readers, until the speaker leaves."""
    for name in ("#pairs", "#content", "#paint", "#doors"):
        assert stage.locator(name).evaluate("one => !!one.closest('[inert]')")
    assert not stage.locator("#result").evaluate("one => !!one.closest('[inert]')")
    expect(stage.locator("#keys")).to_be_visible()
    stage.keyboard.press("Escape")
    assert not stage.locator("#paint").evaluate("one => !!one.closest('[inert]')")
    expect(stage.locator("#keys")).to_be_hidden()


def test_b_shows_the_photo_that_was_painted_and_not_the_one_in_the_field(stage):
    stage.keyboard.press("Space")
    wait_for_pictures(stage, 2)
    stage.keyboard.press("Space")
    expect(stage.locator("#status")).to_contain_text("Stopped")
    painted = stage.locator("#content img").get_attribute("src")
    stage.keyboard.press("Escape")
    stage.get_by_role("tab", name="Photos").click()
    stage.locator("#pick-content .thumbnail-lg").nth(4).click()
    expect(stage.locator("#content img")).not_to_have_attribute("src", painted)
    stage.click("#present")
    stage.keyboard.press("b")
    expect(stage.locator("#before")).to_have_js_property("src", painted)


def test_q_shows_a_code_to_scan_or_why_there_is_none(stage):
    stage.keyboard.press("q")
    expect(stage.locator("#code")).to_contain_text("Other devices cannot open this link")
    shoot(stage, "presenter-code", full_page=False)


def test_a_playlist_paints_and_ends_at_a_touch(stage):
    stage.keyboard.press("p")
    wait_for_pictures(stage, 2)
    stage.mouse.click(5, 5)
    stage.keyboard.press("Space")
    expect(stage.locator("#status")).to_contain_text("Stopped")
    wait_until_idle(stage)
    assert stage.evaluate("window.unanswered.size") == 0


def test_a_screen_reader_is_told_of_the_run(browser, page_address):
    with visit(browser, page_address, SHORT) as page:
        told = page.locator(".told")
        expect(told).to_have_attribute("aria-live", "polite")
        paint_to_the_end(page)
        expect(told).to_contain_text("(8 steps)")


@pytest.mark.parametrize("width", [390, 820, 1366])
def test_nothing_moves_while_a_picture_is_painted(width, browser, page_address):
    viewport = {"width": width, "height": 844}
    with visit(browser, page_address, SHORT, viewport=viewport) as page:
        page.evaluate(WATCH_SHIFTS)
        page.locator("#stage").scroll_into_view_if_needed()
        for _ in range(2):
            paint_to_the_end(page)
        assert page.evaluate("window.shifted") <= 0.05
        page.locator("#stage").evaluate("one => { one.style.marginTop = '200px'; }")
        page.wait_for_function("window.shifted > 0.05")  # so it would have been seen


def test_a_phone_has_narrow_margins_and_room_for_the_tools_at_the_foot(browser, page_address):
    with visit(browser, page_address, **PHONE) as page:
        left = page.locator("#main").bounding_box()["x"]
        assert 8 <= left <= 12
        page.mouse.wheel(0, 100_000)
        footer, tools = page.locator("footer"), page.locator("#buttons").bounding_box()
        page.wait_for_function("scrollY + innerHeight >= document.body.scrollHeight - 1")
        box = footer.bounding_box()
        assert box["y"] + box["height"] <= tools["y"]


# --- Phone and dark mode ------------------------------------------------------------------------


def test_a_phone_needs_no_sideways_scrolling(browser, page_address):
    with visit(browser, page_address, SHORT, **PHONE) as page:
        shoot(page, "phone-start")
        paint_to_the_end(page)
        for view in ("Picture", "Before and after", "Step by step", "Film"):
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


# Of each way to give a picture: how far it sticks out of its field, and its contrast (WCAG 2).
MEASURE_SOURCES = """(buttons) => {
    const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const luminance = (color) => {
        const [red, green, blue] = color.match(/[\\d.]+/g).map((value) => linear(value / 255));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    return buttons.map((button) => {
        const field = button.closest(".block");
        const [own, whole] = [button, field].map((one) => one.getBoundingClientRect());
        const shades = [getComputedStyle(button).color, getComputedStyle(field).backgroundColor];
        const [dark, light] = shades.map(luminance).sort((a, b) => a - b);
        const out = Math.max(whole.left - own.left, own.right - whole.right);
        return [out, (light + 0.05) / (dark + 0.05)];
    });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_ways_to_give_a_picture_are_whole_and_readable(scheme, browser, page_address):
    """Axe does not see their words, which style sheets put there."""
    with visit(browser, page_address, color_scheme=scheme) as page:
        for width in (390, 820, 1024, 1280):
            page.set_viewport_size({"width": width, "height": 844})
            settle(page)
            found = page.locator("#inputs .source-selection button").evaluate_all(MEASURE_SOURCES)
            assert len(found) == 6
            for out, contrast in found:
                assert out <= 0, width
                assert contrast >= 4.5, (width, contrast)


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_small_laptop_shows_the_picture_and_what_keeps_it(language, browser, page_address):
    height = 768
    screen = {"viewport": {"width": 1366, "height": height}, "locale": language}
    with visit(browser, page_address, **screen) as page:
        for name in ("result", "paint", "setting-strength", "save", "save-film", "link"):
            box = page.locator(f"#{name}").bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= height, name


@pytest.mark.parametrize("size", [(1366, 768), (390, 844)])
def test_the_picture_fills_the_window_and_goes_back(size, browser, page_address):
    width, height = size
    with visit(browser, page_address, viewport={"width": width, "height": height}) as page:
        result = page.locator("#result")
        before = result.bounding_box()
        result.get_by_label("Fullscreen", exact=True).click()
        whole = {"x": 0, "y": 0, "width": width, "height": height}
        wait_for(page, lambda: result.bounding_box() == whole)
        picture = result.locator("img").bounding_box()
        assert picture is not None
        assert picture["width"] > 0.8 * width
        assert picture["height"] > 0.9 * height
        result.get_by_label("Exit fullscreen mode").click()
        wait_for(page, lambda: result.bounding_box() == before)


def check_every_view(page) -> None:
    for view in ("Picture", "Before and after", "Step by step", "Film"):
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
