"""The example pictures: what they are called, how they look small, and which pairs are painted.

`python -m page.examples` paints the pairs of `examples/pairs.csv` that are not painted yet, so that
the page has finished pictures to show before anybody has pressed a button.
"""

from __future__ import annotations

import csv
import functools
import hashlib
from pathlib import Path

from PIL import Image, ImageOps
from tqdm import tqdm

from nst_core import Settings, stylize

FOLDER = Path(__file__).parents[1] / "examples"
KINDS = ("content", "style")

THUMBNAIL = (240, 180)  # pixels
CARD = (300, 200)  # of a painted pair
INSET = 0.28  # of a card's sides: photo and painting in its corners
CAPTION = 26  # pixels at the bottom of a card that its caption will hide
PAINTED = Settings(size=512, steps=100)


def read_rows(name: str) -> list[dict[str, str]]:
    """The rows of a table in examples/."""
    with (FOLDER / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


SOURCES = {row["file"]: row for row in read_rows("sources.csv")}
PAIRS = [(row["content"], row["style"]) for row in read_rows("pairs.csv")]
NAMES = {kind: [Path(file).stem for file in SOURCES if file.startswith(kind)] for kind in KINDS}


def path_of(kind: str, name: str) -> Path:
    """The file of an example picture, `kind` being "content" or "style"."""
    return FOLDER / kind / f"{name}.jpg"


def painted_path(content: str, style: str) -> Path:
    """The file of a pair's finished picture."""
    return FOLDER / "painted" / f"{content}-{style}.jpg"


def title(kind: str, name: str) -> str:
    """What an example picture is called."""
    return SOURCES[f"{kind}/{name}.jpg"]["title"]


def caption(kind: str, name: str) -> str:
    """Title of an example picture, with painter and year for a painting."""
    row = SOURCES[f"{kind}/{name}.jpg"]
    parts = [row["title"], row["author"], row["year"]] if kind == "style" else [row["title"]]
    return ", ".join(part for part in parts if part)


def pair_caption(content: str, style: str) -> str:
    """Titles of photo and painting."""
    return f"{title('content', content)} × {title('style', style)}"


@functools.cache
def _names_by_checksum() -> dict[str, tuple[str, str]]:
    return {checksum(path_of(kind, name)): (kind, name) for kind in KINDS for name in NAMES[kind]}


def checksum(path: Path) -> str:
    """SHA-256 of a file, as in a recipe."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def find(kind: str, sha256: str) -> str | None:
    """The name of the example with this checksum, or None if it is none."""
    found, name = _names_by_checksum().get(sha256, ("", ""))
    return name if found == kind else None


# --- Small pictures -----------------------------------------------------------------------------


def thumbnail(kind: str, name: str) -> Image.Image:
    """A small version of an example picture."""
    return _fitted(path_of(kind, name), THUMBNAIL)


def thumbnails(kind: str) -> list[tuple[Image.Image, str]]:
    """All example pictures of a kind, small, with their captions."""
    return [(thumbnail(kind, name), caption(kind, name)) for name in NAMES[kind]]


def pair_card(content: str, style: str) -> Image.Image:
    """The finished picture of a pair, photo and painting in its lower corners."""
    card = _fitted(painted_path(content, style), CARD)
    width, height = round(CARD[0] * INSET), round(CARD[1] * INSET)
    top = CARD[1] - height - CAPTION
    for path, left in (
        (path_of("content", content), 0),
        (path_of("style", style), CARD[0] - width),
    ):
        framed = ImageOps.expand(_fitted(path, (width - 4, height - 4)), 2, "white")
        card.paste(framed, (left, top))
    return card


def _fitted(path: Path, size: tuple[int, int]) -> Image.Image:
    with Image.open(path) as image:
        image.draft("RGB", (2 * size[0], 2 * size[1]))
        return ImageOps.fit(image.convert("RGB"), size)


# --- Painting the pairs -------------------------------------------------------------------------


def main() -> None:
    """Paint what is missing."""
    missing = [pair for pair in PAIRS if not painted_path(*pair).exists()]
    for content, style in tqdm(missing, unit="pair"):
        frame = stylize(path_of("content", content), path_of("style", style), PAINTED)
        file = painted_path(content, style)
        file.parent.mkdir(exist_ok=True)
        frame.to_pil().save(file, quality=90, optimize=True)


if __name__ == "__main__":
    main()
