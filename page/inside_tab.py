"""The door to how it works: what can be explained, and where it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from nst_core.explain.explore import VGG_16
from page import inside
from page.texts import say, translated

SCRIPT = Path(__file__).with_name("inside.js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class InsideTab:
    """All components of it that something is wired to."""

    door: gr.Accordion
    topic: gr.Radio
    unit: gr.Textbox  # of the network, what was clicked last
    stop: gr.Button
    status: gr.Markdown
    screen: gr.HTML


def lay_out() -> InsideTab:
    """The door; the browser makes what is behind it when it is opened, and not before."""
    with gr.Accordion(say("inside.door"), open=False, elem_id="inside") as door:
        gr.Markdown(f"{translated(VGG_16)} {say('inside.hint')}", elem_classes="note")
        topic = gr.Radio(inside.choices(), label=say("inside.topic"), elem_id="topic")
        with gr.Row(elem_id="inside-tools"):
            status = gr.Markdown(elem_id="inside-status")
            stop = gr.Button(
                say("tools.stop"),
                variant="stop",
                size="sm",
                scale=0,
                interactive=False,
                elem_id="inside-stop",
            )
        unit = gr.Textbox(visible="hidden")
        screen = gr.HTML(elem_id="explained", js_on_load=SCRIPT)
    return InsideTab(door, topic, unit, stop, status, screen)
