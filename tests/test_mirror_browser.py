"""The mirror as visitors meet it: Chromium's fake camera, painted live by the real stylizer."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from test_german import serious
from visitor import (
    LIMIT,
    LONG,
    launch,
    open_view,
    settle,
    shoot,
    status,
    stop,
    visit,
    wait_for,
    wait_for_pictures,
    wait_until_idle,
)

pytestmark = pytest.mark.browser

LAPTOP, PHONE = {"width": 1366, "height": 900}, {"width": 390, "height": 844}

COUNT = """() => {
    window.painted = 0;
    document.addEventListener("painted", () => window.painted++);
}"""


@pytest.fixture(params=[LAPTOP, PHONE], ids=["laptop", "phone"])
def live(request, browser, page_address) -> Iterator[Page]:
    """A visitor who has opened the mirror."""
    with visit(browser, page_address, viewport=request.param) as page:
        open_mirror(page)
        yield page
    wait_for_cameras(page_address, 0)


@pytest.fixture
def on(browser, page_address) -> Iterator[Page]:
    """A visitor who sees himself."""
    with visit(browser, page_address, viewport=LAPTOP) as page:
        open_mirror(page)
        start(page)
        yield page


def open_mirror(page: Page, name: str = "Mirror") -> None:
    page.evaluate(COUNT)
    assert page.locator("#mirror").count() == 0  # it costs nothing before it is opened
    tab = page.locator("#views").get_by_role("tab", name=name)
    if not tab.is_visible():
        page.locator("#views .overflow-menu button").first.click()
        tab = page.locator("#views .overflow-dropdown").get_by_text(name)
    tab.click()
    expect(page.locator("#mirror canvas")).to_be_visible()
    settle(page)


def start(page: Page) -> None:
    page.click("#mirror-start")
    wait_for_paintings(page, 3)


def wait_for_paintings(page: Page, count: int) -> None:
    """Until so many more frames were painted."""
    page.wait_for_function("(count) => window.painted >= count", arg=painted(page) + count)


def painted(page: Page) -> int:
    return page.evaluate("window.painted")


def picture(page: Page) -> str:
    return page.locator("#mirror canvas").evaluate("one => one.toDataURL()")


def note(page: Page) -> Any:
    return page.locator("#mirror .note")


def wait_for_cameras(address: str, count: int) -> None:
    """Until the server paints so many."""
    deadline = time.monotonic() + LIMIT
    with httpx.Client(base_url=address) as client:
        while client.get("health").json()["mirrors"] != count:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_the_camera_is_painted_until_stop(live):
    size = "phone" if live.viewport_size == PHONE else "laptop"
    expect(live.locator("#mirror-stop")).to_be_hidden()
    shoot(live, f"mirror-{size}-idle")
    start(live)
    expect(note(live)).to_have_text("Painted live.")
    before = picture(live)
    wait_for_paintings(live, 11)
    assert picture(live) != before
    expect(live.locator("#mirror .rate")).to_have_text(re.compile(r"\d+ pictures a second"))
    width, height = live.locator("#mirror canvas").evaluate("one => [one.width, one.height]")
    assert (width, height) == (256, 192)
    shoot(live, f"mirror-{size}", full_page=False)
    assert live.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for part in ("#mirror canvas", "#mirror-stop"):
        expect(live.locator(part)).to_be_in_viewport(ratio=1)
    covered = "([x, y]) => !document.elementFromPoint(x, y).closest('#mirror-buttons')"
    for name in ("#mirror-stop", "#mirror-moment"):
        box = live.locator(name).bounding_box()
        for y in (box["y"] + 4, box["y"] + box["height"] - 4):
            assert not live.evaluate(covered, [box["x"] + box["width"] / 2, y])
    assert live.locator("#mirror-flip").evaluate("one => one.scrollWidth <= one.clientWidth + 1")
    live.click("#mirror-stop")
    expect(note(live)).to_have_text("Stopped; the camera is off.")
    expect(live.locator("#mirror-start")).to_be_visible()
    wait_for_cameras(live.url, 0)
    shoot(live, f"mirror-{size}-stopped")


def test_leaving_the_view_ends_it_and_is_told(on):
    open_view(on, "Picture")
    wait_for_cameras(on.url, 0)
    expect(on.locator("#status")).to_be_visible()
    open_view(on, "Mirror")
    expect(note(on)).to_contain_text("because you left this view")
    start(on)
    address = on.url
    on.goto("about:blank")
    wait_for_cameras(address, 0)


def test_a_browser_that_may_not_use_the_camera_is_told(browser, page_address):
    refusing = launch(browser.browser_type, "--use-fake-ui-for-media-stream=deny")
    with refusing, visit(refusing, page_address) as page:
        open_mirror(page)
        page.click("#mirror-start")
        expect(note(page)).to_contain_text("may not use the camera")
        assert page.locator("body.mirroring").count() == 0
        shoot(page, "mirror-denied")


def test_a_camera_that_is_missing_is_told(browser, page_address):
    with visit(browser, page_address) as page:
        open_mirror(page)
        page.evaluate(
            "() => { navigator.mediaDevices.getUserMedia = async () => {"
            ' throw new DOMException("", "NotFoundError"); }; }'
        )
        page.click("#mirror-start")
        expect(note(page)).to_contain_text("No camera was found")


def test_another_painting_and_the_sliders_act_at_once(on):
    with on.expect_request(lambda one: "strength=0.4" in one.url):
        on.locator("#mirror-strength input[type=range]").fill("40")
    with on.expect_request(lambda one: "weights=1,1,1,1&" in one.url):
        wait_for_paintings(on, 1)
    on.locator("#which").get_by_text("Painting 2").click()
    on.locator("#pick-style .thumbnail-lg").nth(5).click()
    expect(on.locator("#mirror-weight-2")).to_be_visible()
    with on.expect_request(lambda one: "weights=1,0.3,1,1" in one.url):
        on.locator("#mirror-weight-2 input[type=range]").fill("0.3")
    shoot(on, "mirror-mixed", full_page=False)
    on.locator("#mirror-side").get_by_text("384 px").click()
    on.wait_for_function("document.querySelector('#mirror canvas').width === 384")
    expect(on.locator("#stop")).to_be_disabled()  # nothing is painted by a click on a painting


def test_a_run_comes_first_and_is_told(on, browser, page_address):
    with visit(browser, page_address, LONG) as other:
        other.click("#paint")
        wait_for_pictures(other, 2)
        expect(note(on)).to_contain_text("Paused: a picture is being painted")
        stop(other)
        wait_until_idle(other)
    wait_for_paintings(on, 2)
    expect(note(on)).to_have_text("Painted live.")


def test_a_moment_is_painted_as_a_picture(on):
    before = on.locator("#content img").get_attribute("src")
    on.click("#mirror-moment")
    expect(on.locator("#content img")).not_to_have_attribute("src", before or "")
    wait_for(on, lambda: "step" in status(on))
    expect(on.locator("#title")).to_contain_text("Your photo × The Great Wave")
    wait_for_cameras(on.url, 0)
    stop(on)
    shoot(on, "mirror-moment")


def test_german_and_axe(browser, page_address):
    with visit(browser, page_address, locale="de-DE", viewport=PHONE) as page:
        open_mirror(page, "Spiegel")
        start(page)
        expect(note(page)).to_have_text("Live gemalt.")
        page.click("#mirror-stop")
        settle(page)
        shoot(page, "mirror-german")
        assert serious(page) == []


def test_a_speaker_reaches_it_by_keys(browser, page_address):
    """M opens it and starts the camera, arrows change the painting, Space paints the moment."""
    with visit(browser, page_address, viewport={"width": 1920, "height": 1080}) as page:
        page.evaluate(COUNT)
        page.click("#present")
        page.keyboard.press("m")
        wait_for_paintings(page, 3)
        shoot(page, "mirror-presenter", full_page=False)
        with page.expect_event("requestfinished", lambda one: "/queue/join" in one.url):
            page.keyboard.press("ArrowRight")
        wait_for_paintings(page, 3)
        before = page.locator("#content img").get_attribute("src")
        page.keyboard.press("Space")
        expect(page.locator("#content img")).not_to_have_attribute("src", before or "")
        wait_for(page, lambda: "step" in status(page))
        page.keyboard.press("Space")
        expect(page.locator("#status")).to_contain_text("Stopped")
        wait_until_idle(page)
