"""The mirror on the page: what there is in its tab; `mirror.js` draws, `mirror.py` answers."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from page import mirror
from page.choice import NUMBERS
from page.texts import say

# What the browser says by itself.
SAID = ("idle", "asking", "on", "rate", "stopped", "left", "lost", "unreachable", "moment")


@dataclass(frozen=True)
class MirrorTab:
    """All components of the mirror that something is wired to."""

    tab: gr.Tab
    start: gr.Button
    stop: gr.Button
    moment: gr.Button  # paints what is seen now as a picture
    upload: gr.UploadButton  # takes that frame
    renew: gr.Button  # pressed by the browser when other paintings were chosen
    weights: list[gr.Slider]  # of paintings 1 to 4, seen while there are several
    camera: gr.Textbox  # its name on the server
    told: gr.Textbox  # what the server says about it


def lay_out() -> MirrorTab:
    """The tab, inside of a `gr.Tabs`. The browser makes it when it is opened, and not before."""
    with gr.Tab(say("mirror.tab"), id="mirror", elem_id="mirror-tab") as tab:
        gr.HTML(_view(), elem_id="mirror")
        with gr.Row(elem_id="mirror-buttons"):
            start = gr.Button(say("mirror.start"), variant="primary", elem_id="mirror-start")
            stop = gr.Button(say("mirror.stop"), variant="stop", elem_id="mirror-stop")
            moment = gr.Button(say("mirror.paint_moment"), elem_id="mirror-moment")
        with gr.Row(elem_classes="few", elem_id="mirror-mix"):
            weights = [_weight(number) for number in NUMBERS]
        with gr.Row(elem_id="mirror-looks"):
            gr.Slider(
                0,
                100,
                value=100,
                step=1,
                label=say("mirror.strength"),
                interactive=True,
                elem_id="mirror-strength",
                scale=2,
                min_width=160,
            )
            gr.Radio(
                [(say("mirror.side", side=side), side) for side in mirror.SIDES],
                value=mirror.SIDES[0],
                label=say("mirror.sides"),
                interactive=True,
                elem_id="mirror-side",
                scale=3,
                min_width=290,
            )
            gr.Checkbox(
                True,
                label=say("mirror.flip"),
                interactive=True,
                elem_id="mirror-flip",
                min_width=130,
            )
        with gr.Row(elem_classes="away"):  # by itself, for `mirror.js` to find its input
            upload = gr.UploadButton(say("mirror.paint_moment"), elem_id="upload-moment")
        renew = gr.Button(say("mirror.start"), elem_id="mirror-renew", elem_classes="away")
        camera, told = gr.Textbox(visible="hidden"), gr.Textbox(visible="hidden")
    return MirrorTab(tab, start, stop, moment, upload, renew, weights, camera, told)


def _view() -> str:
    """The picture, and the line under it; with what the browser has to say."""
    texts = {name: say(f"camera.{name}") for name in SAID}
    said, idle = html.escape(json.dumps(texts)), html.escape(texts["idle"])
    described = html.escape(say("mirror.described"))
    return (
        f'<div class="mirror" data-said="{said}">'
        f'<canvas role="img" aria-label="{described}" width="4" height="3"></canvas>'
        f'<p><span class="note" role="status">{idle}</span> '
        '<span class="rate"></span></p></div>'
    )


def _weight(number: int) -> Any:
    return gr.Slider(
        0,
        1,
        value=1.0,
        step=0.01,
        label=say("more.weight", number=number),
        interactive=True,
        visible=False,
        elem_id=f"mirror-weight-{number}",
        min_width=100,
    )
