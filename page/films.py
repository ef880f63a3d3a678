"""Films: a visitor's clip, painted in the paintings that are chosen.

A film is kept in a folder that is found by what it is made of: clip, paintings, settings, quality.
So the same film is gone on with where it was, after Stop, a reload, or a restart of the server.
Who leaves while it is painted, and comes back, joins it; a browser keeps the last film's token.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np
from cachetools import TTLCache

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
from page.choice import STYLES, WEIGHTS, Choice
from page.limits import LIMITS
from page.stage import Shown, is_skipped
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

# Of a choice what a film is painted with, beside its clip.
OWN_FIELDS = (*STYLES, *WEIGHTS, *controls.NAMES)
_NO_FIELDS = [gr.skip()] * len(OWN_FIELDS)

MAX_ORDERS = 1000  # that are remembered for those who come back


class Tools(NamedTuple):
    """What a film is steered with."""

    paint: Any
    stop: Any
    save: Any


@dataclass(frozen=True)
class Order:
    """A film that is wanted."""

    chosen: Choice  # its photo is the clip
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
        return cls(chosen, quality)

    @property
    def clip(self) -> Path:
        """The clip's file."""
        return Path(str(self.chosen.content))

    @property
    def styles(self) -> tuple[Style, ...]:
        """The paintings."""
        return tuple(self.chosen.paintings())

    @property
    def settings(self) -> Settings:
        """Those of the frames."""
        return settings_for(self.chosen.settings)

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


class Orders:
    """The films that were begun, by their tokens, and who is at work on them; the oldest go."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._begun: TTLCache[str, Order] = TTLCache(MAX_ORDERS, LIMITS.age_seconds)
        self._left: TTLCache[str, Order] = TTLCache(MAX_ORDERS, LIMITS.age_seconds)
        self._at_work: set[str] = set()

    def find(self, token: str) -> Order | None:
        """What was ordered under a token, if its clip is still there."""
        with self._changed:
            order = self._begun.get(token)
        return order if order and order.clip.exists() else None

    def is_left(self, token: str) -> bool:
        """Whether it is still painted, or its visitor went away before it had ended."""
        with self._changed:
            return token in self._left

    @contextlib.contextmanager
    def following(self, order: Order, is_left: Callable[[], bool]) -> Iterator[None]:
        """While a visitor follows a film, who may leave: by closing the generator, or as told."""
        with self._changed:
            self._begun[order.token] = self._left[order.token] = order
        has_left = False
        try:
            yield
            has_left = is_left()
        except GeneratorExit:
            has_left = True
            raise
        finally:
            with self._changed:
                if not has_left and order.token not in self._at_work:  # of another tab
                    self._left.pop(order.token, None)

    def begin(self, token: str) -> bool:
        """Begin to work on a film; False where another does."""
        with self._changed:
            is_free = token not in self._at_work
            self._at_work.add(token)
        return is_free

    def end(self, token: str) -> None:
        """Let another work on it."""
        with self._changed:
            self._at_work.discard(token)
            self._changed.notify_all()

    def wait_until_free(self, token: str, seconds: float) -> bool:
        """Whether nobody works on a film, at the latest after so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: token not in self._at_work, seconds)


ORDERS = Orders()


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
        frames, self._frames = self._frames, None
        if frames is not None:
            frames.close()
            ORDERS.end(self.token)

    def _begin(self) -> None:
        if self._frames is not None or is_whole(self._order.output):
            return
        if not ORDERS.begin(self.token):
            raise FilmError("This video is already being painted, in another tab.")
        self._frames = self._paint()

    def _paint(self) -> FilmFrames:
        # The token is that of whichever turn it is painted in.
        stop = StopToken(lambda: self._ticket.stop.reason if self._ticket else "")
        if not stop.is_set():
            yield from self._order.film().paint(stop)

    def lost_its_visitor(self) -> bool:
        """Whether it has ended because nobody was there any more."""
        return self.reason in (turns.HUNG_UP, turns.UNREAD)

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
    yield from _told(_paint(lambda: Order.from_row(clip, quality, row)))


def wait_until_left(token: str | None) -> None:
    """The page that a film was left by may not be known to be gone yet: wait for its end."""
    if _left(token) is not None:
        ORDERS.wait_until_free(token or "", paint.MAX_STEP_SECONDS)


def join(token: str | None) -> Iterator[tuple[Any, Any, Any]]:
    """Go on with a film whose visitor went away before it had ended; the same as `paint_film`."""
    yield from _told(_join(token))


def _told(run: Generator[Shown, None, None]) -> Iterator[tuple[Any, Any, Any]]:
    with contextlib.closing(paint.in_words(run)) as words:
        for shown in words:
            yield shown.picture, shown.status, shown.token


