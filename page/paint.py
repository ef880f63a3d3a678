"""Painting: begin, go on, stop, and the first look; what the tools are meanwhile and afterwards.

What a visitor painted is in `studio.STUDIO` under its token; the page holds the token alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import secrets
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from nst_core import Easel, Frame, NSTError, SettingsError, StopToken, Style, recipe, stream
from nst_core.engine.choices import check_choices
from nst_core.pictures import images
from nst_core.pictures.film import ThinnedFrames
from nst_core.recipe import Recipe, Stretch
from nst_core.settings import DEFAULT_SIZE
from page import choice, choose, controls, gradio_inside, journal, studio, turns, views
from page.choice import Choice
from page.stage import Shown, is_skipped, progress
from page.studio import STUDIO, Painting
from page.texts import say
from page.turns import TURN_OVER, Ticket
from page.words import (
    LossHistory,
    ready_text,
    status_text,
    stopped_text,
    told,
    turn_over_text,
    waiting_text,
)

FOLLOW_EVERY = 0.5  # s, that another tab is behind the one that paints

MAX_STEP_SECONDS = 10.0  # s, that a run which is cancelled may still take


class Tools(NamedTuple):
    """What stands under the stage."""

    paint: Any
    stop: Any
    go_on: Any
    save: Any
    save_film: Any
    blend: Any
    chart: Any


def stylize(*row: Any) -> Iterator[tuple[Any, ...]]:
    """Paint a photo in the style of a painting; streams the picture on its way."""
    *values, preset = row
    try:
        chosen = choice.with_preset(values, preset)
    except SettingsError as error:
        raise gr.Error(told(error), print_exception=False) from None
    kept = Shown(picture=None, losses=None, progress=None)
    for shown in paint(None, *chosen):
        kept = Shown(*(a if is_skipped(b) else b for a, b in zip(kept, shown, strict=True)))
        # An assistant would read a plot's table to the last of some thousand words.
        losses = None if gradio_inside.is_tool_call() else kept.losses
        yield kept.picture, kept.status, losses, kept.progress


def paint(token: str | None, *row: Any) -> Iterator[Shown]:
    """What Paint does on the page: `stylize`, and the token to come back with.

    Args:
        token: of the painting before, which stays if this one is stopped before its start.
        row: of a `Choice`.
    """
    yield from in_words(_paint(token, row), token)


def _paint(before: str | None, row: Sequence[Any]) -> Generator[Shown, None, None]:
    with journal.job("paint") as facts, _turn() as ticket:
        chosen = Choice.from_row(row)
        photo, painting = chosen.photo_and_painting()
        studio.check_there(*chosen.files)
        settings, styles = chosen.settings, chosen.paintings()
        check_choices(settings)
        facts |= {"size": settings.size, "paintings": len(styles)}
        title = choose.title(chosen)
        yield Shown(_first_sight(chosen, styles), ready_text(), None, title=title)
        yield from wait(ticket, facts)
        if ticket.stop.is_set():
            facts["outcome"] = ticket.stop.reason
            yield _stopped_before_the_start(before)
            return
        name = f"{Path(photo).stem[:60]}-{Path(painting).stem[:60]}"
        made = recipe.make(photo, styles, settings, chosen.keep)
        easel = Easel(photo, styles, settings, chosen.keep)
        earlier = _picture_before(before, made)
        begun = functools.partial(
            Painting, name, chosen, made, easel, ThinnedFrames(), LossHistory(), earlier=earlier
        )
        frames = easel.paint(ticket.stop)
        has_begun = yield from _watch(secrets.token_urlsafe(16), begun, frames, ticket, facts)
        if not has_begun:
            yield _stopped_before_the_start(before)


def _first_sight(chosen: Choice, styles: Sequence[Style]) -> np.ndarray:
    """The photo, uint8 [H, W, 3], when all pictures can be read: nobody waits for an error."""
    photo, _ = chosen.photo_and_painting()
    size, enlarge = chosen.settings.size or DEFAULT_SIZE, chosen.settings.enlarge
    for one in styles:
        studio.load(one.image, size)
    return images.to_uint8(studio.load(photo, size, enlarge).rgb)


def _picture_before(token: str | None, made: Recipe) -> np.ndarray | None:
    """The last picture, uint8 [H, W, 3], if it was made of the same photo as this one."""
    painting = STUDIO.find(token)
    if painting is None or painting.recipe.content.sha256 != made.content.sha256:
        return None
    return painting.frame.image


def _stopped_before_the_start(token: str | None) -> Shown:
    """The painting before, if there was one."""
    painting = STUDIO.find(token)
    if token is None or painting is None:
        return Shown(status=say("status.stopped_before"))
    return Shown(
        _finished(token, painting),
        say("status.stopped_last_kept"),
        painting.history.table(),
        title=choose.title_of(painting.recipe),
    )


def wait(ticket: Ticket, facts: dict[str, Any]) -> Iterator[Shown]:
    """Say what there is to wait for, until it is the ticket's turn."""
    place = None
    for place in turns.TURNS.wait(ticket):
        yield Shown(status=waiting_text(place))
    if place is not None:
        yield Shown(status=ready_text())
    facts["waited"] = round(time.monotonic() - ticket.joined, 3)


