"""A clip painted: shot after shot, key frame after key frame, each held to the one before.

`brush.py` says how one frame is painted. Here is in which order: the first frame of a shot as a
picture of its own, then every key frame on from the one before, then those between two key frames,
which are drawn along from both. Nothing is held but the frames from one key frame to the next, and
what a frame starts from stands in files before it is used: a film that was cut off goes on to the
very same frames.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import itertools
import math
import statistics
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nst_core import recipe
from nst_core.engine.easel import Easel
from nst_core.engine.job import Follows
from nst_core.errors import SettingsError
from nst_core.films.brush import Brush, Side, to_levels
from nst_core.films.clip import LIMITS, Clip, ClipFrame, ClipSource, Limits, probe
from nst_core.films.cuts import Footage, Shot, look_through
from nst_core.films.folder import Folder
from nst_core.films.motion import Motion, completed, composed, motions, still
from nst_core.films.reel import Reel, check_ending
from nst_core.pictures.regions import StyleSource, as_styles
from nst_core.settings import SPECS, Settings, one_of, unwanted
from nst_core.stop import StoppedError, StopToken

FILM_SIZE = 384  # px, long side of a film whose size was left open

SAVE_INTERVAL = 5.0  # s, between two films on the way

# What is kept of frames until it is used: pictures as they are wanted and as they are shown, raw,
# and what a shot's colours are matched by.
WANTED, PICTURE, LOOK = "wanted", "picture", "look"

CARRIED = 0.02  # how much the frame before counts beside two key frames

LONGEST_STRIDE = 30  # frames from a key frame to the next at most: so many are held in memory


@dataclass(frozen=True)
class Quality:
    """How much of a film is painted."""

    label: str
    help: str
    key_seconds: float  # from a key frame to the next; 0: every frame is one
    steps: int  # of a key frame that follows another

    def stride(self, clip: Clip) -> int:
        """Frames from a key frame to the next."""
        return max(1, min(LONGEST_STRIDE, round(self.key_seconds * clip.rate)))


QUICK = "quick"  # unless another one is asked for
QUALITIES: dict[str, Quality] = {
    QUICK: Quality("Quick", "key frames are painted, those between are drawn along", 0.25, 8),
    "full": Quality("Full", "every frame is painted", 0.0, 10),
}


@dataclass(frozen=True)
class FilmFrame:
    """One frame of a film, painted."""

    image: np.ndarray  # uint8 [H, W, 3]
    number: int  # from 0
    total: int  # frames that the film has in the end
    elapsed: float  # seconds of this run, without what the caller did between frames
    eta: float | None  # seconds left; None before a frame of each kind was measured
    done: bool  # whether it is the last one


FilmFrames = Generator[FilmFrame, None, None]


class Film:
    """A clip being painted, that can be stopped, kept, and gone on with, also after a kill.

        film = Film("clip.mp4", "painting.jpg", "out.mp4")
        for frame in film.paint():
            show(frame.image, frame.number, frame.eta)

    Everything is checked at the call. `output` plays at any moment, as far as the film is there.
    What is needed to go on stands in a folder beside it, which goes when the film is done.

    Args:
        clip: a file.
        style: as for `stream`; masks are those of all frames.
        output: the film, an MP4 or MOV.
        settings: as for a picture; `steps` are those of a shot's first frame.
        quality: one of `QUALITIES`.
        limits: what the clip may have.
        overwrite: whether a film that is there is replaced, and one that was begun begun anew.

    Raises:
        ClipError: a clip that cannot be painted.
        FilmError: an output that cannot be written, or another film that was begun there.
        ImageError, SettingsError, WeightsError, PreviewError: as `stream` does.
    """

    def __init__(
        self,
        clip: ClipSource,
        style: StyleSource,
        output: ClipSource,
        settings: Settings | None = None,
        quality: str = QUICK,
        *,
        limits: Limits = LIMITS,
        overwrite: bool = False,
    ) -> None:
        if quality not in QUALITIES:
            raise unwanted("quality", quality, one_of(QUALITIES))
        settings = settings or Settings()
        self.path, self.quality = Path(output), QUALITIES[quality]
        check_ending(self.path)
        self.clip, self._limits = probe(clip, limits), limits
        self.size = self.clip.size_at(settings.size or FILM_SIZE)  # width and height, pixels
        settings = settings_for(self.clip, settings)
        made, styles = recipe.make(clip, style, settings), as_styles(style)
        self._folder = Folder.beside(self.path, made, quality, overwrite)
        first = next(self.clip.frames(self.size))
        easel = Easel(first.pixels, list(styles), settings, plan=self._folder.made.plan)
        self.plan = easel.plan
        self._brush = Brush(styles, settings, self.plan, self.quality.steps)

    def paint(self, stop: StopToken | None = None) -> FilmFrames:
        """Paint what is not yet there, and send each frame as it is.

        Args:
            stop: ends the work before the next step when it is told to; what is there is kept.

        Raises:
            ClipError: while running, the clip turns out to be damaged, or longer than it said.
            DivergenceError, OutOfMemoryError: as for `stream`.
            OSError: the folder cannot be written any more.
        """
        stop, note = stop or StopToken(), self._folder.keep(self.plan)
        with contextlib.suppress(StoppedError):
            footage = look_through(self.clip, self._limits, stop)
            reel = Reel(self._folder.path, self.clip, footage.times, note)
            pace = Pace(footage, self.quality.stride(self.clip), len(reel))
            saved = -math.inf  # the first frame plays at once
            try:
                for pixels in self._frames(footage, reel, stop):
                    reel.add(pixels)
                    if time.monotonic() - saved >= SAVE_INTERVAL:
                        reel.save(self.path)
                        saved = time.monotonic()
                    yield pace.frame(pixels)
                    pace.go_on()
            finally:
                if len(reel):
                    reel.save(self.path)
            self._folder.clear()

    def paint_shot(self, shot: Shot) -> list[bytes]:
        """One shot of the clip alone, in pieces for `Reel.join`; raises what `paint` does."""
        self._folder.keep(self.plan)
        reel = Reel(self._folder.path, self.clip, np.arange(shot.start, shot.stop))
        for pixels in self._shot(shot, shot.start, StopToken()):
            reel.add(pixels)
        with reel.pieces() as pieces:
            return [piece.read_bytes() for piece in pieces]

    def _frames(self, footage: Footage, reel: Reel, stop: StopToken) -> Iterator[np.ndarray]:
        """The frames that are not yet there, as they are shown; each is in the reel when the next
        one is asked for."""
        for shot in footage.shots:
            if len(reel) < shot.stop:
                yield from self._shot(shot, len(reel), stop)

    def _shot(self, shot: Shot, there: int, stop: StopToken) -> Iterator[np.ndarray]:
        """The frames of a shot, if the first `there` of the film are there."""
        brush, folder = self._brush, self._folder
        keys = keys_of(shot, self.quality.stride(self.clip))
        keys = keys[max(0, sum(key < there for key in keys) - 1) :]  # from the last that is there
        frames = self._from(keys[0])
        last = next(frames)
        look = self._look(shot, last, stop)
        wanted = self._wanted(last, functools.partial(brush.anew, last.pixels, look, stop))
        picture = wanted
        if there > shot.start:
            picture = folder.needed(PICTURE, there - 1)
        else:
            folder.save(PICTURE, shot.start, picture)
            yield brush.shown(last.pixels, picture, look)
        for key, following in itertools.pairwise(keys):
            folder.drop(WANTED, before=key)
            stretch = Stretch.of([last, *itertools.islice(frames, following - key)])
            earlier, first, last = wanted, stretch.frames[0], stretch.frames[-1]
            onward = functools.partial(
                brush.onward,
                last.pixels,
                first.pixels,
                earlier,
                stretch.last_to_first(),
                look,
                stop,
            )
            wanted = self._wanted(last, onward)
            for index, frame in enumerate(stretch.frames):
                if index == 0 or frame.number < there:
                    continue
                stop.check()
                folder.drop(PICTURE, before=frame.number - 1)
                before, link = stretch.frames[index - 1].pixels, stretch.links[index - 1]
                aim = wanted
                if frame.number < following:
                    aim = brush.between(
                        frame.pixels, stretch.sides(index, earlier, wanted, picture)
                    )
                picture = brush.calmed(aim, frame.pixels, before, picture, link, look)
                folder.save(PICTURE, frame.number, picture)
                yield brush.shown(frame.pixels, picture, look)

    def _from(self, number: int) -> Iterator[ClipFrame]:
        """The clip's frames from this one on."""
        return itertools.islice(self.clip.frames(self.size), number, None)

    def _look(self, shot: Shot, first: ClipFrame, stop: StopToken) -> Follows:
        """What a shot's colours are matched by: its typical frame, painted by itself.

        Mostly that is its first one, which then is painted.
        """
        paths = self._folder.load(LOOK, shot.start)
        if paths is None:
            frame = first if shot.typical == shot.start else next(self._from(shot.typical))
            painted = self._brush.anew(frame.pixels, None, stop)
            paths = np.stack([frame.pixels, to_levels(painted)])
            if frame is first:
                self._folder.save(WANTED, first.number, painted)
            self._folder.save(LOOK, shot.start, paths)
            self._folder.drop(LOOK, before=shot.start)
        return Follows(*paths)

    def _wanted(self, frame: ClipFrame, paint: Callable[[], np.ndarray]) -> np.ndarray:
        """A key frame's picture: painted, unless it was before."""
        found = self._folder.load(WANTED, frame.number)
        return self._folder.save(WANTED, frame.number, paint()) if found is None else found


