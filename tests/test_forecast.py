"""The forecast of a film: what it grows with, and where there is none."""

from __future__ import annotations

from dataclasses import replace

import clips
import pytest

from nst_core import Settings
from nst_core.films import forecast
from nst_core.films.clip import probe
from nst_core.films.painter import QUALITIES

SETTINGS = Settings(size=96, steps=20, precision="float32")


@pytest.fixture
def clip(tmp_path, castle_512, monkeypatch):
    """A clip of 13 frames; a step takes as many seconds as it has pixels."""
    monkeypatch.setattr(forecast, "expected_pace", lambda *_: 1.0)
    monkeypatch.setattr(forecast, "FRAME_PACE", 0.0)
    return probe(clips.write(tmp_path / "a.mp4", clips.moving(castle_512, 13, (96, 64))))


def seconds(clip, settings=SETTINGS, quality="quick") -> float:
    return forecast.expected_seconds(clip, settings, QUALITIES[quality]) / (96 * 64)


def test_key_frames_count_with_their_steps_after_the_first(clip):
    first = seconds(replace(clip, seconds=1 / 12))
    assert 0 < first <= 20
    assert seconds(clip) - first == pytest.approx(2 * QUALITIES["quick"].steps)
    full = 12 * QUALITIES["full"].steps
    assert seconds(clip, quality="full") - first == pytest.approx(full)


def test_every_frame_counts_besides(clip, monkeypatch):
    before = seconds(clip)
    monkeypatch.setattr(forecast, "FRAME_PACE", 2.0)
    assert seconds(clip) - before == pytest.approx(2 * 13)


def test_a_clip_that_does_not_tell_its_length_has_none(clip):
    unknown = replace(clip, seconds=0.0)
    assert forecast.expected_seconds(unknown, SETTINGS, QUALITIES["quick"]) is None
