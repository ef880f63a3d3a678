"""The door to how it works: what can be explained, and where it is shown."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from page import inside
from page.texts import say


@dataclass(frozen=True)
class InsideTab:
    """All components of it that something is wired to."""

    door: gr.Accordion
    topic: gr.Radio
    stop: gr.Button
    status: gr.Markdown
    screen: gr.HTML


def lay_out() -> InsideTab:
    """The door; the browser makes what is behind it when it is opened, and not before."""
    with gr.Accordion(say("inside.door"), open=False, elem_id="inside") as door:
        gr.Markdown(say("inside.hint"), elem_classes="note")
        topic = gr.Radio(inside.choices(), label=say("inside.topic"), elem_id="topic")
        with gr.Row(elem_id="inside-tools"):
            status = gr.Markdown(elem_id="inside-status")
            stop = gr.Button(
                say("tools.stop"), variant="stop", size="sm", scale=0, elem_id="inside-stop"
            )
        screen = gr.HTML(elem_id="explained")
    return InsideTab(door, topic, stop, status, screen)
