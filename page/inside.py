"""How it works: small runs on the visitor's photo and painting, each of which shows one thing."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import threading
import time
from collections.abc import Generator, Iterator
from typing import Any

import gradio as gr
from cachetools import LRUCache

from nst_core import StopToken
from nst_core.explain.explore import FIRST, Unit, explore
from nst_core.explain.markup import section_html
from nst_core.explain.panels import PANELS
from nst_core.explain.parts import Grid, Paragraph, Part, Section
from nst_core.explain.sections import TOPICS, grow, originals
from nst_core.settings import one_of, unwanted
from page import choose, controls, examples, journal, paint, studio, turns
from page.choice import Choice
from page.texts import language, say, translated
from page.words import waiting_text

WORK = "inside"  # whose turns it has

SHOW_EVERY = 0.5  # s, between two answers

NETWORK, DIALS = "network", "dials"  # topics in which something is clicked
DIAL = "dial/"  # what a click on a picture of the dials chooses, before its number

# Settings that a picture of the dials gives to the painter: all that make its objective, and how it
# begins. Size, time, colours and style scale stay the visitor's.
TAKEN = (
    "strength",
    "style_loss",
    "content_weight",
    "style_weight",
    "edge_weight",
    "gram_weight",
    "tv_weight",
    "content_layer",
    "style_layers",
    "pooling",
    "subject",
    "init",
)

MAX_KEPT = 64e6  # B, of what was explained on example pictures

# What was explained on example pictures, as HTML: topic, unit, language, photo, painting -> it.
Key = tuple[str, str, str, str, str]
KEPT: LRUCache[Key, str] = LRUCache(MAX_KEPT, getsizeof=len)
_LOCK = threading.Lock()


def choices() -> list[tuple[str, str]]:
    """What can be explained: what it is called, and its name."""
    return [(translated(topic.words.title), name) for name, topic in TOPICS.items()]


def show(
    name: str, unit: str | None, content: str | None, style: str | None
) -> Iterator[tuple[str, str]]:
    """Explain one thing on this photo and this painting: what is to be seen, and the status.

    What was explained on the same example pictures before is there at once.

    Args:
        unit: what of the network was clicked last, as `Unit.parse` reads it.
    """
    try:
        with journal.job("explain") as facts:
            facts["topic"] = name
            photo, painting = Choice.from_row((content, style)).photo_and_painting()
            studio.check_there(photo, painting)
            looked_at = Unit.parse(unit) if unit else FIRST
            key = _key(name, looked_at, photo, painting)
            with _LOCK:
                kept = KEPT.get(key) if key else None
            if kept is not None:
                yield kept, say("inside.done")
                return
            with turns.join_own(*turns.client_conditions(), work=WORK) as ticket:
                for place in turns.TURNS.wait(ticket):
                    yield gr.skip(), waiting_text(place)
                sections = _sections(name, looked_at, photo, painting, ticket.stop)
                yield from _grown(name, sections, ticket.stop, key)
    except Exception as error:
        raise gr.Error(paint.reason(error), print_exception=False) from None


def _key(name: str, unit: Unit, photo: str, painting: str) -> Key | None:
    """Under what it is kept; None for pictures of the visitor's own."""
    content = choose.example_name("content", photo)
    style = choose.example_name("style", painting)
    if content is None or style is None:
        return None
    return name, unit.spell() if name == NETWORK else "", language(), content, style


def _sections(
    name: str, unit: Unit, photo: str, painting: str, stop: StopToken
) -> Generator[Section, None, None]:
    if name == NETWORK:
        return explore(photo, unit, pictures_to_search(), stop)
    return _from_originals(name, photo, painting, stop)


def _from_originals(
    name: str, photo: str, painting: str, stop: StopToken
) -> Generator[Section, None, None]:
    """A topic below the two pictures that it is made from."""
    given = originals(photo, painting)
    with contextlib.closing(grow(name, photo, painting, stop)) as growing:
        for section in growing:
            yield section._replace(parts=(given, *section.parts))


def pictures_to_search() -> dict[str, str]:
    """The files of all example pictures by their titles."""
    return {
        examples.title(kind, name): str(examples.path_of(kind, name))
        for kind in examples.KINDS
        for name in examples.NAMES[kind]
    }


def _grown(
    name: str, sections: Generator[Section, None, None], stop: StopToken, key: Key | None
) -> Iterator[tuple[Any, str]]:
    section, shown = None, 0.0
    with contextlib.closing(sections):
        for section in sections:
            if time.monotonic() - shown >= SHOW_EVERY:
                yield as_html(name, section), say("inside.running")
                shown = time.monotonic()
    if stop.is_set() or section is None:
        yield gr.skip() if section is None else as_html(name, section), say("inside.stopped")
        return
    screen = as_html(name, section)
    if key and len(screen) <= MAX_KEPT:
        with _LOCK:
            KEPT[key] = screen
    yield screen, say("inside.done")


def as_html(name: str, section: Section) -> str:
    """What is shown of a topic, in the language of now."""
    if name == DIALS:
        dials = itertools.chain.from_iterable(map(_with_dials, section.parts))
        section = section._replace(parts=tuple(dials))
    return section_html(section, translated)


def _with_dials(part: Part) -> tuple[Part, ...]:
    """The same, each picture of a grid there to be clicked."""
    if not isinstance(part, Grid):
        return (part,)
    figures = (
        figure._replace(choice=f"{DIAL}{number}") for number, figure in enumerate(part.figures)
    )
    return Paragraph(say("inside.click_dial")), dataclasses.replace(part, figures=tuple(figures))


def choose_unit(event: gr.EventData) -> str:
    """What of the network was clicked; what is being explained ends within a step."""
    stop()
    return str(event.choice)


def take_dial(event: gr.EventData) -> list[Any]:
    """Settings of a picture that was clicked for the painter: status, preset, `controls.NAMES`."""
    cells = {f"{DIAL}{number}": cell for number, cell in enumerate(PANELS[DIALS].cells)}
    choice = str(event.choice)
    if choice not in cells:
        error = unwanted("dial", choice, one_of(cells))
        raise gr.Error(paint.reason(error), print_exception=False)
    cell = cells[choice]
    row = Choice(settings=cell.settings).to_row(controls.NAMES)
    given = [
        value if name in TAKEN else gr.skip()
        for name, value in zip(controls.NAMES, row, strict=True)
    ]
    return [say("inside.taken", dial=translated(cell.label)), None, *given]


def stop() -> None:
    """End what is being explained to this visitor, within a step."""
    turns.stop_own(WORK)
