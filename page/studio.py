"""What visitors have painted, kept between one click and the next, and the files made of it.

The page holds only the name of its painting, a long random one, and so does the visitor's browser.
So a reload or a lost connection loses nothing for six hours, as long as the server runs and not too
many others have painted since.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cachetools import LRUCache, TTLCache
from PIL import Image

from nst_core import Easel, Frame, ImageError, recipe
from nst_core.engine.memory import nbytes
from nst_core.files import write_whole
from nst_core.films.folder import ENDING as PARTS
from nst_core.pictures import film, images
from nst_core.pictures.film import ThinnedFrames
from nst_core.pictures.images import ImageSource, Picture
from nst_core.recipe import Recipe
from page import gradio_inside
from page.choice import Choice
from page.limits import LIMITS, Limits
from page.words import LossHistory

FOLDER = "neural-style-transfer"  # of the visitors' files: whatever else is in it is swept, too

# Files by path and last change, and when `sweep` saw them first, by a clock that never jumps.
_SEEN: dict[tuple[Path, float], float] = {}

FRAME_QUALITY = 85  # of the JPEGs on the way: some 80 kB at 512 px


@dataclass(frozen=True)
class Painting:
    """A picture at one moment, with all that is needed to show it, keep it and go on."""

    name: str  # of the files it is saved as, without the ending
    chosen: Choice  # what it was begun with
    recipe: Recipe
    easel: Easel
    pictures_so_far: ThinnedFrames  # the pictures of its run so far, in the painting's colours
    history: LossHistory
    frame: Frame
    earlier: np.ndarray | None = None  # the picture before this run, of the same photo

    @property
    def photo(self) -> np.ndarray:
        """The photo at the picture's size, uint8 [H, W, 3]."""
        return images.to_uint8(self.easel.photo.rgb)

    @property
    def nbytes(self) -> int:
        """Bytes in memory, but for the optimizer's."""
        frame = self.frame
        shown = nbytes([frame.image, frame.painted, frame.alpha, self.earlier])
        return self.easel.nbytes + self.pictures_so_far.nbytes + shown

    @property
    def color(self) -> str:
        """Whose colours it has, one of `COLOR_MODES`."""
        return self.recipe.settings.color

    def planned(self) -> Painting:
        """The same painting, its recipe with the plan of its frame."""
        plan = self.frame.plan.up_to(self.frame.step)
        made = dataclasses.replace(self.recipe, plan=plan)
        return dataclasses.replace(self, recipe=made)

    def recolored(self, color: str) -> Painting:
        """The same painting in other colours."""
        if color == self.color:
            return self
        settings = dataclasses.replace(self.recipe.settings, color=color)
        return dataclasses.replace(
            self,
            frame=self.easel.recolored(self.frame, color),
            recipe=dataclasses.replace(self.recipe, settings=settings),
        )

    def moments(self) -> Sequence[np.ndarray]:
        """The pictures of its run, in the colours that it has now."""
        return film.Changed(self.pictures_so_far, self._shown)

    def _shown(self, painted: np.ndarray) -> np.ndarray:
        frame = dataclasses.replace(self.frame, painted=painted)
        return self.easel.recolored(frame, self.color).image

    def blended(self, share: float) -> np.ndarray:
        """`share` of the picture over the photo, uint8 [H, W, 3]."""
        return images.blend(self.photo, self.frame.image, share)


class Memories(LRUCache[str, Easel]):
    """Easels with an optimizer's memory, by the names of their paintings; the oldest forget."""

    def popitem(self) -> tuple[str, Easel]:
        """Let the one go that was used longest ago."""
        token, easel = super().popitem()
        easel.forget()
        return token, easel