def _join(token: str | None) -> Generator[Shown, None, None]:
    order = _left(token)
    if order is not None and ORDERS.wait_until_free(order.token, 0):
        yield from _paint(lambda: order)
    else:
        turns.TURNS.forget(turns.session(FILM))
        yield Shown() if order is None else Shown(status=say("films.elsewhere"))


def _left(token: str | None) -> Order | None:
    """The film that its visitor went away from, or may have: another tab may be at it."""
    return ORDERS.find(token) if token and ORDERS.is_left(token) else None


def _paint(ordered: Callable[[], Order]) -> Generator[Shown, None, None]:
    with journal.job("film") as facts, contextlib.ExitStack() as refused:
        refused.callback(turns.TURNS.forget, turns.session(FILM))
        order = ordered()
        yield Shown(order.first_frame(), ready_text(), token=order.token)
        work = Work(order)
        if not work.is_over:
            refused.pop_all()  # it joins those who wait
        with contextlib.closing(work), ORDERS.following(order, work.lost_its_visitor):
            while not work.is_over:
                yield from take_turn(work, facts)
        facts |= {"size": order.settings.size, "quality": order.quality}
        facts["frames"] = work.last.number + 1 if work.last else 0
        if work.reason:
            facts["outcome"] = work.reason
        yield Shown(status=work.ended_text())


def take_turn(work: Work, facts: dict[str, Any]) -> Iterator[Shown]:
    """Wait for a turn, and paint in it; whatever else ends the turn ends the work before it."""
    join = turns.join_own(*turns.client_conditions(), work=FILM)
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


# --- Coming back --------------------------------------------------------------------------------


class Arrival(NamedTuple):
    """What the page opens with of a film, beside the paintings and settings of one to go on with.

    What is left out stays as it is.
    """

    preset: Any = gr.skip()
    front: Any = gr.skip()  # which of the tabs of pictures and clips
    clip: Any = gr.skip()
    quality: Any = gr.skip()
    token: Any = gr.skip()
    status: Any = gr.skip()
    view: Any = gr.skip()
    note: Any = gr.skip()
    video: Any = gr.skip()
    paint: Any = gr.skip()
    stop: Any = gr.skip()
    save: Any = gr.skip()


def remember(token: str | None, kept: Any) -> Any:
    """What a browser keeps: the token of the last film that was painted in it."""
    return token if token and token != kept else gr.skip()


def arrive(kept: Any) -> list[Any]:
    """What the page opens with of the visitor's last film: `OWN_FIELDS`, and an `Arrival`.

    Args:
        kept: what a browser sends, which may be anything.
    """
    shown, order = _arrival(kept)
    if order is None:
        return [*_NO_FIELDS, *shown]
    is_stopped = not ORDERS.is_left(order.token) and not is_skipped(shown.status)
    status = say("films.yours_begun") if is_stopped else shown.status
    fields = order.chosen.still_there().to_row(OWN_FIELDS)
    return [*fields, *shown._replace(preset=None, status=status)]


def arrive_beside(kept: Any) -> list[Any]:
    """The same, where the paintings and settings are others, and stay as they are."""
    shown, _ = _arrival(kept)
    return [*_NO_FIELDS, *shown]


def _arrival(kept: Any) -> tuple[Arrival, Order | None]:
    """A film that a browser has kept, and what was ordered, if there is more of it to paint."""
    token = kept if isinstance(kept, str) else ""
    order, shown = ORDERS.find(token), _last_film(token)
    if order is None:
        return shown, None
    shown = shown._replace(clip=str(order.clip), quality=order.quality, token=token)
    if is_whole(order.output):
        return shown, None
    if ORDERS.is_left(token):
        _, view, *tools = at_work()
        front = gr.update(selected="clip")
        shown = shown._replace(front=front, status=ready_text(), view=view)
        shown = shown._replace(**Tools(*tools)._asdict())
    return shown, order


def _last_film(token: str) -> Arrival:
    """A film as far as it is there; nothing where nothing is."""
    if so_far(token) is None:
        return Arrival()
    note, video, save = show_so_far(token)
    view = gr.update(selected="film", visible=True)
    return Arrival(
        token=token, status=say("films.yours"), view=view, note=note, video=video, save=save
    )


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
    if turns.TURNS.is_busy(session):  # with what was begun since, whose end comes here again
        return tuple([gr.skip()] * (3 + len(Tools._fields)))
    note, video, save = show_so_far(token)
    view = gr.update(selected="film") if so_far(token) else gr.skip()
    tools = Tools(gr.update(interactive=True), gr.update(interactive=False), save)
    return view, note, video, *tools
