"""Regions that are drawn or found, as the page calls them."""

from __future__ import annotations

import gradio as gr
import numpy as np
import pytest
from conftest import example
from PIL import Image
from visits import CASTLE, told

from nst_core.pictures import images
from page import regions

pytestmark = pytest.mark.usefixtures("steps", "turns")


def test_what_is_drawn_becomes_masks_and_what_was_never_drawn_changes_nothing(tmp_path):
    layer = np.zeros([60, 90, 4], np.uint8)
    for number, colour in enumerate(regions.BRUSHES):
        if number == 2:
            continue
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        layer[10:50, 15 * number : 15 * number + 12] = (*rgb, round(255 * regions.OPACITY))
    layer[5, 5] = (255, 255, 255, 20)  # the faint rim of a stroke
    Image.fromarray(layer).save(tmp_path / "layer.png")
    *masks, told_so = regions.take_regions(str(tmp_path / "layer.png"))
    assert told_so.startswith("Taken")
    assert masks[2] is None
    for number in (0, 1, 3, 4):
        mask = images.load_mask(masks[number])
        expected = np.zeros([60, 90])
        expected[10:50, 15 * number : 15 * number + 12] = 1
        np.testing.assert_array_equal(mask, expected)
    assert regions.take_regions(None) == [gr.skip()] * 6
    Image.new("RGBA", (60, 40)).save(tmp_path / "wiped.png")
    assert regions.take_regions(str(tmp_path / "wiped.png")) == [*[None] * 5, ""]


def test_a_layer_that_is_no_picture_is_told(monkeypatch, tmp_path):
    messages = told(monkeypatch)
    (tmp_path / "layer.png").write_text("<html>")
    assert regions.take_regions(str(tmp_path / "layer.png")) == [gr.skip()] * 6
    assert "not a picture" in messages[0]


def test_the_board_shows_the_photo_once():
    shown, on_board = regions.show_board(CASTLE, None)
    assert max(shown["background"].shape) == regions.BOARD
    assert on_board == CASTLE
    assert regions.show_board(CASTLE, CASTLE) == (gr.skip(), gr.skip())
    assert regions.renew_board(CASTLE, None) == (gr.skip(), gr.skip())
    assert regions.renew_board(None, CASTLE) == (None, None)


def test_people_are_kept_by_one_click(monkeypatch):
    """Of a photo without any, or that cannot be read, nothing is kept, and why is told."""
    infos, warnings = told(monkeypatch, "Info"), told(monkeypatch)
    mask = regions.keep_people(str(example("content/astronaut")))
    with Image.open(mask) as image:
        kept = np.asarray(image.convert("L")) / 255
    height, width = kept.shape
    assert kept[round(0.22 * height), round(0.44 * width)] > 0.9  # her face
    assert kept[round(0.08 * height), round(0.64 * width)] < 0.1  # the wall
    assert regions.keep_people(CASTLE) == gr.skip()
    assert regions.keep_people(None) == gr.skip()
    assert regions.keep_people(__file__) == gr.skip()
    assert [len(infos), len(warnings)] == [2, 2]
    assert "Nobody was found" in infos[1]
