"""Clips of a batch: painted as films here, or shot by shot by others and joined."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

from nst_core import recipe
from nst_core.files import replacing_folder
from nst_core.films.clip import LIMITS, probe
from nst_core.films.cuts import Footage, Shot, look_through
from nst_core.films.folder import Folder, holds, is_whole
from nst_core.films.painter import Film, FilmFrame, settings_for
from nst_core.films.reel import Reel
from nst_core.many.task import Task
from nst_core.stop import StopToken


def is_painted(task: Task) -> bool:
    """Whether the film in the task's place is this one; raises what `Film` does."""
    return holds(task.output, _recipe(task), task.quality)


def film_of(task: Task) -> Film:
    """The film, begun or gone on with; a whole one in its place is replaced."""
    return Film(
        task.content,
        list(task.style),
        task.output,
        task.settings,
        task.quality,
        overwrite=is_whole(task.output),
    )


def paint(task: Task, stop: StopToken | None) -> FilmFrame | None:
    """Paint a film; returns its last frame, or None where it was stopped before."""
    last = deque(film_of(task).paint(stop), maxlen=1)
    return last[0] if last and last[0].done else None


def _recipe(task: Task) -> recipe.Recipe:
    settings = settings_for(probe(task.content), task.settings)
    return recipe.make(task.content, list(task.style), settings)


class Assembly:
    """A clip that is painted shot by shot, in any order, and joined when all shots are there.

    Each shot begins anew, so the film is the one that a single machine would have painted. What is
    there already stays in the film's folder, and is not asked for again after a stop.

    Raises what `Film` does, and `StoppedError`.
    """

    def __init__(self, task: Task, stop: StopToken) -> None:
        self.task, self._clip = task, probe(task.content)
        self._folder = Folder.beside(
            task.output, _recipe(task), task.quality, overwrite=is_whole(task.output)
        )
        self._note = self._folder.keep()
        self.footage: Footage = look_through(self._clip, LIMITS, stop)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the film in pixels."""
        return self._clip.size_at(_recipe(self.task).settings.size or 0)

    def missing(self) -> list[Shot]:
        """The shots that are not there yet."""
        return [shot for shot in self.footage.shots if not self._place(shot).exists()]

    def keep(self, shot: Shot, pieces: Sequence[bytes]) -> None:
        """Take a shot, whole or not at all."""
        with replacing_folder(self._place(shot)) as folder:
            for number, piece in enumerate(pieces):
                (folder / f"{number:06}.nut").write_bytes(piece)

    def join(self) -> None:
        """Write the film, with the clip's sound, once no shot is missing."""
        pieces = [
            piece for shot in self.footage.shots for piece in sorted(self._place(shot).iterdir())
        ]
        reel = Reel(self._folder.path, self._clip, self.footage.times, self._note)
        reel.join(pieces, len(self.footage), self.task.output)
        self._folder.clear()

    def _place(self, shot: Shot) -> Path:
        return self._folder.path / f"shot-{shot.start:06}"
