"""What the page says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nst_core import Frame, Settings, stylize
from page import words
from page.turns import Place
from page.words import LossHistory

pytestmark = pytest.mark.usefixtures("steps")


@pytest.fixture
def frame(castle, great_wave) -> Frame:
    """The last one of two steps."""
    return stylize(castle, great_wave, Settings(size=64, steps=2))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (7.2, "8 s"), (60, "1 min 0 s"), (125, "2 min 5 s")]
)
def test_seconds_in_words(seconds, text):
    assert words.seconds_text(seconds) == text


def test_how_far_a_run_has_come(frame):
    done = dataclasses.replace(frame, elapsed=61)
    assert words.status_text(done) == "Done in 1 min 1 s (2 steps)."
    assert (
        words.status_text(dataclasses.replace(done, total_steps=1)) == "Done in 1 min 1 s (1 step)."
    )
    running = dataclasses.replace(frame, done=False, step=1, eta=7.2)
    assert words.status_text(running) == "8 s left · step 1"
    assert words.stopped_text(running) == "Stopped at step 1; the picture is kept."
    assert words.turn_over_text(running).startswith(words.stopped_text(running))
    assert "10-minute limit reached. Press **Continue** to keep painting." in words.turn_over_text(
        running
    )
    first = dataclasses.replace(frame, done=False, step=0, eta=None, stage="preview")
    assert words.status_text(first) == "A first look; painting begins …"


def test_what_memory_forced_is_told(frame):
    plan = dataclasses.replace(frame.plan, notice="Free memory is short: painted in tiles.")
    told = words.status_text(dataclasses.replace(frame, plan=plan, elapsed=1))
    assert told == "Done in 1 s (2 steps). Free memory is short: painted in tiles."


def test_who_waits_is_told_how_long():
    assert words.waiting_text(Place(1, 7.2)).endswith(": 1 picture ahead of yours, about 8 s")
    assert words.waiting_text(Place(3, 60)).endswith(": 3 pictures ahead of yours, about 1 min 0 s")


def test_plot_leaves_out_terms_of_zero():
    history = LossHistory()
    assert history.table() is None
    history.add(1, {"total": 1000.0, "tv": 0.0})
    rows = history.table().to_dict("records")
    assert rows == [{"step": 1, "term": "total", "loss": pytest.approx(3)}]


def test_the_plot_names_terms_in_plain_words():
    history = LossHistory()
    history.add(1, {"content": 1.0, "tv": 1.0, "of another's own": 1.0})
    assert list(history.table()["term"]) == ["photo", "smoothness", "of another's own"]


def test_a_long_run_has_a_plot_of_bounded_size():
    """Evenly thinned out, with its first step and its last."""
    history = LossHistory()
    for step in range(1, 5001):
        history.add(step, {"total": float(step)})
        assert len(history.table()) <= words.MAX_POINTS
        assert history.table()["step"].iloc[-1] == step
    steps = history.table()["step"].to_numpy()
    assert steps[0] == 1
    assert len(steps) > words.MAX_POINTS / 2
    assert len(set(np.diff(steps[:-1]))) == 1


def test_notices_hold_no_markup():
    assert words.plain('no <img src="x"> & "it\'s"') == 'no ‹img src="x"› & "it\'s"'