class Studio:
    """The paintings of all visitors, by their random names; the oldest make room.

    Args:
        picture_bytes: of all paintings together, without the optimizers' memories.
        memory_bytes: of all of these; only those who press Continue have any use for them, and the
            others go on from their picture alone, so these go first.
        max_age: seconds that a painting stays after its last change.
    """

    def __init__(
        self,
        picture_bytes: float = LIMITS.picture_bytes,
        memory_bytes: float = LIMITS.optimizer_bytes,
        max_age: float = LIMITS.age_seconds,
    ) -> None:
        # One that is larger than all room counts as all room: it is kept, and nothing beside it.
        self._paintings: TTLCache[str, Painting] = TTLCache(
            picture_bytes,
            max_age,
            timer=lambda: time.monotonic(),
            getsizeof=lambda painting: min(painting.nbytes, picture_bytes),
        )
        self._memories = Memories(
            memory_bytes, getsizeof=lambda easel: min(easel.memory_nbytes, memory_bytes)
        )
        self._at_work: Counter[str] = Counter()  # runs, by the names of their paintings
        self._lock = threading.Lock()

    def keep(self, token: str, painting: Painting) -> None:
        """Keep a painting, or the same one as it is now."""
        self.change(token, lambda _: painting)

    def change(self, token: str, change: Callable[[Painting | None], Painting]) -> Painting:
        """Keep what a function makes of a painting; anew if it was changed meanwhile.

        So that of a run's next picture and other colours for it, neither undoes the other.
        """
        while True:
            before = self.find(token)
            painting = change(before)
            with self._lock:
                if self._paintings.get(token) is before:
                    self._paintings[token] = painting
                    self._let_go()  # or those that are gone would count, and another forget
                    self._memories.pop(token, None)  # or it might be the oldest, and forget
                    self._memories[token] = painting.easel
                    return painting

    def find(self, token: str | None) -> Painting | None:
        """The painting of this name, if it is still here."""
        with self._lock:
            return self._paintings.get(token or "")

    @contextlib.contextmanager
    def at_work(self, token: str) -> Iterator[None]:
        """While the painting of this name is being painted."""
        with self._lock:
            self._at_work[token] += 1
        try:
            yield
        finally:
            with self._lock:
                self._at_work[token] -= 1
                self._at_work = +self._at_work  # without those that are done

    def is_at_work(self, token: str | None) -> bool:
        """Whether the painting of this name is being painted."""
        with self._lock:
            return (token or "") in self._at_work

    def expire(self) -> None:
        """Let go what is too old, also while nobody paints."""
        with self._lock:
            self._paintings.expire()
            self._let_go()

    def _let_go(self) -> None:
        """Of paintings that are gone the memories go as well."""
        for token in set(self._memories) - set(self._paintings):
            del self._memories[token]


STUDIO = Studio()


# --- Files --------------------------------------------------------------------------------------

READING = threading.Lock()  # held while a visitor's file is decoded


def load(source: ImageSource, size: int | None, enlarge: bool = False) -> Picture:
    """`images.load`, one at a time: a hostile file may take 600 MB, many at once must not."""
    with READING:
        return images.load(source, size, enlarge)


def check_there(*paths: str | None) -> None:
    """Raise `ImageError` for a file that was swept since; where it was is nobody's affair."""
    for path in filter(None, paths):
        if not Path(path).exists():
            name = Path(path).name
            raise ImageError("{name!r} is no longer on the server; choose it again.", name=name)


def save_picture(painting: Painting, share: float = 1.0) -> str:
    """The path of a PNG of the painting, its recipe inside, blended with the photo."""
    pixels = painting.blended(share)
    made = dataclasses.replace(painting.recipe, blend=share).to_json()
    return save_image(images.to_pil(pixels, painting.frame.alpha), painting.name, made)


def save_image(image: Image.Image, name: str, made: str = "") -> str:
    """The path of a PNG that holds `image`, where Gradio serves files from."""
    notes = {recipe.KEY: made} if made else None
    key = digest(image.tobytes(), made.encode())
    return _once(key, f"{name}.png", lambda path: images.save(image, path, notes))


def save_frame(pixels: np.ndarray) -> str:
    """The path of a JPEG of a picture on its way, uint8 [H, W, 3]: quick to write and to send."""

    return _once(digest(pixels.tobytes()), "frame.jpg", lambda path: _write_jpeg(pixels, path))


