"""What a visitor reads, in the language of the browser: a file for each, `en.toml` and the others.

What settings, presets and choices are called in English stands where they are defined, for the
command line as well; so do the sentences of errors. The other languages have these here.
"""

from __future__ import annotations

import string
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nst_core.engine.choices import CHOICES
from nst_core.errors import NSTError
from nst_core.films.painter import QUALITIES
from nst_core.presets import PRESETS
from nst_core.sentence import Sentence
from nst_core.settings import SPECS
from page import gradio_inside

FOLDER = Path(__file__).parent
ENGLISH = "en"  # of whoever asks for no language that is here


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """The texts of a file by their keys, like "stage.film"."""
    texts: dict[str, str] = {}
    for name, value in tree.items():
        texts |= (
            _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
        )
    return texts


def _defined() -> dict[str, str]:
    """The English texts that stand where what they name is defined."""
    texts: dict[str, str] = {}
    for name, spec in SPECS.items():
        texts |= {f"settings.{name}.label": spec.label, f"settings.{name}.help": spec.help}
    for field, table in {**CHOICES, "quality": QUALITIES}.items():
        texts |= {
            f"choices.{field}.{name}": getattr(one, "label", name) for name, one in table.items()
        }
    return texts | {f"presets.{name}.label": preset.label for name, preset in PRESETS.items()}


_FILES = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in FOLDER.glob("*.toml")}

# Of each language, the sentences of errors by the English ones.
SENTENCES: dict[str, dict[str, str]] = {
    language: tree.pop("sentences", {}) for language, tree in _FILES.items()
}
# And all other texts by their keys.
TEXTS: dict[str, dict[str, str]] = {language: _flat(tree) for language, tree in _FILES.items()}
OWN_ENGLISH = TEXTS[ENGLISH]
TEXTS[ENGLISH] = _defined() | OWN_ENGLISH
LANGUAGES = (ENGLISH, *sorted(set(TEXTS) - {ENGLISH}))


def fields(text: str) -> set[str]:
    """The names of what is put into a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def check(language: str) -> None:
    """Raise `ValueError` for a language that lacks a text, has an unknown one, or other fields."""
    english, texts = TEXTS[ENGLISH], TEXTS[language]
    wrong = (set(OWN_ENGLISH) - set(texts)) | (set(texts) - set(english))
    wrong |= {
        key for key in set(texts) & set(english) if fields(texts[key]) != fields(english[key])
    }
    wrong |= {one for one, other in SENTENCES[language].items() if fields(one) != fields(other)}
    if wrong:
        raise ValueError(f"page/texts/{language}.toml differs from English in: {sorted(wrong)}")


for _language in LANGUAGES:
    check(_language)


# --- Which language -----------------------------------------------------------------------------


def best(accepted: str) -> str:
    """The first language of an Accept-Language header that is here, else English."""
    wanted = (part.split(";")[0].split("-")[0].strip().lower() for part in accepted.split(","))
    return next((language for language in wanted if language in TEXTS), ENGLISH)


def language() -> str:
    """The language of the event that is answered, or else of what is done inside of `speaking`."""
    accepted = gradio_inside.accepted_languages()
    return gradio_inside.LANGUAGE.get() if accepted is None else best(accepted)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """What is said inside is in this language."""
    before = gradio_inside.LANGUAGE.set(language)
    try:
        yield
    finally:
        gradio_inside.LANGUAGE.reset(before)


# --- Texts --------------------------------------------------------------------------------------


class Spoken(string.Formatter):
    """Puts values into a text, fractions with the decimal point or comma of the language."""

    def format_field(self, value: Any, spec: str) -> Any:
        """A value as text."""
        text = super().format_field(value, spec)
        return text.replace(".", say("numbers.point")) if isinstance(value, float) else text


SPOKEN = Spoken()


def say(key: str, **values: Any) -> str:
    """A text in the language of now; what only English has so far is said in English."""
    text = TEXTS[language()].get(key) or TEXTS[ENGLISH][key]
    return SPOKEN.format(text, **values) if values else text


def name_of(group: str, name: str) -> str:
    """What one of a group is called; one that was added since is called as it is in the code."""
    key = f"{group}.{name}"
    return say(key) if key in TEXTS[ENGLISH] else name


def count(key: str, number: int, **values: Any) -> str:
    """A text that has another one, `..._one`, for the number 1."""
    return say(f"{key}_one", **values) if number == 1 else say(key, count=number, **values)


def retell(error: Exception) -> str:
    """What an error says, in the language of now."""
    return translated(error.sentence if isinstance(error, NSTError) else str(error))


def translated(text: str) -> str:
    """A sentence of `nst_core` in the language of now; any other text stays as it is."""
    if not isinstance(text, Sentence):
        return text
    values = {name: _value(name, value) for name, value in text.values.items()}
    return SPOKEN.format(SENTENCES[language()].get(text.template, text.template), **values)


def _value(name: str, value: Any) -> Any:
    """A part of a sentence; a setting is called as the page calls it, but not to other programs."""
    if name == "setting" and gradio_inside.accepted_languages():
        return TEXTS[language()].get(f"settings.{value}.label", value)
    return translated(value) if isinstance(value, str) else value
