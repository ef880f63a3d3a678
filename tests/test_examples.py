"""The example pictures and their pairs."""

from __future__ import annotations

import pytest
from PIL import Image

from nst_core.pictures import images
from page import examples


@pytest.mark.parametrize("kind", examples.KINDS)
def test_every_example_has_its_source(kind):
    files = {path.stem for path in (examples.FOLDER / kind).iterdir()}
    assert files == set(examples.NAMES[kind])
    assert len(files) == 20
    assert all(examples.caption(kind, name) for name in files)
    assert all(row["licence"] and row["source"] for row in examples.SOURCES.values())


def test_every_pair_exists_and_is_painted():
    assert len(examples.PAIRS) >= 8
    assert ("castle", "great-wave") in examples.PAIRS
    for content, style in examples.PAIRS:
        photo = images.load(examples.path_of("content", content), examples.PAINTED.size)
        assert examples.path_of("style", style).is_file()
        with Image.open(examples.painted_path(content, style)) as painted:
            assert painted.size == photo.size


def test_a_card_shows_the_finished_picture_and_both_it_was_made_from():
    card = examples.pair_card("castle", "great-wave")
    assert card.size == examples.CARD
    width, height = card.size
    bottom = height - examples.CAPTION - 1
    assert card.getpixel((0, bottom)) == card.getpixel((width - 1, bottom)) == (255, 255, 255)


def test_examples_are_known_by_their_bytes(tmp_path):
    copy = tmp_path / "other-name.jpg"
    copy.write_bytes(examples.path_of("content", "owl").read_bytes())
    assert examples.find("content", examples.checksum(copy)) == "owl"
    assert examples.find("style", examples.checksum(copy)) is None
    assert examples.find("content", "0" * 64) is None
