"""Gradio's components, changed where they would open a visitor's file before we looked at it."""

from __future__ import annotations

from typing import Any

import gradio as gr


class PictureInput(gr.Image):
    """`gr.Image` that hands over the file as it came.

    Gradio would open it first, and fail with an error of its own; `nst_core.images` reads more
    formats and says what is wrong with those it cannot read.
    """

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        if payload is None or payload.path is None:
            return super().preprocess(payload)
        return payload.path


class Board(gr.ImageEditor):
    """`gr.ImageEditor` that hands over the file of what was drawn, None while nothing ever was."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        return payload.layers[0].path if payload and payload.layers else None
