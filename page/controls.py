"""Settings on the page: their controls, and the page's address.

All of it is derived from `Settings`; a new field there appears here by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from nst_core import Settings
from nst_core.engine.choices import CHOICES
from nst_core.sentence import Sentence
from nst_core.settings import (
    BRUSHWORK,
    DEFAULTS,
    SPECS,
    StyleLayers,
    kind_of,
    parse,
    spell,
    unwanted,
)
from page import gradio_inside
from page.texts import name_of, say

# The fields that a visitor may set, in the order of their controls. Others name files here.
NAMES = [name for name, spec in SPECS.items() if not spec.local]

# What visitors may ask of a machine that they share, where that is less than it can do.
MAX: dict[str, float] = {"size": 2048, "frame_interval": 1.0}

# Those that stand beside the Paint button, those behind "More", and the rest.
FOREMOST = ("strength", "subject")
MORE = ("color", "size", "style_scale")
EXPERT = tuple(name for name in NAMES if name not in FOREMOST + MORE)

# Those that a preset leaves as they are, unless it has its own.
TASTE = ("strength", "color", "style_scale", "feather")


def make(name: str) -> Any:
    """The control for a field. It begins at the default, which clients take as theirs."""
    return gradio_inside.take_anything(_make(name))


def _make(name: str) -> Any:
    spec, value = SPECS[name], initial(name)
    label = say(f"settings.{name}.label")
    common: dict[str, Any] = {
        "label": say("expert.unit", label=label, unit=spec.unit) if spec.unit else label,
        "info": say(f"settings.{name}.help"),
        "elem_id": f"setting-{name}",
    }
    if isinstance(value, bool):
        return gr.Checkbox(value, **common)
    if kind_of(name) == StyleLayers:
        brushwork, chosen = choices(name, BRUSHWORK), spell(value) or None
        return gr.Dropdown(brushwork, value=chosen, allow_custom_value=True, **common)
    if _is_text(name):  # an empty `gr.Number` would arrive as 0
        return gr.Textbox(spell(value) or None, placeholder=say("expert.empty"), **common)
    if name in CHOICES:
        return gr.Dropdown(choices(name, CHOICES[name]), value=value, **common)
    limits: dict[str, Any] = {"minimum": spec.minimum, "maximum": MAX.get(name, spec.maximum)}
    if spec.step is not None:
        return gr.Slider(value=value, step=spec.step, **limits, **common)
    precision = 0 if isinstance(value, int) else None
    return gr.Number(value, precision=precision, **limits, **common)


def choices(field: str, names: Iterable[str]) -> list[tuple[str, str]]:
    """The names of a field's choices, each after its label."""
    return [(name_of(f"choices.{field}", name), name) for name in names]


def read(values: Iterable[Any], names: Iterable[str] = NAMES) -> Settings:
    """`Settings` from the values of the controls of `names`; those left out are the default."""
    given = dict(zip(names, values, strict=False))
    texts = {name: value for name, value in given.items() if isinstance(value, str)}
    return _checked(Settings(**given | {name: parse(name, text) for name, text in texts.items()}))


def _checked(settings: Settings) -> Settings:
    for name, maximum in MAX.items():
        if (getattr(settings, name) or 0) > maximum:
            wanted = Sentence(
                "at most {maximum:g} {unit} here; the command line takes more",
                maximum=maximum,
                unit=SPECS[name].unit,
            )
            raise unwanted(name, getattr(settings, name), wanted)
    return settings


def show(settings: Settings) -> list[Any]:
    """The controls' values for these settings, the opposite of `read`."""
    values = {name: _or_usual(name, getattr(settings, name)) for name in NAMES}
    return [spell(value) if _is_text(name) else value for name, value in values.items()]


def _is_text(name: str) -> bool:
    """Whether the field's control holds a text for `parse` to read."""
    return initial(name) is None or kind_of(name) == StyleLayers


def initial(name: str) -> Any:
    """What the control of a field begins with."""
    return _or_usual(name, DEFAULTS[name])


def _or_usual(name: str, value: Any) -> Any:
    """A value, or for an empty field whose control cannot be empty what that comes to."""
    return SPECS[name].usual if value is None else value


def to_query(others: Mapping[str, Any], settings: Settings) -> str:
    """The query of an address that opens the page with these settings, and with `others`."""
    changed = {
        name: spell(getattr(settings, name))
        for name in NAMES
        if getattr(settings, name) != DEFAULTS[name]
    }
    return urlencode({name: value for name, value in others.items() if value} | changed)


def from_query(query: Mapping[str, str]) -> Settings:
    """The settings that an address asks for; raises `SettingsError`."""
    return _checked(Settings(**{name: parse(name, text) for name, text in query.items()}))
