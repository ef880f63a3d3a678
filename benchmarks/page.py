"""The page as a visitor feels it, in real Chromium on the same machine.

    python -m benchmarks.page

- the page: from the request to the first thing to see, and to the finished pair's picture;
- warm, at 512 px: from the click on Paint to the first stylised picture, and between pictures;
- during a run: how long a click takes until the page shows what it did.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from benchmarks import report
from tests import visitor

VISITS, RUNS = 5, 5
WATCHED = 8  # seconds of a run
SIZES = (512, 1024)

# Notes when each picture on the stage was there, and when any other picture of the page was.
OBSERVE = """
    window.seen = { stage: [], other: [] };
    document.addEventListener("load", ({ target }) => {
        if (target.tagName !== "IMG") return;
        const where = target.closest("#result") ? "stage" : "other";
        window.seen[where].push(performance.now());
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


def open_page(browser: Any, address: str) -> tuple[float, float]:
    """Seconds from the request to the first content, and to the finished pair on the stage."""
    with visitor.visit(browser, address) as page:
        page.wait_for_function("document.querySelector('#result img')?.naturalWidth > 0")
        page.wait_for_timeout(500)
        first = page.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"
        )
        painted = page.evaluate(
            "performance.getEntries().find(({ name }) => name.includes('castle-great-wave'))"
            ".responseEnd / 1000"
        )
        return first, painted


def watch(page: Page) -> tuple[float, list[float]]:
    """Seconds from Paint to the first stylised picture, and between the pictures of a run."""
    pressed = press(page, "#paint")
    _photo, first, *_ = seen_since(page, "stage", pressed, 2)
    page.wait_for_timeout(WATCHED * 1000)
    times = seen_since(page, "stage", pressed)
    return first, [later - earlier for earlier, later in itertools.pairwise(times)]


def click_during_a_run(page: Page, number: int) -> float:
    """Seconds from a click on an example to its picture in its place."""
    return seen_since(page, "other", press(page, "#pick-content .thumbnail-lg", number))[0]


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        visitor.served(Path(folder)) as address,
        visitor.chromium() as browser,
    ):
        opened = [open_page(browser, address) for _ in range(VISITS)]
        rows = [measure(browser, address, size) for size in SIZES]
    first, painted = (statistics.median(times) for times in zip(*opened, strict=True))
    head = ("px", "first stylised, s", "slowest", "between pictures, s", "longest", "a click, s")
    report.publish(
        "page",
        f"From the request to the first thing to see: {first:.2f} s; to the finished pair's "
        f"picture: {painted:.2f} s (medians of {VISITS} visits).",
        f"Medians of {RUNS} runs, warm; *a click* is one on an example during a run, until its "
        "picture is in its place:",
        report.table((*head, "slowest"), rows),
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
