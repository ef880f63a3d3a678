"""The tab of films: a clip, and the film that is painted of it."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from nst_core.films.painter import QUALITIES
from page import controls, films
from page.components import ClipInput
from page.films import Tools
from page.texts import say


@dataclass(frozen=True)
class FilmTab:
    """What a film is chosen, steered and shown with."""

    clip: ClipInput
    quality: gr.Radio
    tools: Tools
    status: gr.Markdown
    views: gr.Tabs
    frame: gr.Image
    so_far: gr.Tab
    nothing_yet: gr.Markdown
    video: gr.Video
    token: gr.Textbox  # of the film that is shown


def lay_out() -> FilmTab:
    """All of it, inside of a `gr.Tab`."""
    limits = films.CLIP
    gr.Markdown(
        say("films.hint", seconds=round(limits.seconds), megabytes=round(limits.bytes / 1e6)),
        elem_classes="note",
    )
    clip = ClipInput(
        label=say("films.clip"), sources=["upload"], buttons=[], height=190, elem_id="clip"
    )
    quality = gr.Radio(
        controls.choices("quality", QUALITIES),
        value="quick",
        label=say("films.quality"),
        info=say("films.quality_hint"),
        elem_id="quality",
    )
    with gr.Row(elem_id="film-buttons"):
        paint = gr.Button(say("films.paint"), variant="primary", elem_id="film-paint")
        stop = gr.Button(say("tools.stop"), variant="stop", interactive=False, elem_id="film-stop")
    status = gr.Markdown(elem_id="film-status")
    with gr.Tabs(visible=False, elem_id="film-views") as views:
        with gr.Tab(say("films.frame"), id="frame"):
            frame = gr.Image(
                label=say("films.frame"),
                show_label=False,
                format="jpeg",
                interactive=False,
                buttons=[],
                alt_text=say("films.described"),
                elem_id="film-frame",
                height=260,
            )
        with gr.Tab(say("films.so_far"), id="film") as so_far:
            nothing_yet = gr.Markdown(say("films.nothing_yet"))
            video = gr.Video(
                label=say("films.described"),
                show_label=False,
                interactive=False,
                visible=False,
                loop=True,
                buttons=[],
                elem_id="painted-film",
                height=260,
            )
    save = gr.DownloadButton(say("films.save"), interactive=False, elem_id="film-save")
    return FilmTab(
        clip,
        quality,
        Tools(paint, stop, save),
        status,
        views,
        frame,
        so_far,
        nothing_yet,
        video,
        token=gr.Textbox(visible="hidden"),
    )
