"""The recipe of a picture: all that is needed to paint it again, kept inside its PNG.

It is data and nothing else: reading one opens no file it names and evaluates nothing in it, and the
settings in it pass through the same checks as any others.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import importlib.metadata
import io
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nst_core.engine.plan import Plan
from nst_core.errors import ImageError, SettingsError
from nst_core.pictures import images
from nst_core.pictures.images import ImageSource
from nst_core.pictures.regions import MAX_PAINTINGS, Style, StyleSource, as_styles
from nst_core.settings import Settings
from nst_core.version import __version__

KEY = "neural-style-transfer"  # of the text in the PNG
LIBRARIES = ("tensorflow", "keras", "numpy", "pillow")  # whose versions may change the picture
FORMAT = 2
READABLE_FORMATS = (1, 2)  # the first had no plan
# What recipes of an older format do not hold, because there was nothing else.
MISSING_IN_FORMAT = {1: {"style_loss": "gram", "subject": False}}
MASK_SIDE = 1024  # px; long side of a mask in a recipe


@dataclass(frozen=True)
class Source:
    """A picture that was used, without its pixels."""

    name: str  # of its file, without the folder; empty for an array
    sha256: str  # of the file's bytes, or of the array's
    weight: float = 1.0  # among several paintings
    mask: str = ""  # where this painting applies, as `pack` writes it; empty for none


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
    keep: str = ""  # a mask of what stayed as in the photo, like `Source.mask`
    plan: Plan | None = None  # what the run really did; None where that is not known
    canvas: Source | None = None  # the picture that it started from, if one was given

    def styles(self, paintings: Sequence[ImageSource]) -> tuple[list[Style], np.ndarray | None]:
        """Paintings with the weights and masks of this recipe's, in order, and what to keep.

        Raises `SettingsError` when the recipe has another number of paintings.
        """
        if len(paintings) != len(self.style):
            raise SettingsError(
                "The recipe mixes {wanted} paintings, but {given} are given; give {wanted}.",
                wanted=len(self.style),
                given=len(paintings),
            )
        pairs = zip(paintings, self.style, strict=True)
        styles = [Style(image, source.weight, unpack(source.mask)) for image, source in pairs]
        return styles, unpack(self.keep)

    def is_same_picture(self, other: Recipe) -> bool:
        """Whether both describe the same picture: of the same sources, by the same settings.

        What one of them left open is as the plan settled it.
        """
        plan = self.plan or other.plan

        def settled(recipe: Recipe) -> Recipe:
            own = recipe.plan or plan
            settings = own.settle(recipe.settings) if own else recipe.settings
            settings = replace(settings, frame_interval=0)  # it changes no picture
            return replace(recipe, settings=settings, versions={}, plan=None)

        return settled(self) == settled(other)

    def to_json(self) -> str:
        values = {
            "format": FORMAT,
            "settings": self.settings.to_dict(),
            "content": dataclasses.asdict(self.content),
            "style": [dataclasses.asdict(source) for source in self.style],
            "versions": self.versions,
            "blend": self.blend,
            "keep": self.keep,
            "plan": self.plan and self.plan.to_dict(),
            "canvas": self.canvas and dataclasses.asdict(self.canvas),
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
            if values["format"] not in READABLE_FORMATS:
                known = ", ".join(map(str, READABLE_FORMATS))
                raise SettingsError(
                    "The recipe has format {format!r}; this version reads {known}.",
                    format=values["format"],
                    known=known,
                )
            if not 1 <= len(values["style"]) <= MAX_PAINTINGS:
                raise ValueError(f"a recipe names 1 to {MAX_PAINTINGS} paintings")
            of_format = MISSING_IN_FORMAT.get(values["format"], {})
            return cls(
                Settings.from_dict(of_format | values["settings"]),
                _source(values["content"]),
                tuple(_source(source) for source in values["style"]),
                {str(name): str(version) for name, version in values["versions"].items()},
                _share(values["blend"]),
                tuple(_stretch(stretch, of_format) for stretch in values["before"]),
                _packed(values.get("keep", "")),
                Plan.from_dict(values["plan"]) if values.get("plan") is not None else None,
                _source(values["canvas"]) if values.get("canvas") is not None else None,
            )
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            if isinstance(error, SettingsError):
                raise
            raise SettingsError("The recipe is damaged: it cannot be read as one.") from error


def make(
    content: ImageSource,
    style: StyleSource,
    settings: Settings,
    keep: ImageSource | None = None,
    canvas: ImageSource | None = None,
) -> Recipe:
    """The recipe of a run, from what `stream` was given, and raising what that does.

    It gets its plan from the frames: `replace(recipe, plan=frame.plan)`.
    """
    versions = {name: _version(name) for name in LIBRARIES}
    return Recipe(
        settings,
        _describe(content),
        tuple(
            replace(_describe(style.image), weight=float(style.weight), mask=pack(style.mask))
            for style in as_styles(style)
        ),
        {"neural-style-transfer": __version__, **versions},
        keep=pack(keep),
        canvas=None if canvas is None else _describe(canvas),
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
            "{name!r} holds no recipe; only a PNG saved by this program, as it was written, has "
            "one.",
            name=Path(path).name,
        )
    return Recipe.from_json(text)


def pack(mask: ImageSource | None) -> str:
    """A mask as text: a grey PNG of at most `MASK_SIDE` pixels in base64; empty for none."""
    if mask is None:
        return ""
    grey = Image.fromarray(np.rint(images.load_mask(mask) * 255).astype(np.uint8))
    grey.thumbnail((MASK_SIDE, MASK_SIDE))
    buffer = io.BytesIO()
    grey.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def unpack(text: str) -> np.ndarray | None:
    """The mask that `pack` made this text of, uint8 [H, W]; None for none.

    Raises `SettingsError` when it is something else.
    """
    if not text:
        return None
    try:
        with Image.open(
            io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]
        ) as image:
            if max(image.size) > MASK_SIDE:
                raise ValueError("larger than any that was packed")
            return np.asarray(image.convert("L"))
    except Exception as error:  # Pillow raises whatever the bytes lead it to
        raise SettingsError("The recipe is damaged: a mask in it cannot be read.") from error


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # installed under another name
        return "unknown"


def _describe(source: ImageSource) -> Source:
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if not path.is_file():
            raise ImageError("There is no picture file {path!r}.", path=str(path))
        with path.open("rb") as file:  # which may be a film
            return Source(path.name, hashlib.file_digest(file, "sha256").hexdigest())
    pixels = np.ascontiguousarray(np.asarray(source))
    return Source("", hashlib.sha256(pixels.tobytes()).hexdigest())


def _share(value: Any) -> float:
    share = float(value)
    if not 0 <= share <= 1:
        raise ValueError("a share lies between 0 and 1")
    return share


def _stretch(values: Any, missing: dict[str, Any]) -> Stretch:
    return Stretch(Settings.from_dict(missing | values["settings"]), int(values["steps"]))


def _source(values: Any) -> Source:
    source = Source(**values)
    if not (isinstance(source.name, str) and isinstance(source.sha256, str)):
        raise TypeError("a source's name and checksum are texts")
    weight = float(source.weight)
    if not 0 < weight < math.inf:
        raise ValueError("a weight is above 0 and finite")
    return replace(source, weight=weight, mask=_packed(source.mask))


def _packed(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a mask is a text")
    return value
