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
    monkeypatch.setattr(forecast, "trial_seconds", lambda: 0.0)
    return probe(clips.write(tmp_path / "a.mp4", clips.moving(castle_512, 13, (96, 64))))


def seconds(clip, settings=SETTINGS, quality="quick") -> float:
    return forecast.expected_seconds(clip, settings, QUALITIES[quality]) / (96 * 64)


def test_key_frames_count_with_their_steps_after_the_first(clip):
    first = seconds(replace(clip, seconds=1 / 12))
    assert 0 < first <= 20
    for quality, keys in (("quick", 4), ("full", 12)):
        expected = keys * (QUALITIES[quality].steps + 2) * (0.77 + 18_000 / (96 * 64))
        assert seconds(clip, quality=quality) - first == pytest.approx(expected)


def test_every_frame_counts_besides(clip, monkeypatch):
    steps, short = seconds(clip), replace(clip, seconds=1 / 12)
    alone = seconds(short)
    monkeypatch.setattr(forecast, "trial_seconds", lambda: 128 * 192.0)
    monkeypatch.setattr(forecast, "COMPILING_TRIALS", 0)
    assert seconds(clip) - steps == pytest.approx(2.2 * 13)
    assert seconds(short) - alone == pytest.approx(2.2)


@pytest.mark.parametrize(("warm", "compiled"), [(True, 1), (False, 3)])
def test_what_was_compiled_is_not_compiled_again(clip, monkeypatch, warm, compiled):
    before = forecast.expected_seconds(clip, SETTINGS, QUALITIES["quick"])
    monkeypatch.setattr(forecast, "is_warm", lambda: warm)
    monkeypatch.setattr(forecast, "trial_seconds", lambda: 1.0)
    monkeypatch.setattr(forecast, "FRAME_TRIALS", 0)
    after = forecast.expected_seconds(clip, SETTINGS, QUALITIES["quick"])
    assert after - before == pytest.approx(180 * compiled)


def test_the_trial_measures_this_machine():
    forecast.trial_seconds.cache_clear()
    assert 0 < forecast.trial_seconds() < 10
    assert forecast.trial_seconds.cache_info().currsize == 1


def test_a_clip_that_does_not_tell_its_length_has_none(clip):
    unknown = replace(clip, seconds=0.0)
    assert forecast.expected_seconds(unknown, SETTINGS, QUALITIES["quick"]) is None
