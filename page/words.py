"""The line under the picture, notices, and the losses for the plot."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from nst_core import Frame
from nst_core.engine.warm_up import is_warm
from page.limits import LIMITS
from page.texts import count, name_of, retell, say, translated
from page.turns import Place

LOSS_COLUMNS = ["step", "term", "loss"]
MAX_POINTS = 200  # of a term's line, which is some 400 pixels wide

ROUGH_SECONDS = 90.0  # s, from which on a forecast is in minutes

NO_MARKUP = str.maketrans("<>", "‹›")


def plain(text: str) -> str:
    """A notice that may quote what a stranger wrote, with nothing in it that a page could obey.

    Gradio shows notices as HTML; escaped, they would be unreadable to other programs.
    """
    return text.translate(NO_MARKUP)


def told(error: Exception) -> str:
    """An error as a notice; where a disk is full, its path is nobody's affair."""
    if isinstance(error, OSError):
        return plain(say("notices.cannot_write", reason=error.strerror))
    return plain(retell(error))


def ready_text() -> str:
    """The status line before the first frame."""
    return say("status.getting_ready" if is_warm() else "status.warming_up")


def status_text(frame: Frame) -> str:
    """The status line during and after a run."""
    return f"{progress_text(frame)} {translated(frame.notice)}".strip()


def progress_text(frame: Frame) -> str:
    """How far a run has come: step and time left, or what was done."""
    if frame.done:
        return count("status.done", frame.total_steps, time=seconds_text(frame.elapsed))
    if frame.eta is None:
        return say("status.first_look") if frame.stage == "preview" else ready_text()
    left = seconds_text(frame.eta)
    return say("status.running", step=frame.step, left=left)


def stopped_text(frame: Frame) -> str:
    """The status line of a run that did not come to its end."""
    return say("status.stopped", step=frame.step)


def waiting_text(place: Place) -> str:
    """The status line of one who waits."""
    return count("status.waiting", place.before, time=seconds_text(place.seconds))


def turn_over_text(frame: Frame) -> str:
    """The status line of a run that took as long as one may."""
    minutes = round(LIMITS.turn_seconds / 60)
    return say("status.turn_over", stopped=stopped_text(frame), minutes=minutes)


def seconds_text(seconds: float) -> str:
    """Seconds as people say them: "8 s", "2 min 5 s"."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    if minutes:
        return say("status.minutes", minutes=minutes, seconds=rest)
    return say("status.seconds", seconds=rest)


def roughly(seconds: float) -> str:
    """Seconds as a forecast: "about 40 s", "about 6 min"."""
    if seconds < ROUGH_SECONDS:
        return say("status.about_seconds", seconds=10 * math.ceil(seconds / 10))
    return say("status.about_minutes", minutes=math.ceil(seconds / 60))


def bytes_text(size: int) -> str:
    """The size of a file as people say it: "1.2 MB"."""
    return say("status.megabytes", size=max(0.1, round(size / 1e6, 1)))


class LossHistory:
    """The losses of a run for their plot, evenly thinned out so that it never grows long.

    The first and the last step are always there.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[int, Mapping[str, float]]] = []
        self._last: tuple[int, Mapping[str, float]] | None = None  # if it is not among those
        self._stride = 1
        self._added = 0

    def add(self, step: int, losses: Mapping[str, float]) -> None:
        """Take the losses of the next step, by their terms; a step without any is left out."""
        if not losses:
            return
        is_kept = self._added % self._stride == 0
        self._last = None if is_kept else (step, losses)
        if is_kept:
            self._kept.append((step, losses))
        self._added += 1
        if len(self._kept) == MAX_POINTS:
            self._last = self._kept[-1]
            del self._kept[1::2]
            self._stride *= 2

    def table(self) -> pd.DataFrame | None:
        """The losses as powers of ten; a term of 0 has none and is left out.

        None while there are none: a plot that starts from an empty table never draws a line.
        """
        points = self._kept if self._last is None else [*self._kept, self._last]
        rows = [
            (step, name_of("terms", term), math.log10(loss))
            for step, losses in points
            for term, loss in losses.items()
            if loss > 0
        ]
        return pd.DataFrame(rows, columns=LOSS_COLUMNS) if rows else None
