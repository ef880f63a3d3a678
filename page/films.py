"""Films: a visitor's clip, painted in the paintings that are chosen.

A film is kept in a folder that is found by what it is made of: clip, paintings, settings, quality.
So the same film is gone on with where it was, after Stop, a reload, or a restart of the server.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from nst_core import (
    ClipError,
    Film,
    FilmError,
    FilmFrame,
    NSTError,
    Settings,
    StopToken,
    Style,
    recipe,
)
from nst_core.films.clip import Clip, probe
from nst_core.films.clip import Limits as ClipLimits
from nst_core.films.folder import is_whole
from nst_core.films.forecast import expected_seconds
from nst_core.films.painter import FILM_SIZE, QUALITIES, FilmFrames
from page import controls, journal, paint, studio, turns, views
from page.choice import Choice
from page.limits import LIMITS
from page.stage import Shown
from page.texts import say
from page.turns import FILM, TURN_OVER, Ticket
from page.words import ready_text, roughly, seconds_text, told

# What a clip may have here; the command line takes an hour.
CLIP = ClipLimits(seconds=LIMITS.clip_seconds, bytes=int(LIMITS.upload_bytes))
MAX_SIDE = 512  # px, long side of a film, whatever size is chosen for pictures

SHIFT = 60.0  # s of painting, until others get a turn in between
SHOW_EVERY = 0.5  # s, between two frames that are shown

LIMIT_REACHED = "limit"  # a reason to stop
# Reasons to stop -> the seconds that were reached.
REACHED = {TURN_OVER: LIMITS.turn_seconds, LIMIT_REACHED: LIMITS.film_seconds}

SLOWING = ("size", "steps", "style_loss")  # what a forecast depends on most

_AT_WORK: set[str] = set()  # tokens of films


class Tools(NamedTuple):
    """What a film is steered with."""

    paint: Any
    stop: Any
    save: Any


@dataclass(frozen=True)
class Order:
    """A film that is wanted."""

    clip: Path
    styles: tuple[Style, ...]
    settings: Settings
    quality: str

    @classmethod
    def from_row(cls, clip: str | None, quality: str, row: Sequence[Any]) -> Order:
        """An order from a row of a `Choice`, whose regions belong to its photo and do not count.

        Raises `ClipError`, `ImageError` or `SettingsError` for what is missing or impossible.
        """
        if clip is None:
            raise ClipError("Choose a video first.")
        chosen = Choice.from_row(row)
        chosen = replace(chosen, content=clip, masks=(None,) * len(chosen.masks), keep=None)
        chosen.photo_and_painting()
        studio.check_there(*chosen.files)
        return cls(Path(clip), tuple(chosen.paintings()), settings_for(chosen.settings), quality)

    @functools.cached_property
    def token(self) -> str:
        """Of the film's folder, the same for the same film."""
        made = recipe.make(self.clip, list(self.styles), self.settings)
        return studio.digest(made.to_json().encode(), self.quality.encode())

    @property
    def output(self) -> Path:
        """The film's file."""
        painting = Path(str(self.styles[0].image)).stem
        return studio.folder_of(self.token) / f"{self.clip.stem[:60]}-{painting[:60]}.mp4"

    def first_frame(self) -> np.ndarray:
        """The clip's first frame, uint8 [H, W, 3]; raises `ClipError` for what is no clip."""
        clip = probe_upload(self.clip)
        with studio.READING:
            size = clip.size_at(self.settings.size or FILM_SIZE)
            return next(clip.frames(size)).pixels

    def film(self) -> Film:
        """The film, begun or gone on with."""
        self.output.parent.mkdir(parents=True, exist_ok=True)
        return Film(
            self.clip,
            list(self.styles),
            self.output,
            self.settings,
            self.quality,
            limits=CLIP,
        )


class Work:
    """A film that is painted in one turn after another."""

    def __init__(self, order: Order) -> None:
        self._order, self.token = order, order.token
        self._ticket: Ticket | None = None
        self._frames: FilmFrames | None = None
        self.last: FilmFrame | None = None
        self.reason = ""  # why it has ended before it was done
        self.is_over = is_whole(order.output)

    def turn(self, ticket: Ticket) -> Iterator[Shown]:
        """What is painted in a turn; raises `FilmError` if another tab paints the same."""
        self._ticket = ticket
        self._begin()
        began = shown = time.monotonic()
        for frame in self._frames or ():
            self.last, now = frame, time.monotonic()
            if frame.number == 0 or frame.done or now - shown >= SHOW_EVERY:
                shown = now
                yield Shown(frame.image, frame_text(frame))
            if frame.elapsed > LIMITS.film_seconds and not frame.done:
                ticket.stop.stop(LIMIT_REACHED)
            elif now - began > SHIFT and not frame.done:
                return
        self.reason = "" if self.last and self.last.done else ticket.stop.reason
        self.is_over = True

    def close(self) -> None:
        """End it; what is painted is kept."""
        if self._frames is not None:
            self._frames.close()
            _AT_WORK.discard(self.token)

    def _begin(self) -> None:
        if self._frames is not None or is_whole(self._order.output):
            return
        if self.token in _AT_WORK:
            raise FilmError("This video is already being painted, in another tab.")
        _AT_WORK.add(self.token)
        self._frames = self._paint()

    def _paint(self) -> FilmFrames:
        # The token is that of whichever turn it is painted in.
        stop = StopToken(lambda: self._ticket.stop.reason if self._ticket else "")
        if not stop.is_set():
            yield from self._order.film().paint(stop)

    def ended_text(self) -> str:
        """The status line at the end."""
        if self.last is None:
            return say("films.stopped_before" if self.reason else "films.done_before")
        if not self.reason:
            time_taken = seconds_text(self.last.elapsed)
            return say("films.done", count=self.last.total, time=time_taken)
        stopped = say("films.stopped", number=self.last.number + 1, total=self.last.total)
        if self.reason not in REACHED:
            return stopped
        return say("films.limit", stopped=stopped, minutes=round(REACHED[self.reason] / 60))


