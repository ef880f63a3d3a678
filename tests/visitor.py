"""The page as visitors meet it: `python app.py` in a process of its own, and real Chromium.

Screenshots are kept in test-artifacts/, to be looked at. Without a browser these tests are
skipped, except where CI is set: there a missing browser is a failure.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

ROOT = Path(__file__).parents[1]
ARTIFACTS = ROOT / "test-artifacts"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

# A link to a run that is over in a few seconds.
SHORT = "?content=castle&style=great-wave&size=128&steps=8&frame_interval=0"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The app, whose visitors give it no reason to write a traceback into its log."""
    with started(folder) as address:
        yield address
    written = (folder / "app.log").read_text()
    assert "Traceback" not in written, written


@contextmanager
def started(folder: Path, port: int | None = None) -> Iterator[str]:
    """The app as the README starts it, on a port of the loopback address."""
    port = port or free_port()
    environment = os.environ | {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "cache"),
    }
    with (folder / "app.log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=log
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
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail("the page was not served within a minute")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser, or the test is skipped."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=found,
                args=[
                    "--no-sandbox",
                    "--disable-background-networking",
                    "--disable-sync",
                    "--use-fake-device-for-media-stream",
                    "--use-fake-ui-for-media-stream",
                ],
            )
        except Error as error:
            if os.environ.get("CI"):
                pytest.fail(f"no browser: {error}")
            pytest.skip("no Chromium here; install it to run the browser tests")
        yield browser
        browser.close()


@contextmanager
def visit(browser: Browser, address: str, query: str = "", **context: Any) -> Iterator[Page]:
    """A fresh visitor, by default on a laptop; every host but the app's own is a failure."""
    laptop = {"width": 1280, "height": 900}
    options: dict[str, Any] = {"viewport": laptop, "accept_downloads": True} | context
    with browser.new_context(**options) as visitor:
        page = visitor.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address + query)
        expect(page.locator("#paint")).to_be_visible()
        expect(page.locator("#content img")).to_be_visible()
        size = parse_qs(query.lstrip("?")).get("size")
        if size:  # what the link asks for has arrived
            expect(page.locator("#setting-size input[type=number]")).to_have_value(size[0])
        yield page
    foreign = {url for url in asked if not url.startswith((address, "data:", "blob:"))}
    assert not foreign, foreign


def shoot(page: Page, name: str, *, full_page: bool = True) -> None:
    """Keep a screenshot."""
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=full_page)


def status(page: Page) -> str:
    return page.locator("#status").inner_text()


def wait_for_pictures(page: Page, count: int, seconds: int = 60) -> set[str]:
    """Wait until `count` different pictures were shown; the start does not count."""
    seen: set[str] = set()
    deadline = time.monotonic() + seconds
    while len(seen) < count:
        assert time.monotonic() < deadline, f"{seen}, {status(page)}"
        if re.search(r"step [1-9]|Done", status(page)):
            seen.add(page.locator("#result img").get_attribute("src") or "")
        page.wait_for_timeout(20)
    return seen


def paint_to_the_end(page: Page) -> None:
    """Press Paint, and wait until everything is ready for what comes after the run."""
    page.click("#paint")
    expect(page.locator("#paint")).to_be_disabled()  # or the run before would be taken for this one
    expect(page.locator("#paint")).to_be_enabled(timeout=60_000)
    expect(page.locator("#status")).to_contain_text("Done")
    expect(page.locator("#save")).to_be_enabled()


def open_view(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def save(page: Page, button: str, folder: Path) -> Path:
    """Press a button that saves a file; returns where it is."""
    with page.expect_download() as download:
        page.click(button)
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path
