"""How it works: small runs on the visitor's photo and painting, each of which shows one thing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import gradio as gr

from nst_core import StopToken
from nst_core.explain.markup import section_html
from nst_core.explain.sections import TOPICS, Section, grow
from page import journal, paint, studio, turns
from page.choice import Choice
from page.texts import say, translated
from page.words import waiting_text

WORK = "inside"  # whose turns it has

SHOW_EVERY = 0.5  # s, between two answers


def choices() -> list[tuple[str, str]]:
    """What can be explained: what it is called, and its name."""
    return [(translated(topic.words.title), name) for name, topic in TOPICS.items()]


def show(name: str, content: str | None, style: str | None) -> Iterator[tuple[str, str]]:
    """Explain one thing on this photo and this painting: what is to be seen, and the status."""
    try:
        with journal.job("explain") as facts:
            facts["topic"] = name
            photo, painting = Choice.from_row((content, style)).photo_and_painting()
            studio.check_there(photo, painting)
            join = turns.join_own(*paint.client_conditions(), work=WORK)
            with join as ticket:
                for place in turns.TURNS.wait(ticket):
                    yield gr.skip(), waiting_text(place)
                yield from _grown(name, photo, painting, ticket.stop)
    except Exception as error:
        raise gr.Error(paint.reason(error), print_exception=False) from None


def _grown(name: str, photo: str, painting: str, stop: StopToken) -> Iterator[tuple[str, str]]:
    section, shown = None, 0.0
    with contextlib.closing(grow(name, photo, painting, stop)) as sections:
        for section in sections:
            if time.monotonic() - shown >= SHOW_EVERY:
                yield _as_html(section), say("inside.running")
                shown = time.monotonic()
    status = say("inside.stopped" if stop.is_set() else "inside.done")
    yield gr.skip() if section is None else _as_html(section), status


def _as_html(section: Section) -> str:
    return section_html(section, translated)


def stop() -> None:
    """End what is being explained to this visitor, within a step."""
    turns.stop_own(WORK)
