"""Controls, parameters and addresses: all from `Settings`, and back again."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from nst_core import Settings, SettingsError
from nst_core.presets import PRESETS
from nst_core.settings import SPECS
from page import controls

MANY = [
    Settings(),
    *(preset.settings for preset in PRESETS.values()),
    Settings(learning_rate=1e-12, enlarge=True, strength=0.35, time_budget=12.5, seed=7),
    Settings(style_layers={"block2_conv2": 1.5}, pooling="average", frame_interval=0),
]


@pytest.mark.parametrize("settings", MANY)
def test_settings_shown_are_read_as_the_same(settings):
    assert controls.read(controls.show(settings)) == settings


def test_controls_begin_with_the_defaults():
    made = [controls.make(name) for name in controls.NAMES]
    assert controls.read([control.value for control in made]) == Settings()


@pytest.mark.parametrize("settings", MANY)
def test_an_address_holds_settings_and_pictures(settings):
    query = dict(parse_qsl(controls.to_query({"content": "owl", "style": None}, settings)))
    assert query.pop("content") == "owl"
    assert "style" not in query
    assert controls.from_query(query) == settings


def test_an_address_holds_only_what_differs():
    assert controls.to_query({}, Settings()) == ""
    assert controls.to_query({}, Settings(size=384)) == "size=384"


@pytest.mark.parametrize(
    "query",
    [{"size": "huge"}, {"size": "1e9"}, {"magic": "1"}, {"enlarge": "1"}, {"style_layers": "x="}],
)
def test_an_address_with_nonsense_is_a_clear_error(query):
    with pytest.raises(SettingsError):
        controls.from_query(query)


def test_visitors_cannot_name_files_of_this_machine():
    assert "weights" in SPECS
    assert "weights" not in controls.NAMES
