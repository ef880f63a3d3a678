"""How it works, on the page: what is shown, stopped, refused, and said in which language."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from conftest import example
from PIL import Image

from nst_core import Settings
from nst_core.explain import panels, sections
from nst_core.explain.explore import WORDS
from nst_core.explain.parts import Figure, Grid, Originals, Section
from nst_core.explain.sections import TOPICS
from page import controls, examples, inside, texts, turns
from page.stage import is_skipped

PHOTO, PAINTING = str(example("content/castle")), str(example("style/great-wave"))


@pytest.fixture(autouse=True)
def nothing_kept():
    inside.KEPT.clear()


@pytest.fixture
def short(monkeypatch):
    """The panel of optimizers, in three steps each."""
    panel = panels.PANELS["optimizers"]
    cells = tuple(
        replace(cell, settings=replace(cell.settings, size=64, steps=3)) for cell in panel.cells
    )
    monkeypatch.setitem(TOPICS, "optimizers", sections.topic_of(replace(panel, cells=cells)))
    monkeypatch.setattr(inside, "SHOW_EVERY", 0.0)


def test_all_that_can_be_explained_is_offered():
    assert [name for _, name in inside.choices()] == list(TOPICS)


def test_what_is_explained_grows_and_is_whole_in_the_end(short):
    shown = list(inside.show("optimizers", None, PHOTO, PAINTING))
    assert len(shown) > 2
    assert all(status == "Being painted …" for _, status in shown[:-1])
    screen, status = shown[-1]
    assert status == "Done."
    assert len(re.findall("<img ", screen)) == 2 + 3  # photo and painting, and what became of them
    assert turns.TURNS.count() == 0


def test_it_is_said_in_the_language_of_the_browser(short):
    with texts.speaking("de"):
        *_, (screen, status) = inside.show("optimizers", None, PHOTO, PAINTING)
        offered = dict(inside.choices())
    assert status == "Fertig."
    assert "Gradientenverfahren" in screen
    assert "Was VGG-16 sieht" in offered


def test_every_text_has_a_german_one():
    for words in (WORDS, *(topic.words for topic in TOPICS.values())):
        for text in (words.title, words.text):
            assert text.template in texts.SENTENCES["de"]


def test_whoever_stops_it_keeps_what_there_is(short, monkeypatch):
    monkeypatch.setattr(turns, "session", lambda work="": work)
    run = inside.show("optimizers", None, PHOTO, PAINTING)
    next(run)
    inside.stop()
    *_, (screen, status) = run
    assert status == "Stopped."
    assert "<img " in screen
    assert turns.TURNS.count() == 0


def test_leaving_ends_it(short, steps_done):
    run = inside.show("optimizers", None, PHOTO, PAINTING)
    next(run)
    before = len(steps_done)
    run.close()
    assert len(steps_done) == before
    assert turns.TURNS.count() == 0


@pytest.mark.parametrize(
    ("photo", "painting", "words"),
    [(None, PAINTING, "Choose a photo"), (PHOTO, None, "Choose a painting")],
)
def test_a_missing_picture_is_told(photo, painting, words):
    with pytest.raises(gr.Error, match=words):
        list(inside.show("network", None, photo, painting))


def test_a_fault_of_ours_names_a_job(monkeypatch):
    def fail(*_):
        raise TypeError("not foreseen")
        yield

    monkeypatch.setattr(inside, "explore", fail)
    with pytest.raises(gr.Error, match=r"[0-9a-f]{8}"):
        list(inside.show("network", None, PHOTO, PAINTING))
    assert turns.TURNS.count() == 0


# --- Clicks -------------------------------------------------------------------------------------


def clicked(choice: str) -> gr.EventData:
    return gr.EventData(None, {"choice": choice})


@pytest.fixture
def two_examples(monkeypatch):
    monkeypatch.setattr(
        inside, "pictures_to_search", lambda: {"a photo": PHOTO, "a painting": PAINTING}
    )


def test_a_click_on_a_layer_and_on_a_channel_shows_it(two_examples):
    unit = inside.choose_unit(clicked("block2_conv1/5"))
    *_, (screen, status) = inside.show("network", unit, PHOTO, PAINTING)
    assert status == "Done."
    pressed = re.findall(r"data-choice='([^']*)' aria-pressed=true", screen)
    assert pressed == ["block2_conv1", "block2_conv1/5"]
    assert "a painting" in screen


def test_all_examples_are_looked_through():
    files = {
        examples.path_of(kind, name) for kind in examples.KINDS for name in examples.NAMES[kind]
    }
    assert {Path(file) for file in inside.pictures_to_search().values()} == files


def test_a_unit_that_is_not_there_is_refused():
    with pytest.raises(gr.Error, match="block9"):
        list(inside.show("network", "block9_conv1", PHOTO, PAINTING))


def test_a_click_ends_what_is_explained(short, monkeypatch):
    monkeypatch.setattr(turns, "session", lambda work="": work)
    run = inside.show("optimizers", None, PHOTO, PAINTING)
    next(run)
    inside.choose_unit(clicked("block2_conv1"))
    *_, (_, status) = run
    assert status == "Stopped."


def test_a_picture_of_the_dials_gives_its_settings_to_the_painter():
    cells = panels.PANELS["dials"].cells
    before = Settings(size=640, time_budget=20, color="oklab", edge_weight=1)
    for number, cell in enumerate(cells):
        status, preset, *given = inside.take_dial(clicked(f"dial/{number}"))
        assert cell.label in status
        assert preset is None
        kept = [
            old if is_skipped(new) else new
            for old, new in zip(controls.show(before), given, strict=True)
        ]
        taken = controls.read(kept)
        assert taken.content_weight == cell.settings.content_weight
        assert dict(taken.style_layers) == pytest.approx(dict(cell.settings.style_layers), rel=1e-5)
        assert taken.style_loss == "gram"
        assert taken.edge_weight is None
        assert (taken.size, taken.time_budget, taken.color) == (640, 20, "oklab")
    assert len({inside.take_dial(clicked(f"dial/{number}"))[0] for number in range(12)}) == 12


@pytest.mark.parametrize("choice", ["dial/12", "dial/-1", "block1_conv1"])
def test_a_dial_that_is_not_there_is_refused(choice):
    with pytest.raises(gr.Error, match="dial"):
        inside.take_dial(clicked(choice))


def test_every_picture_of_the_dials_can_be_clicked():
    black = np.zeros([2, 2, 3], np.uint8)
    figures = tuple(Figure(black, f"{number}") for number in range(3))
    section = Section(TOPICS["dials"].words, (Originals(black, black), Grid(figures, 3)))
    assert "<button" not in inside.as_html("content", section)
    screen = inside.as_html("dials", section)
    assert re.findall(r"data-choice='([^']*)'", screen) == ["dial/0", "dial/1", "dial/2"]
    assert screen.index("Click a picture") > screen.index("<img ")  # below photo and painting


# --- What is kept -------------------------------------------------------------------------------


def test_on_examples_it_is_there_at_once_the_second_time(short, steps_done):
    *_, first = inside.show("optimizers", None, PHOTO, PAINTING)
    before = len(steps_done)
    assert list(inside.show("optimizers", None, PHOTO, PAINTING)) == [first]
    assert len(steps_done) == before


def test_it_is_found_by_content(short, steps_done, tmp_path):
    *_, first = inside.show("optimizers", None, PHOTO, PAINTING)
    before = len(steps_done)
    copy = shutil.copy(PHOTO, tmp_path / "uploaded.jpg")
    assert list(inside.show("optimizers", None, copy, PAINTING)) == [first]
    *_, other = inside.show("optimizers", None, str(example("content/cat")), PAINTING)
    assert other != first
    assert len(steps_done) > before


def test_pictures_of_a_visitor_are_not_kept(short, tmp_path):
    Image.new("RGB", (64, 48), "teal").save(tmp_path / "own.png")
    list(inside.show("optimizers", None, str(tmp_path / "own.png"), PAINTING))
    assert not inside.KEPT


def test_what_was_stopped_is_not_kept(short, monkeypatch):
    monkeypatch.setattr(turns, "session", lambda work="": work)
    run = inside.show("optimizers", None, PHOTO, PAINTING)
    next(run)
    inside.stop()
    list(run)
    assert not inside.KEPT


def test_each_language_has_its_own(short):
    *_, english = inside.show("optimizers", None, PHOTO, PAINTING)
    with texts.speaking("de"):
        *_, german = inside.show("optimizers", None, PHOTO, PAINTING)
    assert german != english
    assert list(inside.show("optimizers", None, PHOTO, PAINTING)) == [english]


def test_no_more_is_kept_than_there_is_room_for(short, monkeypatch):
    monkeypatch.setattr(inside, "MAX_KEPT", 1000)
    *_, (_, status) = inside.show("optimizers", None, PHOTO, PAINTING)
    assert status == "Done."
    assert not inside.KEPT