def paint_film(clip: str | None, quality: str, *row: Any) -> Iterator[tuple[Any, Any, Any]]:
    """What "Paint video" does: picture, status, and the token of the film."""
    with contextlib.closing(paint.in_words(_paint(clip, quality, row))) as run:
        for shown in run:
            yield shown.picture, shown.status, shown.token


def _paint(clip: str | None, quality: str, row: Sequence[Any]) -> Generator[Shown, None, None]:
    with journal.job("film") as facts:
        order = Order.from_row(clip, quality, row)
        yield Shown(order.first_frame(), ready_text(), token=order.token)
        with contextlib.closing(Work(order)) as work:
            while not work.is_over:
                yield from take_turn(work, facts)
        facts |= {"size": order.settings.size, "quality": quality}
        facts["frames"] = work.last.number + 1 if work.last else 0
        if work.reason:
            facts["outcome"] = work.reason
        yield Shown(status=work.ended_text())


def take_turn(work: Work, facts: dict[str, Any]) -> Iterator[Shown]:
    """Wait for a turn, and paint in it; whatever else ends the turn ends the work before it."""
    join = turns.join_own(*paint.client_conditions(), work=FILM)
    with join as ticket, contextlib.ExitStack() as ending:
        ending.callback(work.close)  # before the turn ends
        yield from paint.wait(ticket, facts)
        if work.last is None and not ticket.stop.is_set():
            yield Shown(status=say("films.first"))
        yield from work.turn(ticket)
        if not work.is_over:
            ending.pop_all()  # it goes on in another turn
            turns.expect_own(FILM)


def settings_for(settings: Settings) -> Settings:
    """Settings of pictures as they are for the frames of a film."""
    size = min(settings.size or FILM_SIZE, MAX_SIDE)
    return replace(settings, size=size, time_budget=None)


def probe_upload(path: str | Path) -> Clip:
    """`probe`, one at a time, as pictures are read; raises `ClipError`."""
    with studio.READING:
        return probe(path, CLIP)


def frame_text(frame: FilmFrame) -> str:
    """The status line while a film is painted."""
    number = frame.number + 1
    if frame.eta is None:
        return say("films.running", number=number, total=frame.total)
    left = seconds_text(frame.eta)
    return say("films.running_left", number=number, total=frame.total, left=left)


# --- What is there so far -----------------------------------------------------------------------


def so_far(token: str | None) -> str | None:
    """A copy of the film as far as it is there: a browser plays it while the film grows."""
    found = next(studio.folder_of(token).glob("*.mp4"), None) if token else None
    return studio.save_copy(found) if found else None


def show_so_far(token: str | None) -> tuple[Any, Any, Any]:
    """A note or the film so far, and the button that saves it."""
    path = so_far(token)
    if path is None:
        return gr.update(visible=True), gr.update(visible=False), views.file_button(None)
    return gr.update(visible=False), gr.update(value=path, visible=True), views.file_button(path)


# --- Before and after ---------------------------------------------------------------------------


def check_clip(clip: str | None) -> Any:
    """Take an uploaded clip away again if it cannot be painted, and say why."""
    if clip is None:
        return gr.skip()
    try:
        probe_upload(clip)
    except ClipError as error:
        gr.Warning(told(error))
        return None
    return gr.skip()


def label(clip: str | None, quality: str, *values: Any) -> Any:
    """The button that paints: about how long it takes."""
    try:
        settings = settings_for(controls.read(values))
        found = probe_upload(clip) if clip else None
        seconds = expected_seconds(found, settings, QUALITIES[quality]) if found else None
    except (NSTError, KeyError):  # told when it is pressed
        seconds = None
    if seconds is None:
        return gr.update(value=say("films.paint"))
    return gr.update(value=say("films.paint_time", time=roughly(seconds)))


def stop() -> None:
    """What Stop does: the film of this visitor ends within a step, and stays as far as it is."""
    turns.stop_own(FILM)


def at_work() -> tuple[Any, ...]:
    """Status, the view, and the tools from the click until the film is done."""
    turns.expect_own(FILM)
    tools = Tools(
        paint=gr.update(interactive=False),
        stop=gr.update(interactive=True),
        save=views.file_button(None),
    )
    return say("status.joining"), gr.update(selected="frame", visible=True), *tools


def at_rest(token: str | None) -> tuple[Any, ...]:
    """View, note, film and tools when nothing is being painted."""
    session = turns.session(FILM)
    turns.TURNS.wait_until_left(session, paint.MAX_STEP_SECONDS)
    note, video, save = show_so_far(token)
    view = gr.update(selected="film") if so_far(token) else gr.skip()
    tools = Tools(gr.update(interactive=True), gr.update(interactive=False), save)
    return view, note, video, *tools
