"""What the page says: the line under the picture, and the losses for the plot."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from nst_core import Frame
from nst_core.engine.warm_up import is_warm
from page.turns import MAX_SECONDS, Place

LOSS_COLUMNS = ["step", "term", "loss"]
MAX_POINTS = 200  # of a term's line, which is some 400 pixels wide

NO_MARKUP = str.maketrans("<>", "‹›")


def plain(text: str) -> str:
    """A notice that may quote what a stranger wrote, with nothing in it that a page could obey.

    Gradio shows notices as HTML; escaped, they would be unreadable to other programs.
    """
    return text.translate(NO_MARKUP)


def ready_text() -> str:
    """The status line before the first frame."""
    return "Getting ready …" if is_warm() else "Warming up, once after the start …"


def status_text(frame: Frame) -> str:
    """The status line during and after a run."""
    return f"{progress_text(frame)} {frame.notice}".strip()


def progress_text(frame: Frame) -> str:
    """How far a run has come: scale, step and time left, or what was done."""
    if frame.done:
        steps = "1 step" if frame.total_steps == 1 else f"{frame.total_steps} steps"
        return f"Done: {steps} in {seconds_text(frame.elapsed)}."
    if frame.eta is None:
        return "A first look; painting begins …" if frame.stage == "preview" else ready_text()
    left = seconds_text(frame.eta)
    return f"{frame.scale} px, step {frame.step} of {frame.total_steps}, {left} left"


def stopped_text(frame: Frame) -> str:
    """The status line of a run that did not come to its end."""
    return f"Stopped at step {frame.step} of {frame.total_steps}; the picture is kept."


def waiting_text(place: Place) -> str:
    """The status line of one who waits."""
    others = "1 picture" if place.before == 1 else f"{place.before} pictures"
    return f"In the queue: {others} ahead of yours, about {seconds_text(place.seconds)}"


def turn_over_text(frame: Frame) -> str:
    """The status line of a run that took as long as one may."""
    minutes = f"{MAX_SECONDS / 60:.0f}-minute limit"
    return f"{stopped_text(frame)} {minutes} reached. Press **Continue** to keep painting."


def seconds_text(seconds: float) -> str:
    """Seconds as people say them: "8 s", "2 min 5 s"."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


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
            (step, term, math.log10(loss))
            for step, losses in points
            for term, loss in losses.items()
            if loss > 0
        ]
        return pd.DataFrame(rows, columns=LOSS_COLUMNS) if rows else None
