"""Choosing pictures and presets, as the page calls it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image
from visits import CASTLE, WAVE, told

from nst_core import Settings
from nst_core.presets import PRESETS
from page import choice, choose, controls, examples
from page import turns as room
from page.choice import Choice
from page.stage import Shown

pytestmark = pytest.mark.usefixtures("steps", "turns")


def test_a_pair_fills_both_pictures_and_shows_its_finished_one():
    pair = examples.PAIRS[2]
    *row, comparison, _ = choose.choose_pair("2")
    row, stage = row[: len(choice.NOT_SETTINGS)], Shown(*row[len(choice.NOT_SETTINGS) :])
    chosen = Choice.from_row(row, choice.NOT_SETTINGS)
    assert chosen == Choice.of({"content": chosen.content, "style": chosen.style}, Settings())
    assert [Path(chosen.content).stem, Path(chosen.style).stem] == list(pair)
    assert Path(stage.picture) == examples.painted_path(*pair)
    assert stage.token is None
    assert stage.title == f"## {examples.pair_caption(*pair)}"
    with Image.open(comparison[1]) as painted:
        assert comparison[0].shape[:2] == painted.size[::-1]


def test_the_title_names_examples_and_not_files(tmp_path):
    mine = tmp_path / "my secret.png"
    Image.new("RGB", (32, 32)).save(mine)
    expected = "## Neuschwanstein Castle × The Great Wave off Kanagawa"
    assert choose.title(Choice.of({"content": CASTLE, "style": WAVE}, Settings())) == expected
    assert choose.title(Choice(str(mine))) == "## Your photo × your painting"


TASTE = [getattr(Settings(), name) for name in controls.TASTE]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_all_controls(name):
    settings = controls.read(choose.choose_preset(name, *TASTE))
    assert settings == PRESETS[name].settings


def test_a_preset_beside_an_impossible_strength_is_told(monkeypatch):
    messages = told(monkeypatch)
    shown = choose.choose_preset("sketch", 7, *TASTE[1:])
    assert shown == [gr.skip()] * len(controls.NAMES)
    assert "strength is 7" in messages[0]


def test_a_picture_that_the_cache_has_lost_has_no_name():
    assert choose.title(Choice("/gone/castle.jpg")).startswith("## Your photo ×")


def test_a_preset_by_time_keeps_what_is_taste_and_the_papers_has_its_own_strength():
    taste = (0.8, "linear", 0.5, 2.0)
    for name, strength in (("sketch", 0.8), ("paper", 0.5)):
        settings = controls.read(choose.choose_preset(name, *taste))
        assert settings.strength == strength
        assert (settings.color, settings.style_scale, settings.feather) == taste[1:]


@pytest.mark.parametrize("name", PRESETS)
def test_settings_are_told_to_be_a_presets_whatever_is_taste(name):
    settings = PRESETS[name].settings
    assert choose.preset_of(settings) == name
    assert choose.preset_of(replace(settings, color="linear", feather=3.0)) == name
    assert choose.preset_of(replace(settings, steps=settings.steps + 1)) is None
    is_taste = "strength" not in PRESETS[name].changes
    assert choose.preset_of(replace(settings, strength=0.9)) == (name if is_taste else None)


def test_an_upload_that_is_no_picture_is_taken_away(tmp_path, monkeypatch):
    messages = told(monkeypatch)
    (tmp_path / "page.jpg").write_text("<html>")
    assert choose.check_upload(str(tmp_path / "page.jpg")) is None
    assert "not a picture" in messages[0]


def test_an_upload_that_browsers_cannot_show_is_shown_as_png(tmp_path):
    Image.new("RGB", (40, 30), (10, 200, 30)).save(tmp_path / "phone.heic", quality=95)
    with Image.open(choose.check_upload(str(tmp_path / "phone.heic"))) as image:
        assert (image.format, image.size) == ("PNG", (40, 30))


def test_other_uploads_stay_as_they_are():
    assert choose.check_upload(CASTLE) == gr.skip()
    assert choose.check_upload(None) == gr.skip()


def test_an_own_upload_is_taken_and_what_is_no_picture_is_not(tmp_path):
    path = str(tmp_path / "own.png")
    Image.new("RGB", (32, 32)).save(path)
    assert choose.take_upload(path) == path
    (tmp_path / "page.jpg").write_text("<html>")
    with pytest.raises(choose.gr.Error, match="not a picture"):
        choose.take_upload(str(tmp_path / "page.jpg"))


@pytest.mark.parametrize("time_budget", ["30", 12.5, 0.5])
def test_a_time_budget_hides_the_steps(time_budget):
    until, time, steps = choose.show_until(time_budget)
    assert (until, time["visible"], steps["visible"]) == (choose.TIME, True, False)


@pytest.mark.parametrize("time_budget", ["", None])
def test_without_one_the_steps_apply(time_budget):
    until, time, steps = choose.show_until(time_budget)
    assert (until, time["visible"], steps["visible"]) == (choose.STEPS, False, True)


def test_choosing_time_or_steps_fills_or_empties_the_time_budget():
    assert choose.choose_until(choose.TIME) == "30"
    assert choose.choose_until(choose.STEPS) == ""


def test_weights_and_what_is_drawn_are_chosen_among_several_paintings_only():
    weights, brush, _ = choose.for_several(None, None, None)
    assert not weights["visible"]
    assert not brush["visible"]
    assert all(shown["visible"] for shown in choose.for_several(None, "b.png", None))


# --- A painting that is clicked -----------------------------------------------------------------


@pytest.fixture
def visitor(monkeypatch) -> str:
    monkeypatch.setattr(room, "session", lambda work="": f"visitor {work}".rstrip())
    return "visitor"


def click(number=1, clip=None) -> tuple[str, str]:
    """The first painting after a click on the third example, and whether it is painted at once."""
    event = gr.SelectData(None, {"index": 2, "value": None})
    first, *_, at_once = choose.pick_painting(number, WAVE, clip, event)
    return first, at_once


def test_a_painting_is_painted_at_once_in_the_place_of_what_is_painted(turns, visitor):
    with turns.join(visitor) as ticket:
        _, at_once = click()
        assert at_once
        assert ticket.stop.is_set()


@pytest.mark.parametrize("clip", [None, "clip.mp4"])
def test_a_painting_for_a_film_is_chosen_and_nothing_else(turns, visitor, clip):
    """Of a clip that was given, or was taken away again while it is painted."""
    work = "" if clip else room.FILM
    with turns.join(visitor) as ticket, turns.join(room.session(work)) as film:
        first, at_once = click(clip=clip)
        assert first != WAVE
        assert not at_once
        assert not ticket.stop.is_set()
        assert not film.stop.is_set()


def test_another_than_the_first_painting_is_chosen_and_nothing_else(turns, visitor):
    with turns.join(visitor) as ticket:
        assert not click(number=2)[1]
        assert not ticket.stop.is_set()
