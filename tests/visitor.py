"""The page as visitors meet it: the app in a process of its own, and real Chromium.

Screenshots are kept in test-artifacts/, to be looked at.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from playwright.sync_api import Browser, BrowserType, Error, Locator, Page, expect, sync_playwright

ROOT = Path(__file__).parents[1]
ARTIFACTS = ROOT / "test-artifacts"
APP, FAKE_APP = ROOT / "app.py", ROOT / "tests" / "fake_app.py"  # with the real engine, and a fake
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

LIMIT = 180.0  # s; a test that waits for longer hangs, also on a slow machine with two browsers
expect.set_options(timeout=1000 * LIMIT)

# A link to a run of a few steps, every one of them shown.
SHORT = "?content=castle&style=great-wave&size=128&steps=8&frame_interval=0"
# And to one that only ends when it is made to.
LONG = SHORT.replace("steps=8&frame_interval=0", "steps=5000&frame_interval=0.1")


@contextmanager
def served(folder: Path, script: Path = APP) -> Iterator[str]:
    """The app, whose visitors give it no reason to write a traceback into its log."""
    with started(folder, script) as address:
        yield address
    written = (folder / "app.log").read_text()
    assert "Traceback" not in written, written


@contextmanager
def started(
    folder: Path, script: Path = APP, *, port: int | None = None, **environment: str
) -> Iterator[str]:
    """The app as the README starts it, on a port of the loopback address."""
    port = port or free_port()
    environment = {
        **os.environ,
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "cache"),
        **environment,
    }
    with (folder / "app.log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, script], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        try:
            _wait_until_served(f"http://127.0.0.1:{port}/", process)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_served(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"the page was not served within {LIMIT:.0f} s")


def wait_until_open(port: int) -> None:
    """Until something listens at a port of the loopback address."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    pytest.fail(f"nothing listens within {LIMIT:.0f} s")


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """A browser, whose camera shows a moving test picture; `arguments` as for `launch`."""
    with sync_playwright() as playwright:
        browser = launch(playwright.chromium, *arguments)
        yield browser
        browser.close()


def launch(kind: BrowserType, *arguments: str) -> Browser:
    """A browser of this kind.

    Args:
        arguments: more of its command line; of two that contradict each other the last one counts.
    """
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    try:
        return kind.launch(
            executable_path=found,
            args=[
                "--no-sandbox",
                "--disable-background-networking",
                "--disable-sync",
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
                *arguments,
            ],
        )
    except Error as error:
        pytest.fail(f"no browser: {error}; install Chromium")


# Keeps what the page has asked of Gradio's queue, and has no final answer to yet. The streams of
# answers tell nothing by their end: some stay open.
FOLLOW = """(() => {
    const unanswered = (window.unanswered = new Set()), answered = new Set();
    const ask = window.fetch;

    const read = async (stream) => {
        let text = "";
        for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
            const messages = (text + chunk).split("\\n\\n");
            text = messages.pop();
            for (const message of messages) {
                const { msg, event_id } = JSON.parse(message.replace(/^data: /, ""));
                if (msg === "process_completed") {
                    answered.add(event_id);
                    unanswered.delete(event_id);
                }
            }
        }
    };

    window.fetch = async (...request) => {
        const url = request[0].url ?? String(request[0]);
        if (url.includes("/queue/join")) {
            unanswered.add(request);
            try {
                const answer = await ask(...request);
                const { event_id } = await answer.clone().json();
                if (event_id && !answered.has(event_id)) unanswered.add(event_id);
                return answer;
            } finally {
                unanswered.delete(request);
            }
        }
        const answer = await ask(...request);
        if (!url.includes("/queue/data")) return answer;
        const [own, ours] = answer.body.tee();
        read(ours).catch(() => {}); // the page was left
        return new Response(own, answer);
    };
})();"""

# The page handles an answer in a task of its own, and draws it in the next frame.
REST = """async () => {
    const frame = () => new Promise(requestAnimationFrame);
    await new Promise((done) => setTimeout(done));
    await frame();
    await frame();
    const moves = document.getAnimations();
    const ending = moves.filter((one) => one.effect.getComputedTiming().endTime < Infinity);
    await Promise.allSettled(ending.map((one) => one.finished));
    return window.unanswered.size === 0;
}"""


