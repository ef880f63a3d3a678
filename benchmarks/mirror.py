"""The mirror in real Chromium: pictures a second, and how late they are.

    python -m benchmarks.mirror --seconds 30 --side 256 320 384
    python -m benchmarks.mirror --minutes 20

The browser's camera shows a clip of a photo that moves, 30 frames a second of 640 x 480 px. A
picture's delay is from the moment at which the browser had the frame from its camera to the drawing
of the next screen after the picture was put on it. With `--minutes` the memory is told, too: of the
server's process, and of the page's scripts.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from PIL import Image
from playwright.sync_api import Browser, Page

from benchmarks import report
from page import examples, mirror
from tests import visitor
from tests.stranger import Server

CAMERA = (640, 480)  # px
FRAMES, REACH = 90, 60.0  # of the clip, which begins anew; px that it moves to all sides
WARM = 20  # pictures before anything counts
LOOKS = 5  # at the memory

# Notes of each picture when it was on the screen, and how many ms before the camera saw it.
OBSERVE = """() => {
    window.seen = [];
    document.addEventListener("painted", ({ detail }) => requestAnimationFrame((now) => {
        window.seen.push([now, performance.now() - detail]);
    }));
}"""


def clip() -> Iterator[bytes]:
    """The frames as JPEGs: a window that goes round on a photo."""
    photo = Image.open(examples.path_of("content", "astronaut")).convert("RGB")
    photo = photo.resize((int(CAMERA[0] + 2 * REACH), int(CAMERA[1] + 2 * REACH)))
    for angle in np.linspace(0, 2 * np.pi, FRAMES, endpoint=False):
        left, top = REACH * (1 + np.cos(angle)), REACH * (1 + np.sin(angle))
        buffer = io.BytesIO()
        shift = (1, 0, left, 0, 1, top)  # by parts of pixels, as cameras move
        window = photo.transform(CAMERA, Image.Transform.AFFINE, shift, Image.Resampling.BILINEAR)
        window.save(buffer, "JPEG", quality=90)
        yield buffer.getvalue()


def start(page: Page, side: int) -> None:
    """The mirror at this size, warm."""
    page.evaluate(OBSERVE)
    page.get_by_role("tab", name="Mirror").click()
    page.locator("#mirror-side").get_by_text(f"{side} px").click()
    page.click("#mirror-start")
    page.wait_for_function("(count) => window.seen.length >= count", arg=WARM)


def measure(browser: Browser, address: str, side: int, seconds: float) -> list[Any]:
    """Pictures a second, and ms that they were late."""
    with visitor.visit(browser, address) as page:
        start(page, side)
        page.evaluate("window.seen.length = 0")
        page.wait_for_timeout(1000 * seconds)
        moments, delays = np.array(page.evaluate("window.seen")).T
    rate = (len(moments) - 1) / (moments[-1] - moments[0]) * 1000
    slowest = 1000 / np.diff(moments).max()
    return [side, rate, slowest, statistics.median(delays), float(np.quantile(delays, 0.95))]


def watch(
    browser: Browser, address: str, side: int, minutes: float, server: psutil.Process
) -> Iterator[list[float]]:
    """The memory now and then, while the mirror is on."""
    with visitor.visit(browser, address) as page:
        start(page, side)
        for look in range(LOOKS):
            page.evaluate("window.seen.length = 0")
            yield [minutes * look / (LOOKS - 1), *memory(page, server)]
            if look < LOOKS - 1:
                page.wait_for_timeout(60_000 * minutes / (LOOKS - 1))


def memory(page: Page, server: psutil.Process) -> list[float]:
    """MB of the server's process, and of the page's scripts."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")["usedSize"]
    return [server.memory_info().rss / 1e6, heap / 1e6]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="of each size")
    parser.add_argument("--minutes", type=float, default=0.0, help="of the first size, for memory")
    parser.add_argument("--side", type=int, nargs="+", choices=mirror.SIDES, default=mirror.SIDES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        file = folder / "camera.mjpeg"
        file.write_bytes(b"".join(clip()))
        with (
            visitor.served(folder) as address,
            visitor.chromium(f"--use-file-for-fake-video-capture={file}") as browser,
        ):
            wait_until_warm(address)
            rows = [measure(browser, address, side, options.seconds) for side in options.side]
            grown = []
            if options.minutes:
                server = psutil.Process(Server(address, folder).pid)
                grown = list(watch(browser, address, options.side[0], options.minutes, server))
    head = ("px", "pictures a second", "at the slowest", "delay, ms", "delay, 95 %")
    paragraphs = [f"{options.seconds:g} s each:", report.table(head, rows)]
    if grown:
        paragraphs += [
            f"Memory at {options.side[0]} px:",
            report.table(("minute", "server, MB", "scripts of the page, MB"), grown),
        ]
    report.publish("mirror", *paragraphs)


def wait_until_warm(address: str) -> None:
    while not httpx.get(f"{address}health").json()["warm"]:
        time.sleep(0.2)


if __name__ == "__main__":
    main()