def settings_for(clip: Clip, settings: Settings) -> Settings:
    """Settings of pictures as they are for the frames of a clip.

    Raises `SettingsError` for a time, and `ClipError` for a size that is too small.
    """
    if settings.time_budget is not None:
        raise SettingsError("A film takes what its frames take; leave time_budget out.")
    least = int(SPECS["size"].minimum or 0)  # a smaller clip is not enlarged
    size = max(least, *clip.size_at(settings.size or FILM_SIZE))
    return replace(settings, size=size, frame_interval=3600)


def keys_of(shot: Shot, stride: int) -> list[int]:
    """The key frames of a shot: every so many, and its last one."""
    last = shot.stop - 1
    return [*range(shot.start, last, stride), last]


@dataclass(frozen=True)
class Stretch:
    """The frames from a key frame to the next, and how things move."""

    frames: Sequence[ClipFrame]
    links: Sequence[Motion]  # from each but the first to the one before
    back: Sequence[Motion]  # from each to the first
    ahead: Sequence[Motion]  # from each to the last

    @classmethod
    def of(cls, frames: Sequence[ClipFrame]) -> Stretch:
        found = [
            motions(after.pixels, before.pixels) for before, after in itertools.pairwise(frames)
        ]
        links, ahead = [one for one, _ in found], [other for _, other in found]
        here = still(*frames[0].pixels.shape[:2])
        return cls(frames, links, _chained(links, here), _chained(ahead[::-1], here)[::-1])

    def last_to_first(self) -> Motion:
        """The motion from the last frame to the first: found on these two, and over the frames
        between where that is not known."""
        chained = self.back[-1]
        if len(self.links) == 1:
            return chained
        at_once, _ = motions(self.frames[-1].pixels, self.frames[0].pixels)
        return completed(at_once, chained)

    def sides(
        self, index: int, earlier: np.ndarray, later: np.ndarray, before: np.ndarray
    ) -> list[Side]:
        """What a frame between is drawn along from: both key frames and, where neither tells, the
        frame before."""
        share, frames = index / (len(self.frames) - 1), [one.pixels for one in self.frames]
        return [
            Side(frames[0], earlier, self.back[index], 1 - share),
            Side(frames[-1], later, self.ahead[index], share),
            Side(frames[index - 1], before, self.links[index - 1], CARRIED),
        ]


