"""What the page says."""

from __future__ import annotations

import pytest

from page import words


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (7.2, "8 s"), (60, "1 min 0 s"), (125, "2 min 5 s")]
)
def test_seconds_in_words(seconds, text):
    assert words.seconds_text(seconds) == text


def test_plot_leaves_out_terms_of_zero():
    assert words.plot_data([]) is None
    table = words.plot_data([(1, "total", 1000.0), (1, "tv", 0.0)])
    assert table.to_dict("records") == [{"step": 1, "term": "total", "loss": pytest.approx(3)}]


def test_notices_hold_no_markup():
    assert words.plain('no <img src="x"> & "it\'s"') == 'no ‹img src="x"› & "it\'s"'
