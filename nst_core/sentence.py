"""What is told to people, so that others can tell it in their language."""

from __future__ import annotations

from typing import Any


class Sentence(str):
    """An English text that remembers what it was made of.

    Its values may be sentences again. `str`, JSON and whatever else takes it for a text get the
    English one.
    """

    template: str
    values: dict[str, Any]

    def __new__(cls, template: str, **values: Any) -> Sentence:
        """`template` has the names of `values` in braces, as `str.format` reads them."""
        if isinstance(template, Sentence) and not values:
            return template
        sentence = super().__new__(cls, template.format(**values) if values else template)
        sentence.template, sentence.values = str(template), values
        return sentence
