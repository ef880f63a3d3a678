"""Gradio's components, changed where they would trust what a visitor sends."""

from __future__ import annotations

from typing import Any

import gradio as gr

from page import gradio_inside
from page.limits import LIMITS, in_words
from page.texts import say


@gradio_inside.drawn_as_parent
class PictureInput(gr.Image):
    """`gr.Image` that hands over the file as it came.

    Gradio would open it first, and fail with an error of its own; `nst_core.pictures.images` reads
    more formats and says what is wrong with those it cannot read.
    """

    def preprocess(self, payload: Any) -> Any:
        """The path of the file that arrives."""
        if payload is None or payload.path is not None:
            return payload and payload.path
        text = payload.url or ""
        if not text.startswith("data:"):
            limit = in_words(LIMITS.request_bytes * 3 / 4, "B")  # base64 is a third longer
            raise gr.Error(say("notices.no_upload", limit=limit), print_exception=False)
        try:
            return gradio_inside.store_base64(self, text)
        except ValueError:
            raise gr.Error(say("notices.damaged_base64"), print_exception=False) from None


@gradio_inside.drawn_as_parent
class Download(gr.DownloadButton):
    """`gr.DownloadButton` that hands over the path alone; Gradio's makes an empty file besides."""

    def preprocess(self, payload: Any) -> Any:
        """The path of the file that is saved."""
        return payload and payload.path


@gradio_inside.drawn_as_parent
@gradio_inside.without_blobs
class Board(gr.ImageEditor):
    """`gr.ImageEditor` that hands over the file of what was drawn, None while nothing ever was."""

    def preprocess(self, payload: Any) -> Any:
        """The path of the layer that is drawn on."""
        return payload.layers[0].path if payload and payload.layers else None


@gradio_inside.drawn_as_parent
class ClipInput(gr.Video):
    """`gr.Video` that hands over the file as it came; `nst_core.films.clip` says what is wrong."""

    def preprocess(self, payload: Any) -> Any:
        """The path of the file that arrives; None for whatever was not uploaded."""
        return payload and payload.path
