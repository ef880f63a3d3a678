"""How it works, on the page: what is shown, stopped, refused, and said in which language."""

from __future__ import annotations

import re
from dataclasses import replace

import gradio as gr
import pytest
from conftest import example

from nst_core.explain import panels, sections
from nst_core.explain.sections import TOPICS
from page import inside, texts, turns

PHOTO, PAINTING = str(example("content/castle")), str(example("style/great-wave"))


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
    shown = list(inside.show("optimizers", PHOTO, PAINTING))
    assert len(shown) > 2
    assert all(status == "Being painted …" for _, status in shown[:-1])
    screen, status = shown[-1]
    assert status == "Done."
    assert len(re.findall("<img ", screen)) == 3
    assert turns.TURNS.count() == 0


def test_it_is_said_in_the_language_of_the_browser(short):
    with texts.speaking("de"):
        *_, (screen, status) = inside.show("optimizers", PHOTO, PAINTING)
        offered = dict(inside.choices())
    assert status == "Fertig."
    assert "Gradientenverfahren" in screen
    assert "Was VGG-16 sieht" in offered


def test_every_text_has_a_german_one():
    for topic in TOPICS.values():
        for text in (topic.words.title, topic.words.text):
            assert text.template in texts.SENTENCES["de"]


def test_whoever_stops_it_keeps_what_there_is(short, monkeypatch):
    monkeypatch.setattr(turns, "session", lambda work="": work)
    run = inside.show("optimizers", PHOTO, PAINTING)
    next(run)
    inside.stop()
    *_, (screen, status) = run
    assert status == "Stopped."
    assert "<img " in screen
    assert turns.TURNS.count() == 0


def test_leaving_ends_it(short, steps_done):
    run = inside.show("optimizers", PHOTO, PAINTING)
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
        list(inside.show("network", photo, painting))


def test_a_fault_of_ours_names_a_job(monkeypatch):
    def fail(*_):
        raise TypeError("not foreseen")
        yield

    monkeypatch.setattr(inside, "grow", fail)
    with pytest.raises(gr.Error, match=r"[0-9a-f]{8}"):
        list(inside.show("network", PHOTO, PAINTING))
    assert turns.TURNS.count() == 0
