"""The gallery: photo, painting, first look and finished pictures, for looking at.

    python -m benchmarks.gallery               docs/gallery.md and its pictures: the page's pairs
    python -m benchmarks.gallery --portraits   sheets of four portraits with all paintings

The portraits are where style transfer goes wrong first: a face without eyes is seen at once. Their
sheets are for whoever changes a default, and stay in `results/portraits`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from benchmarks import report
from nst_core import Frame, Settings, stream
from page import examples

PAGE = report.ROOT / "docs" / "gallery.md"
PICTURES = report.ROOT / "docs" / "gallery"
PORTRAITS = ("astronaut", "cat", "owl", "dog")


@dataclass(frozen=True)
class Preset:
    """One column of the gallery."""

    title: str
    settings: Settings


PRESETS = (
    Preset("384 px, 30 steps", Settings(style_loss="gram", size=384, steps=30)),
    Preset("512 px, 60 steps", Settings(style_loss="gram", size=512)),
    Preset("768 px, 80 steps", Settings(style_loss="gram", size=768, steps=80)),
)

CELL_HEIGHT, GAP = 300, 6  # pixels, of a row of the gallery
PORTRAIT_SETTINGS = Settings(size=384, steps=50)
PORTRAIT_COLUMNS, PORTRAIT_WIDTH = 5, 384


def paint(content: str, style: str, settings: Settings) -> tuple[Frame, Frame]:
    """The first and the last frame."""
    first, *_, last = stream(
        examples.path_of("content", content), examples.path_of("style", style), settings
    )
    return first, last


# --- The page -----------------------------------------------------------------------------------


def make_page() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    columns = ["photo", "painting", "first look", *(preset.title for preset in PRESETS)]
    lines = [
        "# Gallery",
        "",
        "The pairs that the page offers, painted with Gram matrices (the look of Classic).",
        f"From left to right: {', '.join(columns)}. Made by `python -m benchmarks.gallery`.",
    ]
    for content, style in tqdm(examples.PAIRS, unit="pair"):
        file = PICTURES / f"{content}-{style}.jpg"
        if not file.exists():
            make_row(content, style).save(file, quality=88)
        title = f"{examples.title('content', content)}, in the style of "
        title += examples.title("style", style)
        lines += ["", f"## {title}", "", f"![{title}](gallery/{file.name})"]
    PAGE.write_text("\n".join(lines) + "\n")


def make_row(content: str, style: str) -> Image.Image:
    """Photo, painting, first look and results side by side, all of one height."""
    runs = [paint(content, style, preset.settings) for preset in PRESETS]
    photo, painting = (
        Image.open(examples.path_of(*pair)).convert("RGB")
        for pair in (("content", content), ("style", style))
    )
    cells = [photo, painting, runs[-1][0].to_pil(), *(last.to_pil() for _, last in runs)]
    return side_by_side(to_height(cell) for cell in cells)


def to_height(picture: Image.Image) -> Image.Image:
    width = round(picture.width * CELL_HEIGHT / picture.height)
    return picture.resize((width, CELL_HEIGHT), Image.Resampling.LANCZOS)


def side_by_side(cells: Iterable[Image.Image]) -> Image.Image:
    cells = list(cells)
    width = sum(cell.width for cell in cells) + GAP * (len(cells) - 1)
    row, left = Image.new("RGB", (width, CELL_HEIGHT), "white"), 0
    for cell in cells:
        row.paste(cell, (left, 0))
        left += cell.width + GAP
    return row


# --- The portraits ------------------------------------------------------------------------------


def make_portraits(names: Iterable[str]) -> None:
    folder = report.RESULTS / "portraits"
    folder.mkdir(parents=True, exist_ok=True)
    styles = sorted(examples.NAMES["style"])
    for content in names:
        cells = [
            labelled(paint(content, style, PORTRAIT_SETTINGS)[1].to_pil(), style)
            for style in tqdm(styles, desc=content)
        ]
        sheet(cells).save(folder / f"{content}.jpg", quality=92)


def labelled(picture: Image.Image, text: str) -> Image.Image:
    height = round(picture.height * PORTRAIT_WIDTH / picture.width)
    picture = picture.resize((PORTRAIT_WIDTH, height), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    draw.text(
        (6, 4), text, "white", ImageFont.load_default(16), stroke_width=2, stroke_fill="black"
    )
    return picture


def sheet(cells: list[Image.Image]) -> Image.Image:
    rows = -(-len(cells) // PORTRAIT_COLUMNS)
    height = max(cell.height for cell in cells)
    picture = Image.new("RGB", (PORTRAIT_COLUMNS * PORTRAIT_WIDTH, rows * height), "white")
    for index, cell in enumerate(cells):
        row, column = divmod(index, PORTRAIT_COLUMNS)
        picture.paste(cell, (column * PORTRAIT_WIDTH, row * height))
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--portraits", nargs="*", metavar="NAME", help="sheets of these portraits, or of all"
    )
    arguments = parser.parse_args()
    if arguments.portraits is None:
        make_page()
    else:
        make_portraits(arguments.portraits or PORTRAITS)


if __name__ == "__main__":
    main()