@contextmanager
def visit(browser: Browser, address: str, query: str = "", **context: Any) -> Iterator[Page]:
    """A fresh visitor, by default on a laptop; every host but the app's own is a failure."""
    laptop = {"width": 1280, "height": 900}
    options: dict[str, Any] = {"viewport": laptop, "accept_downloads": True, "locale": "en-US"}
    options |= context
    with browser.new_context(**options) as visitor:
        page = visitor.new_page()
        page.set_default_timeout(1000 * LIMIT)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.add_init_script(FOLLOW)
        open_page(page, address, query)
        yield page
    foreign = {url for url in asked if not url.startswith((address, "data:", "blob:"))}
    assert not foreign, foreign


def open_page(page: Page, address: str, query: str = "") -> None:
    """Open the page, or open it again, until all that it begins with is there."""
    page.goto(address + query)
    expect(page.locator("#paint")).to_be_visible()
    page.wait_for_function("() => !!window.present")  # so `presenter.js` has run
    steps = parse_qs(query.lstrip("?")).get("steps")
    if steps:  # what the link asks for has arrived
        expect(page.locator("#paint")).to_contain_text(f"· {steps[0]} ")
    settle(page)
    expect(page.locator("#content img")).to_be_visible()


def settle(page: Page) -> None:
    """Until the server has answered everything, and what moves on the page has come to rest."""
    wait_for(page, lambda: page.evaluate("window.unanswered.size") == 0 and page.evaluate(REST))


@contextmanager
def answered(page: Page) -> Iterator[None]:
    """What is done inside asks the server something; go on when that is answered."""
    with page.expect_response(lambda response: "/queue/join" in response.url):
        yield
    settle(page)


def wait_for(page: Page, condition: Callable[[], Any]) -> None:
    """Until something is so, while the page lives on."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, status(page)
        page.wait_for_timeout(20)


def wait_until_idle(page: Page) -> None:
    """Until the server paints for nobody, and the page has all that comes of it."""
    health = page.url.split("?")[0] + "health"
    wait_for(page, lambda: httpx.get(health).json()["jobs"] == 0)
    settle(page)


def shoot(page: Page, name: str, *, full_page: bool = True) -> None:
    """Keep a screenshot."""
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=full_page)


def status(page: Page) -> str:
    return page.locator("#status").inner_text()


def wait_for_pictures(page: Page, count: int) -> None:
    """Wait until `count` different pictures were shown; the start does not count."""
    seen: set[str] = set()

    def look() -> bool:
        if re.search(r"step [1-9]|Done", status(page)):
            seen.add(page.locator("#result img").get_attribute("src") or "")
        return len(seen) >= count

    wait_for(page, look)


# Sees also what is over in a moment: that Paint was disabled, and is enabled again.
WATCH_PAINT = """() => {
    const button = document.querySelector("#paint");
    let hasBegun = window.hasEnded = false;
    new MutationObserver(() => {
        hasBegun ||= button.disabled;
        window.hasEnded = hasBegun && !button.disabled;
    }).observe(button, { attributes: true });
}"""


def paint_to_the_end(page: Page) -> None:
    """Press Paint, and wait until everything is ready for what comes after the run."""
    page.evaluate(WATCH_PAINT)
    page.click("#paint")
    page.wait_for_function("window.hasEnded")
    expect(page.locator("#status")).to_contain_text("Done")
    expect(page.locator("#save")).to_be_enabled()
    settle(page)


def stop(page: Page) -> None:
    """Press Stop, and wait until everything is ready for what comes after the run."""
    page.click("#stop")
    expect(page.locator("#status")).to_contain_text("Stopped")
    expect(page.locator("#paint")).to_be_enabled()
    settle(page)


# Adds up what has moved on the page by itself, as Cumulative Layout Shift does, but all of it.
WATCH_SHIFTS = """() => {
    window.shifted = 0;
    new PerformanceObserver((list) => {
        for (const { value } of list.getEntries()) window.shifted += value;
    }).observe({ type: "layout-shift" });
}"""


def open_more(page: Page, name: str) -> None:
    """Open a tab behind "More"."""
    tab = page.locator("#more").get_by_role("tab", name=name)
    if not tab.is_visible():
        page.locator("#more > button").click()
    tab.click()


def size_of(page: Page) -> Locator:
    """The field of the size, which is behind "More"."""
    open_more(page, "Colours and size")
    return page.locator("#setting-size input[type=number]")


def open_view(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def save(page: Page, button: str, folder: Path) -> Path:
    """Press a button that saves a file; returns where it is."""
    with page.expect_download() as download:
        page.click(button)
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path
