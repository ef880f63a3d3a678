"""What is shown on the stage: the picture, the line under it, the losses, and whose they are."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from nst_core import Frame


class Shown(NamedTuple):
    """The stage: what is left out stays as it is."""

    picture: Any = gr.skip()
    status: Any = gr.skip()
    losses: Any = gr.skip()
    token: Any = gr.skip()
    title: Any = gr.skip()  # the pair of the picture that is shown, whatever is chosen meanwhile
    progress: Any = gr.skip()  # the same as the status, as data for other programs


def is_skipped(value: Any) -> bool:
    """Whether the page is to leave something as it is, which other programs cannot."""
    return isinstance(value, dict) and value == gr.skip()


def progress(frame: Frame) -> dict[str, Any]:
    """How far a run has come, as data.

    The step that is done, of how many; the long side of the scale in pixels; the seconds that have
    passed, and those that are left at a guess (None before the first step); whether all is done;
    and the losses of this step by term.
    """
    return {
        "step": frame.step,
        "steps": frame.total_steps,
        "scale": frame.scale,
        "seconds": round(frame.elapsed, 3),
        "seconds_left": None if frame.eta is None else round(frame.eta, 3),
        "done": frame.done,
        "losses": {term: float(loss) for term, loss in frame.losses.items()},
    }