def go_on(token: str | None, *values: Any) -> Iterator[Shown]:
    """Take a painting up again where it stopped, with whatever was changed since but its size.

    Args:
        values: of the settings alone, as `controls.read` takes them.
    """
    yield from in_words(_go_on(token, values), token)


def _go_on(token: str | None, values: tuple[Any, ...]) -> Generator[Shown, None, None]:
    with journal.job("continue") as facts, _turn() as ticket:
        settings = _begun(token).easel.settings.resumed_with(controls.read(values))
        yield from wait(ticket, facts)
        painting = _begun(token)  # as it is after the wait
        if ticket.stop.is_set():
            facts["outcome"] = ticket.stop.reason
            yield _stopped_before_the_start(token)
            return
        stretch = Stretch(painting.easel.settings, painting.frame.step)
        frames = painting.easel.resume(settings, ticket.stop)
        made = dataclasses.replace(
            painting.recipe, settings=settings, before=(*painting.recipe.before, stretch)
        )
        earlier = painting.frame.image
        begun = functools.partial(dataclasses.replace, painting, recipe=made, earlier=earlier)
        yield from _watch(token or "", begun, frames, ticket, facts)


def _begun(token: str | None) -> Painting:
    """The painting of this token; raises `SettingsError` when it is gone."""
    painting = STUDIO.find(token)
    if painting is None:
        raise SettingsError("That painting is no longer here to go on with; press Paint to begin.")
    return painting


def _watch(
    token: str,
    begun: Callable[..., Painting],
    frames: Generator[Frame, None, None],
    ticket: Ticket,
    facts: dict[str, Any],
) -> Generator[Shown, None, bool]:
    """Show every frame, and keep the painting as it is then; returns whether there was one.

    Args:
        begun: the painting, but for its frame.
    """
    frame = painting = None
    with contextlib.closing(frames), STUDIO.at_work(token):
        for frame in frames:
            height, width, _ = frame.image.shape
            facts |= {"width": width, "height": height, "steps": frame.step}
            own = begun(frame=frame).planned()
            own.pictures_so_far.add(frame.painted)
            own.history.add(frame.step, frame.losses)
            is_first = painting is None
            painting = STUDIO.change(token, functools.partial(_as_colored, own, is_first))
            picture = _finished(token, painting) if frame.done else painting.frame.image
            losses = painting.history.table()
            yield Shown(picture, status_text(frame), losses, token, progress=progress(frame))
    if ticket.stop.is_set() and not (frame and frame.done):
        facts["outcome"] = ticket.stop.reason
        if painting is not None and frame is not None:
            text = turn_over_text if ticket.stop.reason == TURN_OVER else stopped_text
            yield Shown(_finished(token, STUDIO.find(token) or painting), text(frame))
    return frame is not None


def _as_colored(painting: Painting, is_first: bool, before: Painting | None) -> Painting:
    """A run's picture, in the colours that were chosen for the one before, but for the first."""
    return painting if is_first or before is None else painting.recolored(before.color)


def _finished(token: str, painting: Painting) -> str:
    """The file of a picture at its best quality, stored for those who come back."""
    path = studio.save_picture(painting)
    studio.store_last(token, path)
    return path


def follow(token: str | None) -> Iterator[Shown]:
    """What another tab of the same visitor paints, until it is done."""
    yield from in_words(_follow(token), token)


def _follow(token: str | None) -> Generator[Shown, None, None]:
    if token is None or not STUDIO.is_at_work(token):
        yield Shown()
        return
    client, seen = StopToken(*turns.client_conditions()), None
    while STUDIO.is_at_work(token) and not client.is_set():
        painting = STUDIO.find(token)
        if painting is not None and painting is not seen:
            seen = painting
            yield shown_again(token, painting)
        time.sleep(FOLLOW_EVERY)
    painting = STUDIO.find(token)
    yield Shown() if painting is None else shown_again(token, painting)


def shown_again(token: str, painting: Painting) -> Shown:
    """The stage of one who comes back to a painting, or sees it in another tab."""
    frame, losses = painting.frame, painting.history.table()
    title = choose.title_of(painting.recipe)
    if STUDIO.is_at_work(token):
        text = say("status.elsewhere", status=status_text(frame))
        return Shown(frame.image, text, losses, token, title)
    text = status_text(frame) if frame.done else stopped_text(frame)
    picture = studio.save_picture(painting)
    return Shown(picture, say("status.yours", status=text), losses, token, title)


def _turn() -> contextlib.AbstractContextManager[Ticket]:
    """Join those who wait to paint, as long as the client of this event is there and reads."""
    return turns.join_own(*turns.client_conditions())


