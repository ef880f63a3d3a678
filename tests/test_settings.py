"""`Settings`: what it accepts, what it refuses and how it says so, and its plain form."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest
from conftest import ROOT

from nst_core import Settings, SettingsError
from nst_core.settings import (
    BRUSHWORK,
    DEFAULT_SIZE,
    DEFAULTS,
    FIXED,
    FREE,
    OBJECTIVE,
    SPECS,
    OnResume,
    parse,
    spell,
)


def test_defaults_are_valid_and_explained():
    Settings()
    for name, spec in SPECS.items():
        assert spec.label, name
        assert spec.help, name
        assert isinstance(spec.on_resume, OnResume), name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", 0),
        ("size", 100_000),
        ("size", 256.5),
        ("size", "256"),
        ("size", True),
        ("steps", 0),
        ("steps", float("nan")),
        ("steps", float("inf")),
        ("steps", 10**400),
        ("seed", -1),
        ("learning_rate", float("nan")),
        ("learning_rate", -1.0),
        ("content_weight", "much"),
        ("style_weight", float("-inf")),
        ("enlarge", 1),
        ("enlarge", "no"),
        ("optimizer", 3),
        ("optimizer", None),
        ("style_layers", ()),
        ("style_layers", "block1_conv1"),
        ("style_layers", {"block1_conv1": -1.0}),
        ("style_layers", {"block1_conv1": float("nan")}),
        ("style_layers", [("block1_conv1", 1.0), ("block1_conv1", 1.0)]),
        ("style_layers", 5),
        ("weights", 5),
    ],
)
def test_a_bad_value_is_refused_by_name(name, value):
    with pytest.raises(SettingsError, match=name):
        Settings(**{name: value})


def test_the_error_says_what_arrived_and_what_is_needed():
    with pytest.raises(SettingsError, match=r"size is 7, but it must be between 64 and 4096 px"):
        Settings(size=7)


def test_whole_numbers_may_arrive_as_floats():
    assert Settings(size=256.0).size == 256
    assert isinstance(Settings(size=256.0).size, int)
    assert isinstance(Settings(style_weight=2).style_weight, float)


def test_a_size_that_is_left_open_is_not_a_size_that_was_asked_for():
    assert Settings().size is None
    assert Settings(size=DEFAULT_SIZE) != Settings()
    assert SPECS["size"].usual == DEFAULT_SIZE  # for a control that cannot be empty


def test_settings_cannot_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().size = 128  # type: ignore[misc]


def test_plain_form_survives_json():
    settings = Settings(size=128, learning_rate=0.5, style_layers={"block2_conv1": 0.5})
    assert Settings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


def test_unknown_name_is_refused():
    with pytest.raises(SettingsError, match="colour"):
        Settings.from_dict({"colour": 1})


@pytest.mark.parametrize("name", SPECS)
def test_every_default_survives_being_spelled(name):
    assert parse(name, spell(DEFAULTS[name])) == DEFAULTS[name]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (30.0, "30"),
        (1e-08, "1e-08"),
        ((("a", 0.5), ("b", 1.0)), "a=0.5, b=1"),
    ],
)
def test_values_are_spelled_as_people_write_them(value, text):
    assert spell(value) == text


def test_layers_are_read_by_name_or_one_by_one():
    assert parse("style_layers", "bold shapes") == BRUSHWORK["bold shapes"]
    assert parse("style_layers", "a=0.5 , b") == (("a", 0.5), ("b", 1.0))
    assert parse("style_layers", "") is None


def test_an_unknown_field_cannot_be_parsed():
    with pytest.raises(SettingsError, match="Unknown setting: magic"):
        parse("magic", "1")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("size", "big"),
        ("size", "1.5"),
        ("style_layers", "a=b"),
        ("style_layers", "a, ,b=1"),
        ("style_layers", "a="),
        ("seed", ""),
        ("enlarge", "1"),
    ],
)
def test_text_that_spells_no_value_is_refused(name, text):
    with pytest.raises(SettingsError, match=name):
        parse(name, text)


@pytest.mark.parametrize("module", ["settings", "errors", "stop"])
def test_what_everybody_imports_needs_the_standard_library_only(module):
    code = (
        "import sys, types; package = types.ModuleType('nst_core');"
        "package.__path__ = ['nst_core']; sys.modules['nst_core'] = package;"
        f"import nst_core.{module};"
        "print(sorted({m.split('.')[0] for m in sys.modules} - set(sys.stdlib_module_names)))"
    )
    output = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert output.stdout.strip() == "['__main__', 'nst_core']", output


# --- Going on with other settings ---------------------------------------------------------------

BEGUN = Settings(size=96, seed=3, init="noise", enlarge=True, stylizer="net", steps=7, strength=0.2)


def test_changes_are_told_by_what_they_mean_for_a_picture_that_is_gone_on_with():
    other = Settings(size=96, seed=3, init="grey", stylizer="net", steps=8, strength=0.3)
    assert BEGUN.changed(other, FIXED) == ("init", "enlarge")
    assert BEGUN.changed(other, FREE) == ("steps",)
    assert BEGUN.changed(other, OBJECTIVE) == ("strength",)
    for kind in OnResume:
        assert BEGUN.changed(BEGUN, kind) == ()


def test_settings_to_resume_with_keep_what_cannot_change_and_take_the_rest():
    wanted = Settings(steps=9, strength=0.8, color="linear", style_layers="bold shapes")
    resumed = BEGUN.resumed_with(wanted)
    assert BEGUN.changed(resumed, FIXED) == ()
    for name, spec in SPECS.items():
        source = BEGUN if spec.on_resume is FIXED else wanted
        assert getattr(resumed, name) == getattr(source, name), name
    assert BEGUN.resumed_with(BEGUN) == BEGUN
