"""The gallery: photo, painting, first look and finished pictures, for looking at.

    python -m benchmarks.gallery                        docs/gallery.md and its pictures
    python -m benchmarks.gallery --portraits            four portraits with all paintings
    python -m benchmarks.gallery --portraits a.jpg cat  these, files or examples

The portraits are where style transfer goes wrong first: a face without eyes is seen at once. Their
sheets are for whoever changes a default, and stay in `results/portraits`, as does each picture: a
run that was cut off goes on where it stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from benchmarks import report
from nst_core import Frame, Settings, stream
from nst_core.presets import PRESETS
from page import examples

PAGE = report.ROOT / "docs" / "gallery.md"
PICTURES = report.ROOT / "docs" / "gallery"
PORTRAITS = ("astronaut", "cat", "owl", "dog")


@dataclass(frozen=True)
class Column:
    """One painted column of the gallery."""

    title: str
    settings: Settings


COLUMNS = (
    Column("at 384 px", Settings(size=384)),
    Column("at 512 px", Settings(size=512)),
    Column("Classic, at 512 px", replace(PRESETS["classic"].settings, time_budget=None)),
)

CELL_HEIGHT, GAP = 300, 6  # pixels, of a row of the gallery
PORTRAIT_SETTINGS = Settings(size=512, steps=48)
PORTRAIT_COLUMNS, PORTRAIT_WIDTH = 5, 384


def paint(content: Path, style: str, settings: Settings) -> tuple[Frame, Frame]:
    """The first and the last frame."""
    first, *_, last = stream(content, examples.path_of("style", style), settings)
    return first, last


# --- The page -----------------------------------------------------------------------------------


def make_page() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    columns = ["photo", "painting", "first look", *(column.title for column in COLUMNS)]
    lines = [
        "# Gallery",
        "",
        f"The pairs that the page offers, in {Settings().steps} steps; Classic in as many.",
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
    file = examples.path_of("content", content)
    runs = [paint(file, style, column.settings) for column in COLUMNS]
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
    for name in names:
        file = Path(name) if Path(name).is_file() else examples.path_of("content", name)
        folder = report.RESULTS / "portraits" / file.stem
        folder.mkdir(parents=True, exist_ok=True)
        cells = [
            labelled(portrait(file, style, folder / f"{style}.png"), style)
            for style in tqdm(sorted(examples.NAMES["style"]), desc=file.stem)
        ]
        sheet(cells).save(folder.with_suffix(".jpg"), quality=92)


def portrait(content: Path, style: str, kept: Path) -> Image.Image:
    """The picture in this file, painted first if it is not there."""
    if not kept.exists():
        paint(content, style, PORTRAIT_SETTINGS)[1].to_pil().save(kept)
    return Image.open(kept).convert("RGB")


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
        "--portraits", nargs="*", metavar="PHOTO", help="sheets of these: files or examples"
    )
    arguments = parser.parse_args()
    if arguments.portraits is None:
        make_page()
    else:
        make_portraits(arguments.portraits or PORTRAITS)


if __name__ == "__main__":
    main()