def in_words(
    run: Generator[Shown, None, None], token: str | None = None
) -> Generator[Shown, None, None]:
    """What goes wrong, told as a notice and in the status line; the picture so far stays.

    Pictures become files here: Gradio would write them where no error of ours is left to tell. And
    losses that stay are sent again: a plot that is not open would take "as it is" for its value.

    Args:
        token: of the painting before.
    """
    before = STUDIO.find(token)
    losses = before.history.table() if before else None
    try:
        with contextlib.closing(run):
            for shown in run:
                is_array = isinstance(shown.picture, np.ndarray)
                picture = studio.save_frame(shown.picture) if is_array else shown.picture
                losses = losses if is_skipped(shown.losses) else shown.losses
                yield shown._replace(picture=picture, losses=losses)
    except Exception as error:
        text = reason(error)
        yield Shown(status=text, losses=losses)
        raise gr.Error(text, print_exception=False) from None


def reason(error: Exception) -> str:
    """What went wrong, for the visitor; what nobody foresaw is in the log under the job's name."""
    if isinstance(error, (NSTError, MemoryError, OSError)):
        return told(error)
    return say("notices.our_fault", job=journal.fault(error))


def label(time_budget: Any, steps: Any) -> Any:
    """The button that paints: how long it takes, and how many others are painted or wait."""
    is_timed = time_budget not in (None, "")
    text = (
        say("tools.paint_time", seconds=str(time_budget).replace(".", say("numbers.point")))
        if is_timed
        else say("tools.paint_steps", steps=steps)
    )
    ahead = turns.TURNS.count(besides=turns.session())
    return gr.update(value=say("tools.ahead", paint=text, count=ahead) if ahead else text)


def stop() -> None:
    """What Stop does: the run of this visitor ends within a step, and shows what came of it."""
    turns.stop_own()


def at_work() -> tuple[Any, ...]:
    """Status, the stage's tab, and the tools from the click until the picture is done."""
    turns.expect_own()  # Stop can be pressed before the run has joined those who wait
    tools = Tools(
        paint=gr.update(interactive=False),
        stop=gr.update(interactive=True),
        go_on=gr.update(interactive=False),
        save=gr.update(value=None, interactive=False),
        save_film=gr.update(interactive=False),
        blend=gr.update(value=100, interactive=False),
        chart=gr.update(visible=True),
    )
    return say("status.joining"), gr.update(selected="picture"), *tools


def at_rest(token: str | None) -> Tools:
    """The tools when nothing is being painted.

    Not before the work has ended: Gradio may lose a run that is begun while it still cancels one.
    """
    session = turns.session()
    turns.TURNS.wait_until_left(session, MAX_STEP_SECONDS)
    if turns.TURNS.is_busy(session):  # with what was begun since, whose end comes here again
        return Tools(*[gr.skip()] * len(Tools._fields))
    painting = STUDIO.find(token)
    return Tools(
        paint=gr.update(interactive=True),
        stop=gr.update(interactive=False),
        go_on=gr.update(interactive=painting is not None and painting.easel.can_resume),
        save=_save_button(token, painting),
        save_film=gr.update(interactive=painting is not None),
        blend=gr.update(interactive=painting is not None),
        chart=gr.update(visible=painting is not None),
    )


def _save_button(token: str | None, painting: Painting | None) -> Any:
    """The button that saves the picture; not ready when the disk takes no file of it."""
    try:
        return (
            views.save_button(painting) if painting else views.file_button(studio.find_last(token))
        )
    except OSError:  # the run has told it
        return views.file_button(None)


def preview(*row: Any) -> str:
    """The first look at a photo in the style of a painting, in one call, without painting on."""
    try:
        chosen = Choice.from_row(row, choice.PREVIEW)
        photo, _ = chosen.photo_and_painting()
        studio.check_there(*chosen.files)
        styles = chosen.paintings()
        with journal.job("preview") as facts, _turn() as ticket:
            for _ in wait(ticket, facts):
                pass
            frame = None
            if not ticket.stop.is_set():  # or it would load pictures while another one paints
                frames = stream(photo, styles, chosen.settings, chosen.keep, stop=ticket.stop)
                with contextlib.closing(frames):
                    frame = next(frames, None)
            if frame is None:
                facts["outcome"] = ticket.stop.reason
                raise SettingsError("Stopped before the first look.")
        return studio.save_image(frame.to_pil(), "preview")
    except Exception as error:
        raise gr.Error(reason(error), print_exception=False) from None


choice.describe(
    stylize,
    choice.STYLIZE,
    [
        "the picture: JPEG on the way, PNG at the end",
        "the status in words",
        "the losses of the steps so far, as powers of ten",
        "the progress as data: step, steps, scale, seconds, seconds_left, done, losses",
    ],
)
choice.describe(preview, choice.PREVIEW, ["the picture, PNG"])
