"""The page as a visitor feels it, in real Chromium on the same machine.

    python -m benchmarks.page

- the page: from the request to the first thing to see, to the finished pair's picture, and until
  Paint can be pressed;
- from a click on an example photo to its first look in a painting, and to all of them; from a click
  on a look to the first picture of the run, which is the photo, to the first stylised one, and to
  the first that is painted;
- warm, at 512 px: from the click on Paint to the first stylised picture, and between pictures;
- during a run: how long a click takes until the page shows what it did, and how far the page moves
  by itself (Cumulative Layout Shift).
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from benchmarks import report
from page import examples
from tests import visitor

VISITS, RUNS = 5, 5
WATCHED = 8  # seconds of a run
SIZES = (512, 1024)
WIDTHS = (390, 1366)  # px, of a phone and of a laptop
LOOKS = len(examples.NAMES["style"])
CHOSEN = (
    "from a click on a photo to its first look",
    f"to all {LOOKS} looks",
    "from a click on a look to the photo on the stage",
    "to the first stylised picture",
    "to the first painted picture",
)

# Notes when Paint could be pressed.
OBSERVE_OPENING = """
    const look = () => {
        const paint = document.querySelector("#paint");
        if (window.present && paint && !paint.disabled) window.usable = performance.now();
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
"""

# Notes when each new picture was there: on the stage, a look, or in the photo's field.
OBSERVE = """
    const places = { "#result": "stage", "#pick-style": "looks", "#content": "photo" };
    const known = new Set([...document.images].map(({ src }) => src));
    window.seen = { stage: [], looks: [], photo: [] };
    document.addEventListener("load", ({ target }) => {
        if (target.tagName !== "IMG" || known.has(target.src)) return;
        known.add(target.src);
        const place = Object.keys(places).find((selector) => target.closest(selector));
        window.seen[places[place]]?.push(performance.now());
    }, true);
"""

# Clicks in the page itself, and returns its clock: the driver's own way there does not count.
CLICK = """([selector, number]) => {
    document.querySelectorAll(selector)[number].click();
    return performance.now();
}"""


def press(page: Page, selector: str, number: int = 0) -> float:
    """Click on the one with this number; returns the page's clock, in milliseconds."""
    return float(page.evaluate(CLICK, [selector, number]))


def seen_since(page: Page, where: str, moment: float, count: int = 1) -> list[float]:
    """Wait for so many pictures; returns the seconds that each took since a moment."""
    page.wait_for_function(
        "([where, moment, count]) => seen[where].filter((t) => t > moment).length >= count",
        arg=[where, moment, count],
        timeout=60_000,
    )
    times = page.evaluate("(where) => window.seen[where]", where)
    return [(time - moment) / 1000 for time in times if time > moment]


def stop(page: Page) -> None:
    press(page, "#stop")
    page.wait_for_function("!document.querySelector('#paint').disabled")


def open_page(browser: Any, address: str) -> tuple[float, float, float]:
    """Seconds from the request to the first content, the finished pair, and Paint to be pressed."""
    with browser.new_context() as context:
        page = context.new_page()
        page.add_init_script(OBSERVE_OPENING)
        page.goto(address)
        page.wait_for_function("document.querySelector('#result img')?.naturalWidth > 0")
        page.wait_for_function("window.usable")
        page.wait_for_timeout(500)
        first = page.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"
        )
        painted = page.evaluate(
            "performance.getEntries().find(({ name }) => name.includes('castle-great-wave'))"
            ".responseEnd / 1000"
        )
        return first, painted, page.evaluate("window.usable / 1000")


