"""The page as a visitor meets it: `python app.py` in a process of its own, and real Chromium.

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
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, example
from PIL import Image
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

from nst_core import Settings, recipe, stylize

ARTIFACTS = ROOT / "test-artifacts"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """The app as the README starts it, on a free port of the loopback address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    cache = tmp_path_factory.mktemp("cache")
    log = (tmp_path_factory.mktemp("log") / "app.log").open("w+")
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": str(cache)}
    process = subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=log
    )
    try:
        wait_until_served(f"http://127.0.0.1:{port}/", process)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.seek(0)
        written = log.read()
        log.close()
    assert "Traceback" not in written, written


def wait_until_served(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail("the page was not served within a minute")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=found,
                args=["--no-sandbox", "--disable-background-networking", "--disable-sync"],
            )
        except Error as error:
            if os.environ.get("CI"):
                pytest.fail(f"no browser: {error}")
            pytest.skip("no Chromium here; install it to run the browser tests")
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address) -> Iterator[Page]:
    """A fresh visitor on a laptop; every host but the app's own is a failure."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    expect(page.locator("#paint")).to_be_visible()
    yield page
    context.close()
    foreign = {url for url in asked if not url.startswith((address, "data:", "blob:"))}
    assert not foreign, foreign


def shoot(page: Page, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)


def choose_settings(page: Page, **numbers: int) -> None:
    page.locator("#settings button").first.click()
    page.wait_for_timeout(700)  # the controls are made when the accordion opens
    for name, value in numbers.items():
        field = page.locator(f"#setting-{name} input[type=number]")
        field.fill(str(value))
        field.press("Tab")
        expect(field).to_have_value(str(value))


def wait_for_pictures(page: Page, count: int, seconds: int = 60) -> set[str]:
    """Wait until `count` different pictures were shown; the start does not count."""
    seen: set[str] = set()
    deadline = time.monotonic() + seconds
    while len(seen) < count:
        assert time.monotonic() < deadline, f"{seen}, {page.locator('#status').inner_text()}"
        if re.search(r"step [1-9]|Done", page.locator("#status").inner_text()):
            seen.add(page.locator("#result img").get_attribute("src") or "")
        page.wait_for_timeout(20)
    return seen


def test_a_visitor_paints_stops_and_downloads(page, tmp_path):
    """At once after the start: TensorFlow may still be loading."""
    shoot(page, "start")
    expect(page.locator("#stop")).to_be_disabled()
    expect(page.locator("#download")).to_be_disabled()
    page.locator("#pairs .thumbnail-lg").first.click()
    expect(page.locator("#content img")).to_be_visible()
    expect(page.locator("#style img")).to_be_visible()
    page.click("#paint")
    expect(page.locator("#result img")).to_be_visible()
    wait_for_pictures(page, 3)
    assert re.search(r"\d+ px, step \d+ of 60, .*s left", page.locator("#status").inner_text())
    shoot(page, "during")
    page.click("#stop")
    expect(page.locator("#status")).to_contain_text("Stopped at step", timeout=15_000)
    expect(page.locator("#download")).to_be_enabled(timeout=15_000)
    expect(page.locator("#paint")).to_be_enabled()
    expect(page.locator("#stop")).to_be_disabled()
    shoot(page, "stopped")
    kept = page.locator("#status").inner_text()
    page.wait_for_timeout(2500)
    assert page.locator("#status").inner_text() == kept
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "castle-great-wave.png"
    download.value.save_as(tmp_path / "saved.png")
    made = recipe.read(tmp_path / "saved.png")
    assert (made.settings, made.content.name) == (Settings(), "castle.jpg")
    with Image.open(tmp_path / "saved.png") as image:
        image.load()
        assert (image.format, image.size, image.mode) == ("PNG", (512, 342), "RGB")


def test_a_finished_run_shows_its_losses_and_can_be_repeated(page, tmp_path):
    page.locator("#pick-content .thumbnail-lg").nth(2).click()
    page.get_by_role("tab", name="Paintings").click()
    page.locator("#pick-style .thumbnail-lg").nth(3).click()
    choose_settings(page, size=128, steps=8)
    for _ in range(2):
        page.click("#paint")
        expect(page.locator("#stop")).to_be_enabled()
        expect(page.locator("#stop")).to_be_disabled(timeout=60_000)
        expect(page.locator("#status")).to_contain_text("Done: 8 steps")
        expect(page.locator("#download")).to_be_enabled()
    lines = page.locator("#losses svg g.mark-line path")
    expect(lines.first).to_be_attached()
    assert lines.count() == 4  # total, content, style, tv
    shoot(page, "done")
    with page.expect_download() as download:
        page.click("#download")
    assert re.fullmatch(r"cat-[\w-]+\.png", download.value.suggested_filename)
    # The controls were opened, so all their values came from the browser.
    expected = stylize(
        example("content/cat"), example("style/ryogoku"), Settings(size=128, steps=8)
    )
    with Image.open(download.value.path()) as image:
        assert image.size == (128, 85)
        assert np.abs(np.asarray(image, float) - expected.image).mean() < 2


def test_paint_without_pictures_says_what_is_missing(page):
    page.click("#paint")
    expect(page.locator("#status")).to_contain_text("Choose a photo first.")
    expect(page.locator("#paint")).to_be_enabled()
    shoot(page, "nothing-chosen")


def test_an_upload_that_is_no_picture_is_told_in_words(page, tmp_path):
    (tmp_path / "page.jpg").write_text("<html>Not found</html>")
    page.locator("#content input[type=file]").set_input_files(tmp_path / "page.jpg")
    expect(page.get_by_text("is not a picture that can be read")).to_be_visible()
    shoot(page, "bad-upload")


def test_a_rotated_phone_picture_in_heic_is_painted_upright(page, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(example("content/castle")) as image:
        lying = image.resize((300, 200)).transpose(Image.Transpose.ROTATE_90)
    lying.save(tmp_path / "phone.heic", exif=exif.tobytes())
    page.locator("#content input[type=file]").set_input_files(tmp_path / "phone.heic")
    expect(page.locator("#content img")).to_be_visible()
    page.locator("#style input[type=file]").set_input_files(example("style/ejiri"))
    expect(page.locator("#style img")).to_be_visible()
    choose_settings(page, size=128, steps=2)
    page.click("#paint")
    expect(page.locator("#status")).to_contain_text("Done", timeout=60_000)
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "phone-ejiri.png"
    with Image.open(download.value.path()) as image:
        assert image.size == (128, 85)
    shoot(page, "heic")


@pytest.mark.parametrize(
    ("name", "width", "scheme"), [("phone", 390, "light"), ("dark", 1280, "dark")]
)
def test_other_screens(name, width, scheme, browser, address):
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    expect(page.locator("#paint")).to_be_visible()
    page.locator("#pairs .thumbnail-lg").nth(1).click()
    expect(page.locator("#content img")).to_be_visible()
    page.wait_for_timeout(500)
    shoot(page, name)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_artifacts_are_real_screenshots():
    assert {path.stem for path in Path(ARTIFACTS).glob("*.png")} >= {"start", "during", "done"}
