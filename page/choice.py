"""What a visitor has chosen, and the order in which its fields stand on the page and in the API."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nst_core import ImageError, Settings, Style
from nst_core.engine.choices import CHOICES
from nst_core.pictures.regions import MAX_PAINTINGS
from nst_core.presets import PRESETS
from nst_core.sentence import Sentence
from nst_core.settings import SPECS, one_of, spell, unwanted
from page import controls

NUMBERS = range(1, MAX_PAINTINGS + 1)
STYLES = ("style", *(f"style_{number}" for number in NUMBERS[1:]))
PICTURES = ("content", *STYLES)
WEIGHTS = tuple(f"weight_{number}" for number in NUMBERS)
MASKS = (*(f"mask_{number}" for number in NUMBERS), "keep")

# The fields besides photo, first painting and settings, with what they begin with and what they
# are.
MORE: dict[str, tuple[Any, str]] = {
    **{name: (None, f"painting {name[-1]}, mixed with the others") for name in STYLES[1:]},
    **{name: (1.0, f"how much painting {name[-1]} counts beside the others") for name in WEIGHTS},
    **{
        name: (None, f"a picture that is white where painting {name[-1]} applies")
        for name in MASKS[:-1]
    },
    "keep": (None, "a picture that is white where the photo stays as it is"),
}

# All fields, in the order of the endpoint's parameters; whatever passes a choice on in a row has
# these, or some of them.
FIELDS = ("content", "style", *controls.NAMES, *MORE)

# What the endpoint that paints takes: a preset may be named besides.
STYLIZE = (*FIELDS, "preset")

# Those of them that are no settings.
NOT_SETTINGS = ("content", "style", *MORE)

# Those that a first look takes.
PREVIEW = ("content", "style", "size", *MORE)


@dataclass(frozen=True)
class Choice:
    """What is to be painted: files of pictures and masks, as far as they were chosen, and how."""

    content: str | None = None
    styles: tuple[str | None, ...] = (None,) * MAX_PAINTINGS
    weights: tuple[float, ...] = (1.0,) * MAX_PAINTINGS
    masks: tuple[str | None, ...] = (None,) * MAX_PAINTINGS  # of the paintings
    keep: str | None = None  # the mask of what stays as in the photo
    settings: Settings = field(default_factory=Settings)

    @classmethod
    def from_row(cls, values: Sequence[Any], fields: Sequence[str] = FIELDS) -> Choice:
        """A choice from the values of `fields`; those left out at the end begin with their default.

        Raises `SettingsError` for settings that are impossible.
        """
        given = dict(zip(fields, values, strict=False))
        names = [name for name in controls.NAMES if name in given]
        settings = controls.read([given[name] for name in names], names)
        return cls.of(given, settings)

    @classmethod
    def of(cls, given: dict[str, Any], settings: Settings) -> Choice:
        """A choice from what is given by the names of `NOT_SETTINGS`, and settings."""
        values = {name: default for name, (default, _) in MORE.items()} | given
        *masks, keep = (values[name] for name in MASKS)
        return cls(
            content=values.get("content"),
            styles=tuple(values.get(name) for name in STYLES),
            weights=tuple(values[name] for name in WEIGHTS),
            masks=tuple(masks),
            keep=keep,
            settings=settings,
        )

    def to_row(self, fields: Iterable[str] = FIELDS) -> list[Any]:
        """The values of `fields`, the opposite of `from_row`."""
        values = self._not_settings() | dict(
            zip(controls.NAMES, controls.show(self.settings), strict=True)
        )
        return [values[name] for name in fields]

    def _not_settings(self) -> dict[str, Any]:
        """The values of `NOT_SETTINGS`, by name."""
        return {
            "content": self.content,
            **dict(zip(STYLES, self.styles, strict=True)),
            **dict(zip(WEIGHTS, self.weights, strict=True)),
            **dict(zip(MASKS, (*self.masks, self.keep), strict=True)),
        }

    @property
    def style(self) -> str | None:
        """The first painting."""
        return self.styles[0]

    @property
    def files(self) -> tuple[str | None, ...]:
        """All files that are named."""
        return (self.content, *self.styles, *self.masks, self.keep)

    def still_there(self) -> Choice:
        """The same choice without the files that were cleaned away since."""
        values = {
            name: None if isinstance(value, str) and not Path(value).exists() else value
            for name, value in self._not_settings().items()
        }
        return self.of(values, self.settings)

    def photo_and_painting(self) -> tuple[str, str]:
        """The least that can be painted; raises `ImageError` when one of them is missing."""
        if self.content is None:
            raise ImageError("Choose a photo first.")
        if self.style is None:
            raise ImageError("Choose a painting first.")
        return self.content, self.style

    def paintings(self) -> list[Style]:
        """The paintings that were chosen, with their weights and masks.

        Raises `ImageError` for a mask whose painting is missing.
        """
        found = []
        for number, painting, weight, mask in zip(
            NUMBERS, self.styles, self.weights, self.masks, strict=True
        ):
            if painting is None and mask is not None:
                raise ImageError(
                    "There is a region for painting {number}, but no painting {number}. "
                    "Choose one under “Mix paintings”, or take the region away.",
                    number=number,
                )
            if painting is not None:
                name = Sentence("painting {number}", number=number)
                found.append(Style(painting, weight, mask, name))
        return found

    def with_settings(self, settings: Settings) -> Choice:
        """The same pictures with other settings."""
        return replace(self, settings=settings)


def with_preset(row: Sequence[Any], preset: str | None) -> list[Any]:
    """A row of `FIELDS` whose settings are a preset's where they were left at their defaults.

    Raises `SettingsError` for a preset that does not exist.
    """
    if not preset:
        return list(row)
    if preset not in PRESETS:
        raise unwanted("preset", preset, one_of(PRESETS))
    values = zip(controls.NAMES, controls.show(PRESETS[preset].settings), strict=True)
    own = dict(values)
    return [
        own[name] if name in own and value == controls.initial(name) else value
        for name, value in zip(FIELDS, row, strict=False)
    ]


def describe(function: Callable[..., Any], fields: Iterable[str], returns: Iterable[str]) -> None:
    """Give an endpoint the signature and texts that the API page and the clients show.

    Args:
        fields: of `FIELDS`, the ones that it takes, in their order.
        returns: what it returns.
    """
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters, lines = [], []
    for name in fields:
        default, text = _parameter(name)
        parameters.append(inspect.Parameter(name, kind, default=default))
        lines.append(f"{name}: {text}")
    summary = inspect.cleandoc(function.__doc__ or "").split("\n")[0]
    function.__doc__ = "\n".join([summary, "Args:", *lines, "Returns:", *returns])
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]


def _parameter(name: str) -> tuple[Any, str]:
    """The default of an endpoint's parameter, and what it is."""
    required = {"content": "the photo", "style": "the painting"}
    if name == "preset":
        names = ", ".join(PRESETS)
        return None, f"settings under a name, for those left at their defaults; one of {names}"
    if name in required:
        return inspect.Parameter.empty, required[name]
    if name in MORE:
        return MORE[name]
    default = controls.initial(name)
    choices = f"; one of {', '.join(CHOICES[name])}" if name in CHOICES else ""
    shown = spell(default) if isinstance(default, tuple) else default
    return shown, f"{SPECS[name].help}{choices}"
