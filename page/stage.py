"""What is shown on the stage: the picture, the line under it, the losses, and whose they are."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr


class Shown(NamedTuple):
    """The stage: what is left out stays as it is."""

    picture: Any = gr.skip()
    status: Any = gr.skip()
    losses: Any = gr.skip()
    token: Any = gr.skip()
    title: Any = gr.skip()  # the pair of the picture that is shown, whatever is chosen meanwhile


def is_skipped(value: Any) -> bool:
    """Whether the page is to leave something as it is, which other programs cannot."""
    return isinstance(value, dict)
