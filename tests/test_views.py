"""Looking at what was painted, as the page calls it; with the fake engine."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from visits import paint, paint_until, pixels, step_of, told

from nst_core import recipe
from nst_core.colors.luminance import keep_chroma
from page import paint as room
from page import views
from page.studio import STUDIO

pytestmark = pytest.mark.usefixtures("steps", "turns")


def test_nothing_painted_changes_nothing():
    assert views.blend(None, 50) == gr.skip()
    assert views.compare(None) == gr.skip()
    assert views.scrub(None, 3) == gr.skip()
    for shown in (views.open_run(None), views.show_film(None, ".gif")):
        assert [part["visible"] for part in shown[:2]] == [True, False]
        assert shown[2:] == (gr.skip(), gr.skip())
    assert views.film_button(None, ".gif") == gr.skip()
    *tools, chart = room.at_rest(None)
    assert [tool["interactive"] for tool in tools] == [True, False, False, False, False]
    assert not chart["visible"]


def test_the_scrubber_goes_from_the_first_look_to_the_end():
    token = paint_until(3, steps=5, style_loss="gram")  # one scale
    painting = STUDIO.find(token)
    note, view, slider, picture = views.open_run(token)
    assert (note["visible"], view["visible"]) == (False, True)
    assert slider["maximum"] == slider["value"] == len(painting.pictures_so_far) == 4
    np.testing.assert_array_equal(picture, painting.frame.image)
    for number in (1, 4):
        np.testing.assert_array_equal(
            views.scrub(token, number), painting.pictures_so_far[number - 1]
        )
    np.testing.assert_array_equal(views.scrub(token, 99), painting.pictures_so_far[3])
    before, after = views.compare(token)
    np.testing.assert_array_equal(before, painting.photo)
    np.testing.assert_array_equal(after, painting.frame.image)


def test_the_blend_is_a_small_file_on_the_way_and_a_png_at_the_end():
    token = paint_until(1, steps=5)
    painting = STUDIO.find(token)
    shown = views.blend(token, 30)
    assert Path(shown).suffix == ".jpg"
    assert np.abs(pixels(shown) - painting.blended(0.3)).mean() < 6
    shown, button = views.save_blend(token, 30)
    assert Path(shown).suffix == ".jpg"
    assert recipe.read(button["value"]).blend == 0.3
    assert views.save_blend("gone", 30) == (gr.skip(), gr.skip())


def test_colours_change_at_once_and_the_run_and_the_recipe_with_them():
    token = paint_until(3, steps=3)
    before = STUDIO.find(token)
    picture, _save = views.recolor(token, "luminance", 100)
    after = STUDIO.find(token)
    expected = keep_chroma(before.frame.image, before.photo)
    np.testing.assert_array_equal(after.frame.image, expected)
    assert np.abs(picture.astype(int) - expected).max() <= 1
    assert after.recipe.settings.color == "luminance"
    moment = views.scrub(token, 2)
    np.testing.assert_array_equal(moment, keep_chroma(before.pictures_so_far[1], before.photo))
    views.recolor(token, "painting", 100)
    np.testing.assert_array_equal(STUDIO.find(token).frame.image, before.frame.image)


def test_colours_that_need_a_run_say_so(monkeypatch):
    messages = told(monkeypatch, "Info")
    views.recolor(paint_until(1, steps=2), "linear", 100)
    assert "press Continue or Paint" in messages[0]
    for token, color in ((None, "luminance"), ("gone", "luminance")):
        assert views.recolor(token, color, 100) == (gr.skip(), gr.skip())


def test_colours_change_also_during_the_run():
    run = paint(steps=4, frame_interval=0)
    token = next(shown.token for shown in run if step_of(shown) == 1)
    views.recolor(token, "luminance", 100)
    *_, last = run
    painting = STUDIO.find(token)
    assert painting.color == "luminance"
    expected = keep_chroma(painting.frame.painted, painting.photo)
    np.testing.assert_array_equal(pixels(last.picture), expected)


def test_colours_that_are_changed_while_a_step_is_computed_stay(steps, monkeypatch):
    run = paint(steps=4, frame_interval=0)
    token = next(shown.token for shown in run if step_of(shown) == 1)
    do = steps.do

    def recolor_and_do(done):
        views.recolor(token, "luminance", 100)
        do(done)

    monkeypatch.setattr(steps, "do", recolor_and_do)
    deque(run, maxlen=0)
    assert STUDIO.find(token).color == "luminance"
