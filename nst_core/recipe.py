"""The recipe of a picture: all that is needed to paint it again, kept inside its PNG.

It is data and nothing else: reading one opens no file it names and evaluates nothing in it, and the
settings in it pass through the same checks as any others.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nst_core import __version__, images
from nst_core.images import ImageError, ImageSource
from nst_core.settings import Settings, SettingsError

KEY = "neural-style-transfer"  # of the text in the PNG
LIBRARIES = ("tensorflow", "keras", "numpy", "pillow")  # whose versions may change the picture
FORMAT = 1


@dataclass(frozen=True)
class Source:
    """A picture that was used, without its pixels."""

    name: str  # of its file, without the folder; empty for an array
    sha256: str  # of the file's bytes, or of the array's
    weight: float = 1.0  # among several paintings


@dataclass(frozen=True)
class Stretch:
    """What went before a stop, when a picture was gone on with."""

    settings: Settings
    steps: int  # done when it was stopped, since the beginning


@dataclass(frozen=True)
class Recipe:
    """What was painted from what, how, and with which versions."""

    settings: Settings
    content: Source
    style: tuple[Source, ...]
    versions: dict[str, str]
    blend: float = 1.0  # share of the painted picture; the rest is the photo
    before: tuple[Stretch, ...] = ()  # the `settings` are those of the last stretch

    def to_json(self) -> str:
        values = {
            "format": FORMAT,
            "settings": self.settings.to_dict(),
            "content": dataclasses.asdict(self.content),
            "style": [dataclasses.asdict(source) for source in self.style],
            "versions": self.versions,
            "blend": self.blend,
            "before": [
                {"settings": stretch.settings.to_dict(), "steps": stretch.steps}
                for stretch in self.before
            ],
        }
        return json.dumps(values, ensure_ascii=True, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The opposite of `to_json`; anything else raises `SettingsError`."""
        try:
            values = json.loads(text)
            if values["format"] != FORMAT:
                raise SettingsError(
                    f"The recipe has format {values['format']!r}; this version reads {FORMAT}."
                )
            if not values["style"]:
                raise ValueError("a recipe names one painting or more")
            return cls(
                Settings.from_dict(values["settings"]),
                _source(values["content"]),
                tuple(_source(source) for source in values["style"]),
                {str(name): str(version) for name, version in values["versions"].items()},
                _share(values["blend"]),
                tuple(_stretch(stretch) for stretch in values["before"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            if isinstance(error, SettingsError):
                raise
            raise SettingsError("The recipe is damaged: it cannot be read as one.") from error


def make(
    content: ImageSource,
    style: ImageSource | Sequence[tuple[ImageSource, float]],
    settings: Settings,
) -> Recipe:
    """The recipe of a run, from what `transfer.stream` was given."""
    pairs: Any = style if isinstance(style, (list, tuple)) else [(style, 1.0)]
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return Recipe(
        settings,
        _describe(content, 1.0),
        tuple(_describe(source, weight) for source, weight in pairs),
        {"neural-style-transfer": __version__, **versions},
    )


def read(path: str | os.PathLike[str]) -> Recipe:
    """The recipe inside a PNG.

    Raises:
        ImageError: not a picture, or one without a recipe.
        SettingsError: the recipe is damaged, or asks for what does not exist.
    """
    text = images.read_notes(path).get(KEY)
    if text is None:
        raise ImageError(
            f"{Path(path).name!r} holds no recipe; only a PNG saved by this program, as it was "
            "written, has one."
        )
    return Recipe.from_json(text)


def _describe(source: ImageSource, weight: float) -> Source:
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        return Source(path.name, hashlib.sha256(path.read_bytes()).hexdigest(), weight)
    pixels = np.ascontiguousarray(np.asarray(source))
    return Source("", hashlib.sha256(pixels.tobytes()).hexdigest(), weight)


def _share(value: Any) -> float:
    share = float(value)
    if not 0 <= share <= 1:
        raise ValueError("a share lies between 0 and 1")
    return share


def _stretch(values: Any) -> Stretch:
    return Stretch(Settings.from_dict(values["settings"]), int(values["steps"]))


def _source(values: Any) -> Source:
    source = Source(**values)
    if not (isinstance(source.name, str) and isinstance(source.sha256, str)):
        raise TypeError("a source's name and checksum are texts")
    return dataclasses.replace(source, weight=float(source.weight))
