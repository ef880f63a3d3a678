"""Hostile pictures: each is a picture or an `ImageError`, quickly and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import corpus
import pytest
from mutate import mutated
from reader import Reading, read_all

from nst_core.pictures.images import MAX_PIXELS, MAX_PIXELS_OF

pytestmark = pytest.mark.attack

SECONDS, BYTES = 2.0, 600e6  # what one file may cost
SEED = 20
NO_PICTURES = {
    *(
        "bomb-grey.png",
        "bomb-rgb.png",
        "bomb-palette.png",
        "bomb-rows.png",
        "bomb.webp",
        "bomb.tiff",
    ),
    *("empty.png", "zeros.png", "svg.png", "page.jpg", "postscript.jpg", "archive.png"),
}


def check(readings: Iterable[Reading]) -> list[Reading]:
    """Every file was taken as a picture or refused in words, within bounds."""
    readings = list(readings)
    assert not [r for r in readings if r.outcome not in ("picture", "ImageError")]
    assert not [r for r in readings if r.outcome == "ImageError" and len(r.message) < 30]
    assert not [r for r in readings if r.seconds > SECONDS or r.peak > BYTES]
    return readings


def test_the_corpus(hostile_files, attack):
    readings = check(read_all(hostile_files, timeout=120))
    assert len(readings) == len(hostile_files)
    taken = {r.name for r in readings if r.outcome == "picture"}
    assert {name for name, _ in corpus.modes()} <= taken  # what is sound is read
    assert {"largest-rgb.png", "largest.webp", "largest-float.tiff"} <= taken
    assert not taken & NO_PICTURES
    worst = max(r.seconds for r in readings), max(r.peak for r in readings)
    attack.tell(f"{len(readings)} hostile files: {len(taken)} are pictures, the others refused;")
    attack.tell(f"  at most {worst[0]:.2f} s and {worst[1] / 1e6:.0f} MB for one")


def test_the_largest_of_the_corpus_are_the_largest_allowed():
    sides = {"png": 7070, "jpg": 8192, "webp": 5790}
    for ending, side in sides.items():
        most = MAX_PIXELS_OF.get(corpus.PILLOW.get(ending, ending.upper()), MAX_PIXELS)
        assert side**2 <= most < (side + 10) ** 2


def test_mutated_files(tmp_path, attack):
    count = attack.extent(short=3000, full=50_000)
    paths = [write(tmp_path, number, *file) for number, file in enumerate(mutated(count, SEED))]
    readings = check(read_all(paths, timeout=600))
    assert len(readings) == count
    taken = sum(r.outcome == "picture" for r in readings)
    assert count / 100 < taken < count
    attack.tell(f"{count} mutated files: {taken} are pictures, the others refused;")
    attack.tell(f"  at most {max(r.seconds for r in readings):.2f} s for one")


def write(folder: Path, number: int, ending: str, content: bytes) -> Path:
    path = folder / f"{number}.{ending}"
    path.write_bytes(content)
    return path


def test_the_measure_sees_what_is_too_dear_and_what_never_ends(tmp_path):
    (tmp_path / "dear.png").write_bytes(corpus.png_bomb(7070, 7070, 8, 6))
    (dear,) = read_all([tmp_path / "dear.png"], timeout=60)
    assert dear.peak > 100e6
    *_, last = read_all([tmp_path / "dear.png"] * 100, timeout=4)
    assert last.outcome == "crash"
