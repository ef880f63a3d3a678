"""What a film that was begun needs to be gone on with, in a folder beside it."""

from __future__ import annotations

import glob
import json
import secrets
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nst_core.engine.plan import Plan
from nst_core.errors import ClipError, FilmError, SettingsError
from nst_core.files import replacing, write_whole
from nst_core.films.clip import opened
from nst_core.recipe import Recipe

ENDING = ".parts"  # behind the film's name
RECORD = "film.json"


def is_whole(film: Path) -> bool:
    """Whether a film is there to its end, and not only begun."""
    return film.exists() and not _parts_of(film).exists()


def _parts_of(film: Path) -> Path:
    return film.with_name(film.name + ENDING)


def _remove(path: Path) -> None:
    """Remove a folder with all that is in it; at once, as far as its name tells."""
    gone = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    path.replace(gone)
    shutil.rmtree(gone)


def _sweep(path: Path) -> None:
    """Remove what a kill left of a folder that was being removed."""
    for gone in path.parent.glob(f".{glob.escape(path.name)}-*"):
        shutil.rmtree(gone, ignore_errors=True)


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
        path = _parts_of(film)
        if film.is_dir() or not film.parent.is_dir():
            raise FilmError(
                "{path!r} cannot be written: give a file in a folder that exists.", path=str(film)
            )
        _sweep(path)
        if overwrite:
            if path.exists():
                _remove(path)
            return cls(path, made, quality)
        if (path / RECORD).exists():  # a kill may leave a folder before that
            return cls(path, _same(path, made, quality), quality)
        if film.exists():
            raise FilmError("{name!r} exists; give another name, or overwrite it.", name=film.name)
        return cls(path, made, quality)

    def keep(self, plan: Plan | None = None) -> str:
        """Note what is painted, before the first frame is; returns the note."""
        self.path.mkdir(exist_ok=True)
        made = replace(self.made, plan=plan or self.made.plan)
        note = json.dumps({"quality": self.quality, "recipe": made.to_json()})
        write_whole(note.encode(), self.path / RECORD)
        return note

    def clear(self) -> None:
        """Remove it and all that is in it."""
        _remove(self.path)

    # --- Pictures ---

    def load(self, kind: str, number: int) -> np.ndarray | None:
        """What `save` kept of a frame, under the name of a kind; None where there is nothing."""
        file = self._file(kind, number)
        return np.load(file) if file.exists() else None

    def needed(self, kind: str, number: int) -> np.ndarray:
        """The same; raises `FilmError` where there is nothing."""
        found = self.load(kind, number)
        if found is None:
            raise FilmError(
                "{name!r} is damaged; remove it to begin the film anew.", name=self.path.name
            )
        return found

    def save(self, kind: str, number: int, picture: np.ndarray) -> np.ndarray:
        """Keep a picture, whole or not at all, and return it."""
        with replacing(self._file(kind, number)) as part, part.open("wb") as file:
            np.save(file, picture)
        return picture

    def drop(self, kind: str, before: int) -> None:
        """Forget what is kept of this kind of frames before this one."""
        for file in self.path.glob(f"{kind}-*.npy"):
            if file.name < self._file(kind, before).name:
                file.unlink()

    def _file(self, kind: str, number: int) -> Path:
        return self.path / f"{kind}-{number:06}.npy"


def _same(path: Path, made: Recipe, quality: str) -> Recipe:
    """The recipe of a film that was begun, if that is the same one."""
    try:
        note = (path / RECORD).read_text()
    except ValueError:
        note = ""
    begun = _noted(note, quality)
    if begun is None or not begun.is_same_picture(made):
        raise FilmError(
            "Another film was begun in {name!r}, of another clip or painting or with other "
            "settings; remove it, give another name, or overwrite it.",
            name=path.name,
        )
    return begun


def holds(film: Path, made: Recipe, quality: str) -> bool:
    """Whether a film's own note says that it is this one."""
    try:
        with opened(film) as container:
            found = _noted(container.metadata.get("comment", ""), quality)
    except ClipError:
        return False
    return found is not None and found.is_same_picture(made)


def _noted(note: str, quality: str) -> Recipe | None:
    """The recipe in a note; None for one of another quality, or what is no note."""
    try:
        record = json.loads(note)
        return Recipe.from_json(record["recipe"]) if record["quality"] == quality else None
    except (ValueError, KeyError, TypeError, SettingsError):
        return None
