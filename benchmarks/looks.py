"""What each method paints in the same time: a sheet of pairs, two numbers each, blind comparisons.

    python -m benchmarks.looks FOLDER                          paint what is missing, and a sheet
    python -m benchmarks.looks FOLDER --blind nearest classic  shuffled pairs for readers, a key

Pictures, `sheet.jpg` and `looks.md` go into the folder; one picture is one file, so that a run that
was cut off goes on where it stopped. `--blind` writes one picture for each pair into FOLDER/blind:
photo and painting above, the two methods below, left or right as chance had it; which is which
stands in `key.json`. Readers are asked which is the better picture, which is closer to the
painting, and in which the photo is more readable.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks import report
from benchmarks.judge import edge_correlation, patch_distance
from nst_core import Settings, stream
from nst_core.pictures import images
from nst_core.presets import PRESETS
from page import examples

# Portraits, animals, a night, drawings, prints, an abstract, impasto.
PAIRS = (
    ("castle", "great-wave"),
    ("astronaut", "woman-with-fan"),
    ("astronaut", "mona-lisa"),
    ("cat", "summertime"),
    ("owl", "auvers"),
    ("dog", "lion"),
    ("hawa-mahal", "composition-viii"),
    ("eiffel-tower", "ryogoku"),
    ("colosseum", "harvesters"),
    ("mont-saint-michel", "poppies"),
    ("rocket", "librarian"),
    ("horses", "girls-at-the-piano"),
)

# What is painted by each method, besides size and time.
METHODS = {
    "nearest": Settings(style_loss="nearest"),
    "classic": Settings(style_loss="gram"),
    "wasserstein": Settings(style_loss="wasserstein"),
    "paper": PRESETS["paper"].settings,
    "preview": Settings(),  # its first frame
}

GAP = 8  # px between pictures


def main() -> None:
    parser = argparse.ArgumentParser(description="What each method paints.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--blind", nargs=2, choices=METHODS)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.blind:
        write_blind(options.folder, options.size, *options.blind)
        return
    wanted = list(itertools.product(PAIRS, options.methods))
    for pair, method in tqdm(wanted):
        if not file_of(options.folder, pair, method).exists():
            paint(options.folder, pair, method, options.size, options.seconds)
    write_sheet(options.folder, options.methods, options.size)
    (options.folder / "looks.md").write_text(
        table(options.folder, options.methods, options.size) + "\n"
    )


def file_of(folder: Path, pair: tuple[str, str], method: str) -> Path:
    return folder / f"{'-'.join(pair)}-{method}.png"


def sources(pair: tuple[str, str]) -> tuple[Path, Path]:
    content, style = pair
    return examples.path_of("content", content), examples.path_of("style", style)


def paint(folder: Path, pair: tuple[str, str], method: str, size: int, seconds: float) -> None:
    settings = METHODS[method].to_dict() | {"size": size, "time_budget": seconds}
    frames = stream(*sources(pair), Settings.from_dict(settings))
    frame = next(frames)
    if method != "preview":
        *_, frame = frames
    images.save(frame.to_pil(), file_of(folder, pair, method))


# --- Numbers and pictures -----------------------------------------------------------------------


def table(folder: Path, methods: list[str], size: int) -> str:
    """Edge correlation with the photo and patch distance from the painting, and their means."""
    rows, found = [], []
    for pair in PAIRS:
        photo, painting = (pixels(path, size) for path in sources(pair))
        numbers = []
        for method in methods:
            picture = pixels(file_of(folder, pair, method), size)
            numbers.append((edge_correlation(picture, photo), patch_distance(picture, painting)))
        found.append(numbers)
        rows.append([" x ".join(pair), *(f"{edges:.2f} / {far:.2f}" for edges, far in numbers)])
    means = np.mean(found, axis=0)
    rows.append(["mean", *(f"{edges:.2f} / {far:.2f}" for edges, far in means)])
    return report.table(["edges / patches", *methods], rows)


def write_sheet(folder: Path, methods: list[str], size: int, height: int = 256) -> None:
    """A row for each pair: photo, painting, and what the methods painted."""
    rows = []
    for pair in PAIRS:
        files = [*sources(pair), *(file_of(folder, pair, method) for method in methods)]
        rows.append(beside(*(scaled(pixels(path, size), height) for path in files)))
    width = max(row.width for row in rows)
    sheet = Image.new("RGB", (width, len(rows) * (height + GAP)), "white")
    for number, row in enumerate(rows):
        sheet.paste(row, (0, number * (height + GAP)))
    sheet.save(folder / "sheet.jpg", quality=90)


def write_blind(folder: Path, size: int, *methods: str) -> None:
    out, key = folder / "blind", {}
    out.mkdir(exist_ok=True)
    chance = random.Random()
    for number, pair in enumerate(PAIRS, start=1):
        sides = chance.sample(methods, len(methods))
        key[f"{number:02}"] = {"pair": pair, "left": sides[0], "right": sides[1]}
        above = beside(*(scaled(pixels(path, size), size // 2) for path in sources(pair)))
        below = beside(
            *(Image.fromarray(pixels(file_of(folder, pair, side), size)) for side in sides)
        )
        page = Image.new(
            "RGB", (max(above.width, below.width), above.height + GAP + below.height), "white"
        )
        page.paste(above, (0, 0))
        page.paste(below, (0, above.height + GAP))
        page.save(out / f"{number:02}.png")
    (folder / "key.json").write_text(json.dumps(key, indent=1))


def pixels(path: Path, size: int) -> np.ndarray:
    return images.to_uint8(images.load(path, size).rgb)


def scaled(image: np.ndarray, height: int) -> Image.Image:
    picture = Image.fromarray(image)
    return picture.resize(
        (round(picture.width * height / picture.height), height), Image.Resampling.LANCZOS
    )


def beside(*pictures: Image.Image) -> Image.Image:
    width = sum(picture.width + GAP for picture in pictures) - GAP
    row = Image.new("RGB", (width, max(picture.height for picture in pictures)), "white")
    left = 0
    for picture in pictures:
        row.paste(picture, (left, 0))
        left += picture.width + GAP
    return row


if __name__ == "__main__":
    main()