def _chained(links: Sequence[Motion], here: Motion) -> list[Motion]:
    """The motions from each frame to the one at `here`, given those to the next one towards it."""
    chain = [here]
    for link in links:
        chain.append(composed(link, chain[-1]))
    return chain


class Pace:
    """How fast a run goes: seconds for each kind of frame, measured on the way.

    Args:
        stride: frames from a key frame to the next.
        there: frames that were there before.
    """

    def __init__(self, footage: Footage, stride: int, there: int) -> None:
        self._kinds = list(
            itertools.chain.from_iterable(_kinds(shot, stride) for shot in footage.shots)
        )
        self._number, self._worked, self._went_on = there, 0.0, time.monotonic()
        self._measured: dict[str, list[float]] = {}

    def frame(self, pixels: np.ndarray) -> FilmFrame:
        """Count a frame that was painted, and tell of it."""
        number, total, seconds = self._number, len(self._kinds), time.monotonic() - self._went_on
        self._measured.setdefault(self._kinds[number], []).append(seconds)
        self._worked, self._number = self._worked + seconds, number + 1
        return FilmFrame(pixels, number, total, self._worked, self._eta(), number + 1 == total)

    def go_on(self) -> None:
        """The next frame is asked for: what was done since the last one does not count."""
        self._went_on = time.monotonic()

    def _eta(self) -> float | None:
        left = collections.Counter(self._kinds[self._number :])
        if not all(kind in self._measured for kind in left):
            return None
        # The lower median: the first of a kind may have compiled its step.
        usual = statistics.median_low
        return sum(count * usual(self._measured[kind]) for kind, count in left.items())


def _kinds(shot: Shot, stride: int) -> Iterator[str]:
    """What takes alike long. The first of a stretch takes the time of the key frame at its end."""
    keys = set(keys_of(shot, stride))
    for number in range(shot.start, shot.stop):
        if number == shot.start:
            yield "first"
        elif number - 1 in keys:
            yield "key"
        else:
            yield "between"
