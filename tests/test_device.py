"""The choice of precision, decided by a trial."""

from __future__ import annotations

import pytest

from nst_core import device
from nst_core.features import PRECISIONS


@pytest.fixture(autouse=True)
def _forget():
    for decided_once in (device.fastest_precision, device.xla_helps):
        decided_once.cache_clear()
    yield
    for decided_once in (device.fastest_precision, device.xla_helps):
        decided_once.cache_clear()


@pytest.mark.parametrize(
    ("float32", "bfloat16", "expected"),
    [(2.0, 1.0, "bfloat16"), (1.0, 0.95, "float32"), (1.0, 9.0, "float32")],
)
def test_bfloat16_is_taken_where_it_is_clearly_faster(float32, bfloat16, expected, monkeypatch):
    seconds = {"float32": float32, "bfloat16": bfloat16}
    monkeypatch.setattr(device, "trial_seconds", seconds.get)
    assert device.fastest_precision() == expected


def test_the_trial_runs_once_and_takes_every_precision(monkeypatch):
    tried = []
    trial = device.trial_seconds
    monkeypatch.setattr(device, "trial_seconds", lambda name: tried.append(name) or trial(name))
    assert device.fastest_precision() in PRECISIONS
    assert device.PRECISION_CHOICES["auto"]() in PRECISIONS
    assert tried == list(PRECISIONS)


def test_choices_name_every_precision():
    assert {name: device.PRECISION_CHOICES[name]() for name in PRECISIONS} == {
        name: name for name in PRECISIONS
    }


def test_the_expected_pace_follows_from_the_trial(monkeypatch):
    """A machine of 100 GFLOP/s, of which a step reaches 70."""
    monkeypatch.setattr(device, "trial_seconds", lambda name: device.TRIAL_FLOP / 100e9)
    assert device.expected_pace("float32") == pytest.approx(1.2e6 / 70e9)


def test_xla_is_only_tried_on_a_gpu(monkeypatch):
    tried = []
    monkeypatch.setattr(device, "trial_seconds", lambda *names, **options: tried.append(names))
    assert device.xla_helps() is False
    assert tried == []
