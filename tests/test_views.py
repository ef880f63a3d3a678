"""Looking at what was painted, as the page calls it; with the fake engine."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from visits import CASTLE, WAVE, paint, paint_until, pixels, step_of, told, values_of

from nst_core import recipe
from nst_core.colors.luminance import keep_chroma
from page import paint as room
from page import studio, views
from page.studio import STUDIO

OWL = CASTLE.replace("castle", "owl")

pytestmark = pytest.mark.usefixtures("steps", "turns")


def test_nothing_painted_changes_nothing():
    assert views.blend(None, 50) == gr.skip()
    assert views.compare(None, views.PHOTO) == (gr.skip(), gr.skip())
    assert views.scrub(None, 3) == gr.skip()
    for shown in (views.open_run(None), *views.show_film(None)):
        assert [part["visible"] for part in shown[:2]] == [True, False]
        assert set(map(str, shown[2:])) == {str(gr.skip())}
    assert list(views.make_film(None, ".gif")) == [(gr.skip(), None)]
    *tools, chart = room.at_rest(None)
    assert [tool["interactive"] for tool in tools] == [True, False, False, False, False, False]
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
    (before, after), against = views.compare(token, views.PHOTO)
    np.testing.assert_array_equal(before, painting.photo)
    np.testing.assert_array_equal(after, painting.frame.image)
    assert not against["visible"]


def test_a_picture_is_compared_with_the_one_before_of_the_same_photo():
    token = paint_until(2, steps=5)
    first = STUDIO.find(token).frame.image
    *_, last = paint(before=token, size=64, steps=1, strength=0.9)
    second = STUDIO.find(last.token).frame.image
    (before, after), against = views.compare(last.token, views.EARLIER)
    assert against["visible"]
    np.testing.assert_array_equal(after, second)
    assert before.shape == second.shape != first.shape
    enlarged = np.asarray(Image.fromarray(before).resize(first.shape[1::-1]), int)
    assert np.abs(enlarged - first).mean() < np.abs(enlarged - STUDIO.find(token).photo).mean()
    (before, _), _ = views.compare(last.token, views.PHOTO)
    np.testing.assert_array_equal(before, STUDIO.find(last.token).photo)


def test_after_continue_the_picture_before_is_the_one_it_went_on_from():
    token = paint_until(2, steps=4)
    first = STUDIO.find(token).frame.image
    deque(room.go_on(token, *values_of(size=96, steps=4, strength=0.9)), maxlen=0)
    (before, after), against = views.compare(token, views.EARLIER)
    assert against["visible"]
    np.testing.assert_array_equal(before, first)
    assert not np.array_equal(after, first)


def test_a_picture_of_another_photo_is_not_compared():
    *_, other = room.paint(None, OWL, WAVE, *values_of(size=64, steps=1))
    *_, last = paint(before=other.token, steps=1)
    (before, _), against = views.compare(last.token, views.EARLIER)
    assert not against["visible"]
    np.testing.assert_array_equal(before, STUDIO.find(last.token).photo)


# --- Files --------------------------------------------------------------------------------------


def test_what_is_saved_is_told_with_its_name_and_size(monkeypatch, tmp_path):
    messages = told(monkeypatch, "Info")
    (tmp_path / "large.png").write_bytes(bytes(1_240_000))
    (tmp_path / "small.png").write_bytes(b"x")
    for name in ("large", "small"):
        views.saved(str(tmp_path / f"{name}.png"))
    views.saved(None)  # nothing was made
    assert messages == [
        f"Saved among your downloads: {name}.png, {size} MB. "
        "It carries its settings: drop it on this page to have them again."
        for name, size in (("large", "1.2"), ("small", "0.1"))
    ]


def test_the_button_counts_the_seconds_until_the_film_is_made():
    token = paint_until(2, steps=3)
    *shown, (button, path) = views.make_film(token, ".gif")
    assert shown[0][0] == gr.update(value="Making the film … 0 s", interactive=False)
    assert {file for _, file in shown} == {None}
    assert button == gr.update(value="Save film", interactive=True)
    assert Path(path).name == "castle-great-wave.gif"
    with Image.open(path) as film:
        assert film.n_frames > 1


def test_a_film_that_cannot_be_written_is_told_and_can_be_tried_again(monkeypatch):
    token = paint_until(2, steps=3)

    def fail(*_):
        raise OSError(28, "No space left on device", "/a/secret/path")

    monkeypatch.setattr(studio, "save_film", fail)
    shown = []
    with pytest.raises(gr.Error) as error:
        shown.extend(views.make_film(token, ".gif"))
    assert shown[-1] == (gr.update(value="Save film", interactive=True), None)
    expected = "The server cannot write pictures now (No space left on device); try again soon."
    assert error.value.message == expected


def test_the_film_is_shown_once_it_is_made():
    first, last = views.show_film(paint_until(2, steps=3))
    assert [part["visible"] for part in first[:2]] == [False, True]
    assert last[:2] == (gr.skip(), gr.skip())
    assert Path(last[2]).suffix == ".mp4"


# --- Blend and colours --------------------------------------------------------------------------


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