def look_and_paint(browser: Any, address: str, number: int) -> tuple[float, ...]:
    """Seconds from a click on an example photo to its first look and to all; from a click on one
    to the photo on the stage, the first stylised picture, and the first painted one.

    Args:
        number: of the photo, which nobody has chosen before.
    """
    with visitor.visit(browser, address) as page:
        page.evaluate(OBSERVE)
        page.get_by_role("tab", name="Photos").click()
        page.locator("#pick-content .thumbnail-lg").nth(number).wait_for()
        pressed = press(page, "#pick-content .thumbnail-lg", number)
        looks = seen_since(page, "looks", pressed, LOOKS)
        visitor.settle(page)
        shown = seen_since(page, "stage", press(page, "#pick-style .thumbnail-lg", number), 3)
        stop(page)
        return looks[0], looks[LOOKS - 1], *shown[:3]


def shift(browser: Any, address: str, width: int) -> float:
    """How far a page of this width moves by itself while a picture is painted."""
    viewport = {"width": width, "height": 844}
    with visitor.visit(browser, address, viewport=viewport) as page:
        page.evaluate(visitor.WATCH_SHIFTS)
        page.evaluate(OBSERVE)
        watch(page)
        stop(page)
        return float(page.evaluate("window.shifted"))


def watch(page: Page) -> tuple[float, list[float]]:
    """Seconds from Paint to the first stylised picture, and between the pictures of a run."""
    pressed = press(page, "#paint")
    _photo, first, *_ = seen_since(page, "stage", pressed, 2)
    page.wait_for_timeout(WATCHED * 1000)
    times = seen_since(page, "stage", pressed)
    return first, [later - earlier for earlier, later in itertools.pairwise(times)]


def click_during_a_run(page: Page, number: int) -> float:
    """Seconds from a click on an example photo to its picture in its place."""
    page.get_by_role("tab", name="Photos").click()
    page.locator("#pick-content .thumbnail-lg").nth(number).wait_for()
    return seen_since(page, "photo", press(page, "#pick-content .thumbnail-lg", number))[0]


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        visitor.served(Path(folder)) as address,
        visitor.chromium() as browser,
    ):
        opened = [open_page(browser, address) for _ in range(VISITS)]
        look_and_paint(browser, address, VISITS)  # warms up
        chosen = [look_and_paint(browser, address, number) for number in range(VISITS)]
        rows = [measure(browser, address, size) for size in SIZES]
        shifts = {width: shift(browser, address, width) for width in WIDTHS}
    first, painted, usable = (statistics.median(times) for times in zip(*opened, strict=True))
    head = ("px", "first stylised, s", "slowest", "between pictures, s", "longest", "a click, s")
    report.publish(
        "page",
        f"From the request to the first thing to see: {first:.2f} s; to the finished pair's "
        f"picture: {painted:.2f} s; until Paint can be pressed: {usable:.2f} s "
        f"(medians of {VISITS} visits).",
        f"Of {VISITS} photos that nobody had chosen before, warm:",
        report.table(
            ("", "median, s", "slowest"),
            [
                [name, statistics.median(times), max(times)]
                for name, times in zip(CHOSEN, zip(*chosen, strict=True), strict=True)
            ],
        ),
        f"Medians of {RUNS} runs, warm; *a click* is one on an example during a run, until its "
        "picture is in its place:",
        report.table((*head, "slowest"), rows),
        "How far the page moves by itself while a picture is painted, as a share of what is seen "
        "(Cumulative Layout Shift): "
        + ", ".join(f"{moved:.3f} at {width} px" for width, moved in shifts.items())
        + ".",
    )


def measure(browser: Any, address: str, size: int) -> list[Any]:
    query = f"?content=castle&style=great-wave&size={size}"
    with visitor.visit(browser, address, query) as page:
        page.evaluate(OBSERVE)
        watch(page)  # warms up
        stop(page)
        firsts, gaps, clicks = [], [], []
        for number in range(RUNS):
            first, between = watch(page)
            firsts.append(first)
            gaps += between
            clicks.append(click_during_a_run(page, number))
            stop(page)
    numbers = (firsts, gaps, clicks)
    return [size, *(f(some) for some in numbers for f in (statistics.median, max))]


if __name__ == "__main__":
    main()
