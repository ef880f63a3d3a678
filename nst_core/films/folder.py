"""What a film that was begun needs to be gone on with, in a folder beside it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from nst_core.engine.job import Follows
from nst_core.engine.plan import Plan
from nst_core.errors import FilmError, SettingsError
from nst_core.files import write_whole
from nst_core.pictures import images
from nst_core.recipe import Recipe

ENDING = ".parts"  # behind the film's name
RECORD = "film.json"


@dataclass(frozen=True)
class Folder:
    """The folder of one film.

    Args:
        path: may not be there yet.
        made: of what the film is painted; with its plan where the film was begun.
        quality: its name.
    """

    path: Path
    made: Recipe
    quality: str

    @classmethod
    def beside(cls, film: Path, made: Recipe, quality: str, overwrite: bool) -> Folder:
        """That of a film; one that is there is gone on with if it is the same film.

        Raises `FilmError` where another film is, or was begun, unless it is to be overwritten.
        """
        path = film.with_name(film.name + ENDING)
        if film.is_dir() or not film.parent.is_dir():
            raise FilmError(
                f"{str(film)!r} cannot be written: give a file in a folder that exists."
            )
        if overwrite:
            shutil.rmtree(path, ignore_errors=True)
            return cls(path, made, quality)
        if path.exists():
            return cls(path, _same(path, made, quality), quality)
        if film.exists():
            raise FilmError(f"{film.name!r} exists; give another name, or overwrite it.")
        return cls(path, made, quality)

    def keep(self, plan: Plan) -> None:
        """Note what is painted, before the first frame is."""
        self.path.mkdir(exist_ok=True)
        record = {"quality": self.quality, "recipe": replace(self.made, plan=plan).to_json()}
        write_whole(json.dumps(record).encode(), self.path / RECORD)

    def clear(self) -> None:
        """Remove it and all that is in it."""
        shutil.rmtree(self.path)

    # --- Pictures ---

    def key(self, number: int) -> np.ndarray | None:
        """The raw picture of a key frame, uint8 [H, W, 3]; None where there is none."""
        return _load(self._key(number))

    def keep_key(self, number: int, picture: np.ndarray) -> None:
        images.save(Image.fromarray(picture), self._key(number))

    def drop_keys(self, before: int) -> None:
        """Forget the key frames before this one."""
        for file in self.path.glob("key-*.png"):
            if file.name < self._key(before).name:
                file.unlink()

    def look(self, number: int) -> Follows | None:
        """What the colours of the shot that begins so are matched by; None if there is none."""
        found = [_load(file) for file in self._look(number)]
        photo, painted = found
        return None if photo is None or painted is None else Follows(photo, painted)

    def keep_look(self, number: int, look: Follows) -> None:
        for picture, file in zip((look.photo, look.painted), self._look(number), strict=True):
            images.save(Image.fromarray(picture), file)

    def _key(self, number: int) -> Path:
        return self.path / f"key-{number:06}.png"

    def _look(self, number: int) -> tuple[Path, Path]:
        return tuple(self.path / f"look-{number:06}-{of}.png" for of in ("photo", "painted"))  # type: ignore[return-value]


def _same(path: Path, made: Recipe, quality: str) -> Recipe:
    """The recipe of a film that was begun, if that is the same one."""
    try:
        record = json.loads((path / RECORD).read_bytes())
        begun = Recipe.from_json(record["recipe"])
        is_same = record["quality"] == quality and begun.is_same_picture(made)
    except (OSError, ValueError, KeyError, TypeError, SettingsError):
        is_same = False
    if not is_same:
        raise FilmError(
            f"Another film was begun in {path.name!r}, of another clip or painting or with other "
            "settings; remove it, give another name, or overwrite it."
        )
    return begun


def _load(file: Path) -> np.ndarray | None:
    return np.asarray(Image.open(file)) if file.exists() else None