def save_shown(path: str, side: int) -> str:
    """The path of a JPEG of a picture of any kind, at most `side` px long, for browsers to show."""
    return save_small(
        f"{Path(path).stat().st_mtime_ns} {path} {side}",
        lambda: images.to_uint8(load(path, side).rgb),
    )


def save_small(key: str, make: Callable[[], np.ndarray]) -> str:
    """The path of a JPEG that is made but once for a key; `make` gives uint8 [H, W, 3]."""
    return _once(digest(key.encode()), "small.jpg", lambda path: _write_jpeg(make(), path))


def _write_jpeg(pixels: np.ndarray, path: Path) -> None:
    # By way of a buffer: on a disk that is just full Pillow takes half a file for written.
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=FRAME_QUALITY)
    write_whole(buffer.getvalue(), path)


def save_film(painting: Painting, ending: str) -> str:
    """The path of a film of the run so far; `ending` is one of `film.FORMATS`."""
    key = digest(painting.frame.image.tobytes(), str(len(painting.pictures_so_far)).encode())
    moments = painting.moments()
    name = f"{painting.name}{ending}"
    return _once(key, name, lambda path: film.save(moments, path))


def save_copy(path: Path) -> str:
    """The path of a copy of a file as it is now, while the file itself goes on to change."""
    key = digest(f"{path} {path.stat().st_mtime_ns}".encode())
    return _once(key, path.name, lambda copy: write_whole(path.read_bytes(), copy))


def store_last(token: str, path: str) -> None:
    """Keep a copy of a picture under its token, to be found when the server was started again."""
    folder = folder_of(token)
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / Path(path).name
    write_whole(Path(path).read_bytes(), copy)
    for older in folder.glob("*.png"):  # not before the new one is whole
        if older != copy:
            older.unlink(missing_ok=True)


def find_last(token: str | None) -> str | None:
    """The picture that was stored under this token."""
    return next(map(str, folder_of(token).glob("*.png")), None) if token else None


def folder_of(token: str) -> Path:
    """Where what belongs to a token is kept, whatever the token is."""
    return gradio_inside.upload_folder() / digest(token.encode())


def sweep(kept: Collection[Path], limits: Limits = LIMITS) -> None:
    """Delete files that are old, and the oldest of those that are too many; not those `kept`.

    They are as old as they have been seen here: a clock that jumps makes none of them older.
    """
    things = {_whole(path) for path in files() if path not in kept}
    found = {(path, path.stat().st_ctime): path for path in things}
    now = time.monotonic()
    # The time of its last change tells a file that was written anew. Not that of its modification:
    # Gradio copies it from the original.
    seen = {one: _SEEN.get(one, now) for one in found}
    _SEEN.clear()
    _SEEN.update(seen)
    room = limits.file_bytes
    for one in sorted(found, key=lambda one: (seen[one], one[1]), reverse=True):
        path = found[one]
        room -= _size(path)
        if room < 0 or now - seen[one] > limits.age_seconds:
            _remove(path)


def _whole(path: Path) -> Path:
    """What goes or stays as one: a file, or the folder of a film that may be gone on with."""
    parts = path.parent if path.parent.suffix == PARTS else path.with_name(path.name + PARTS)
    return parts.parent if parts.is_dir() else path


def _size(path: Path) -> int:
    within = path.rglob("*") if path.is_dir() else [path]
    return sum(one.stat().st_size for one in within if one.is_file())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        return
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # others are in it
        path.parent.rmdir()


def files() -> list[Path]:
    """All files that were uploaded or made for visitors."""
    return [path for path in gradio_inside.upload_folder().rglob("*") if path.is_file()]


def digest(*parts: bytes) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()[:32]


def _once(key: str, name: str, write: Callable[[Path], None]) -> str:
    """Write a file unless it is there already; returns its path."""
    path = gradio_inside.upload_folder() / key / name
    if path.exists():
        path.touch()  # as if it were new, for `sweep`
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    return str(path)
