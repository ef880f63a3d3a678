"""The README's film: a visitor chooses a photo, sees it in all paintings, and has it painted.

    python -m benchmarks.readme_film

Screenshots of the real page in Chromium, with the real engine; the pointer is drawn over them, so
that clicks are seen. What takes half a minute is shown faster. Writes `docs/page.webp`.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from playwright.sync_api import Locator, Page

from benchmarks import report
from tests import visitor

FILE = report.ROOT / "docs" / "page.webp"
SCREEN, SIZE = (1280, 800), (960, 600)  # px, of the page and of the film
MAX_BYTES = 2_000_000
QUALITIES = (80, 70, 60, 50, 40)  # of WebP, the first that fits

PHOTO, PAINTING = "Chenonceau", "Ramparts"  # parts of their captions
RATE = 15  # pictures a second while the pointer moves
# Of the film, in ms: the pointer's way, a click, a view that nothing happens in, what is watched.
GLIDE, CLICK, LOOK, LOOKS, RUN, END = 600, 300, 700, 900, 4000, 1500
LOOKS_EVERY, RUN_EVERY = 0.15, 0.5  # s of the page, between two pictures

# An arrow, in pixels of the page, as wide as a fingertip; and the ring of a click.
ARROW = ((0, 0), (0, 26), (6, 20), (11, 30), (15, 28), (10, 18), (19, 18))
RING = 20

PICTURES_ARE_THERE = """() => [...document.images].every((image) => {
    const { top, bottom, width } = image.getBoundingClientRect();
    return !width || top > innerHeight || bottom < 0 || image.complete;
})"""

Point = tuple[float, float]


@dataclass
class Film:
    """Pictures of a page with a pointer on it, each with its milliseconds."""

    page: Page
    pointer: Point = (SCREEN[0] * 0.6, SCREEN[1] * 0.9)
    pictures: list[Image.Image] = field(default_factory=list)
    milliseconds: list[int] = field(default_factory=list)

    def shoot(self) -> Image.Image:
        """The page as it is now."""
        return Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")

    def show(self, screen: Image.Image, milliseconds: int, *, is_pressed: bool = False) -> None:
        """A picture of the film."""
        picture = screen.copy()
        draw, (left, top) = ImageDraw.Draw(picture), self.pointer
        if is_pressed:
            ring = (left - RING, top - RING, left + RING, top + RING)
            draw.ellipse(ring, outline="#ff5a00", width=5)
        arrow = [(left + x, top + y) for x, y in ARROW]
        draw.polygon(arrow, fill="black", outline="white", width=2)
        self.pictures.append(picture.resize(SIZE, Image.Resampling.LANCZOS))
        self.milliseconds.append(milliseconds)

    def click(self, target: Locator) -> None:
        """Move the pointer there, and press."""
        box = target.bounding_box()
        assert box is not None, target
        end = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        (left, top), screen, count = self.pointer, self.shoot(), GLIDE * RATE // 1000
        for number in range(1, count + 1):
            share = number / count
            eased = share * share * (3 - 2 * share)
            self.pointer = left + eased * (end[0] - left), top + eased * (end[1] - top)
            self.show(screen, GLIDE // count)
        self.show(screen, CLICK, is_pressed=True)
        target.click()

    def watch(self, milliseconds: int, every: float, is_over: Callable[[], Any]) -> None:
        """The page until something is so, however long it takes, in so much time of the film."""
        screens = [self.shoot()]
        while not is_over():
            self.page.wait_for_timeout(1000 * every)
            screens.append(self.shoot())
        for screen in screens:
            self.show(screen, milliseconds // len(screens))

    def save(self, path: Path) -> None:
        """Write the film, as good as `MAX_BYTES` allow."""
        first, *rest = self.pictures
        for quality in QUALITIES:
            buffer = io.BytesIO()
            first.save(
                buffer,
                "WEBP",
                save_all=True,
                append_images=rest,
                duration=self.milliseconds,
                loop=0,
                quality=quality,
                method=6,
            )
            if buffer.tell() <= MAX_BYTES:
                path.write_bytes(buffer.getvalue())
                seconds = sum(self.milliseconds) / 1000
                print(f"{path}: {seconds:.1f} s, {buffer.tell() / 1e6:.2f} MB, {quality=}")
                return
        raise SystemExit(f"The film has more than {MAX_BYTES / 1e6} MB at any quality.")


def play(film: Film) -> None:
    """What the visitor does."""
    page = film.page
    film.show(film.shoot(), LOOK)
    film.click(page.get_by_role("tab", name="Photos"))
    visitor.settle(page)
    page.wait_for_function(PICTURES_ARE_THERE)
    film.click(page.locator("#pick-content .gallery-item", has_text=PHOTO).first)
    film.watch(LOOKS, LOOKS_EVERY, lambda: not page.evaluate("window.unanswered.size"))
    visitor.settle(page)
    film.show(film.shoot(), LOOK)
    film.click(page.locator("#pick-style .gallery-item", has_text=PAINTING).first)
    film.watch(RUN, RUN_EVERY, lambda: "Done" in visitor.status(page))
    film.show(film.shoot(), END)


def main() -> None:
    width, height = SCREEN
    with (
        tempfile.TemporaryDirectory() as folder,
        visitor.served(Path(folder)) as address,
        visitor.chromium() as browser,
    ):
        viewport = {"width": width, "height": height}
        with visitor.visit(browser, address, viewport=viewport) as page:
            film = Film(page)
            play(film)
    film.save(FILE)


if __name__ == "__main__":
    main()
