"""Controls, parameters and addresses: all from `Settings`, and back again."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from nst_core import Settings, SettingsError
from nst_core.presets import PRESETS
from nst_core.settings import SPECS
from page import controls

MANY = [
    Settings(size=512),
    *(preset.settings for preset in PRESETS.values()),
    Settings(size=64, learning_rate=1e-12, enlarge=True, strength=0.35, time_budget=12.5, seed=7),
    Settings(size=2048, style_layers={"block2_conv2": 1.5}, pooling="average", frame_interval=0),
]


@pytest.mark.parametrize("settings", MANY)
def test_settings_shown_are_read_as_the_same(settings):
    assert controls.read(controls.show(settings)) == settings


def test_controls_begin_with_the_defaults_and_512_px():
    """A slider cannot be empty, as the size may be."""
    made = [controls.make(name) for name in controls.NAMES]
    assert controls.read([control.value for control in made]) == Settings(size=512)
    assert controls.show(Settings()) == controls.show(Settings(size=512))


def test_other_programs_may_leave_the_size_open():
    values = dict(zip(controls.NAMES, controls.show(Settings()), strict=True)) | {"size": None}
    assert controls.read(values.values()) == Settings()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"size": 2049}, "size is 2049, but it must be at most 2048 px here"),
        ({"frame_interval": 3600}, "frame_interval is 3600.0, but it must be at most 1 s here"),
        ({"frame_interval": 1.1}, "frame_interval is 1.1, but it must be at most 1 s here"),
    ],
)
def test_visitors_may_ask_for_less_than_the_machine_can_do(changed, message):
    settings = Settings(**changed)
    with pytest.raises(SettingsError, match=message):
        controls.read(controls.show(settings))
    query = dict(parse_qsl(controls.to_query({}, settings)))
    with pytest.raises(SettingsError, match=message):
        controls.from_query(query)


def test_no_control_reaches_beyond_what_visitors_may_ask_for():
    for name, maximum in controls.MAX.items():
        assert controls.make(name).maximum == maximum


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
    """Nor decide on its memory."""
    local = {"lbfgs_memory", "network", "stylizer", "tile", "weights"}
    assert local <= set(SPECS)
    assert not local & set(controls.NAMES)
