"""What happens when something on the page is pressed, moved or dropped.

Each function takes the values of the components that `app.py` wires to it and returns those of
others. What a visitor painted is in `STUDIO` under its token; the page holds the token alone.
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
from gradio.context import LocalContext

from nst_core import (
    Easel,
    Frame,
    ImageError,
    NSTError,
    Settings,
    SettingsError,
    Style,
    recipe,
    stream,
)
from nst_core.colors import COLOR_MODES
from nst_core.engine.choices import check_choices
from nst_core.pictures import images
from nst_core.pictures.film import ThinnedFrames
from nst_core.presets import PRESETS
from nst_core.recipe import Source, Stretch
from nst_core.settings import DEFAULT_SIZE
from nst_core.stop import Condition
from page import controls, examples, journal, looks, mixing, studio
from page.studio import Painting, Studio
from page.turns import TURN_OVER, Ticket, Turns
from page.words import (
    plain,
    plot_data,
    ready_text,
    status_text,
    stopped_text,
    turn_over_text,
    waiting_text,
)

BROWSER_READABLE = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".avif"}

# Under a pair's finished picture that was on the page before anybody painted.
PAINTED_BEFORE = "A finished example. Press **Paint** to watch it being painted."

# Under a visitor's last picture when nothing but its file is left.
LAST_PICTURE = "Your last picture. The server was started again since; **Paint** begins anew."

# What the page opens with.
OPENING = "gallery"
OPENING_PAIR = examples.PAIRS[0]

STUDIO = Studio()
TURNS = Turns()

# Events of a run that nobody reads before it ends: with four pictures a second, for 25 s.
MAX_UNREAD = 100

MAX_STEP_SECONDS = 10.0  # s, that a run which is cancelled may still take


class Shown(NamedTuple):
    """The stage: what is left out stays as it is."""

    picture: Any = gr.skip()
    status: Any = gr.skip()
    losses: Any = gr.skip()
    token: Any = gr.skip()


class Tools(NamedTuple):
    """What stands under the stage."""

    paint: Any
    stop: Any
    go_on: Any
    save: Any
    blend: Any
    chart: Any


# --- Painting -----------------------------------------------------------------------------------


def stylize(content: str | None, style: str | None, *values: Any) -> Iterator[tuple[Any, ...]]:
    """Paint a photo in the style of a painting; streams the picture on its way."""
    picture = losses = None
    for shown in paint(None, content, style, *values):
        picture = picture if _is_skipped(shown.picture) else shown.picture
        losses = losses if _is_skipped(shown.losses) else shown.losses
        yield picture, shown.status, losses


def _is_skipped(value: Any) -> bool:
    """Whether the page is to leave something as it is, which other programs cannot."""
    return isinstance(value, dict)


def paint(
    token: str | None, content: str | None, style: str | None, *values: Any
) -> Iterator[Shown]:
    """What Paint does on the page: `stylize`, and the token to come back with.

    `token` is that of the painting before, which stays if this one is stopped before its start.
    """
    yield from _in_words(_paint(token, content, style, values))


def _paint(
    before: str | None, content: str | None, style: str | None, values: tuple[Any, ...]
) -> Generator[Shown, None, None]:
    with journal.job("paint") as facts, _turn() as ticket:
        photo, painting = _both(content, style)
        settings, more = controls.read(values), values[len(controls.NAMES) :]
        check_choices(settings)
        styles, keep = mixing.read(painting, more)
        facts |= {"size": settings.size, "paintings": len(styles)}
        yield Shown(_first_sight(photo, styles, settings), ready_text(), None)
        yield from _wait(ticket, facts)
        if ticket.stop.is_set():
            facts["outcome"] = ticket.stop.reason
            yield _stopped_before_the_start(before)
            return
        name = f"{Path(photo).stem[:60]}-{Path(painting).stem[:60]}"
        made = recipe.make(photo, styles, settings, keep)
        easel = Easel(photo, styles, settings, keep)
        chosen = (photo, painting, *more)
        begun = functools.partial(Painting, name, chosen, made, easel, ThinnedFrames(), [])
        frames = easel.paint(ticket.stop)
        has_begun = yield from _watch(secrets.token_urlsafe(16), begun, frames, ticket, facts)
        if not has_begun:
            yield _stopped_before_the_start(before)


def _first_sight(photo: str, styles: Sequence[Style], settings: Settings) -> np.ndarray:
    """The photo, uint8 [H, W, 3], when all pictures can be read: nobody waits for an error."""
    size = settings.size or DEFAULT_SIZE
    for one in styles:
        studio.load(one.image, size)
    return images.to_uint8(studio.load(photo, size, settings.enlarge).rgb)


def _stopped_before_the_start(token: str | None) -> Shown:
    """The painting before, if there was one."""
    painting = STUDIO.find(token)
    if token is None or painting is None:
        return Shown(status="Stopped before the first step.")
    text = "Stopped before the first step; the last picture is kept."
    return Shown(_finished(token, painting), text)


def _wait(ticket: Ticket, facts: dict[str, Any]) -> Iterator[Shown]:
    """Say what there is to wait for, until it is the ticket's turn."""
    place = None
    for place in TURNS.wait(ticket):
        yield Shown(status=waiting_text(place))
    if place is not None:
        yield Shown(status=ready_text())
    facts["waited"] = round(time.monotonic() - ticket.joined, 3)


def go_on(token: str | None, *values: Any) -> Iterator[Shown]:
    """Take a painting up again where it stopped, with whatever was changed since but its size."""
    yield from _in_words(_go_on(token, values))


def _go_on(token: str | None, values: tuple[Any, ...]) -> Generator[Shown, None, None]:
    with journal.job("continue") as facts, _turn() as ticket:
        settings = _begun(token).easel.settings.resumed_with(controls.read(values))
        yield from _wait(ticket, facts)
        painting = _begun(token)  # as it is after the wait
        if ticket.stop.is_set():
            facts["outcome"] = ticket.stop.reason
            yield Shown(status=stopped_text(painting.frame))
            return
        stretch = Stretch(painting.easel.settings, painting.frame.step)
        frames = painting.easel.resume(settings, ticket.stop)
        made = dataclasses.replace(
            painting.recipe, settings=settings, before=(*painting.recipe.before, stretch)
        )
        begun = functools.partial(dataclasses.replace, painting, recipe=made)
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
    with contextlib.closing(frames):
        for frame in frames:
            height, width, _ = frame.image.shape
            facts |= {"width": width, "height": height, "steps": frame.step}
            own = begun(frame=frame).planned()
            own.pictures_so_far.add(frame.painted)
            own.history.extend((frame.step, *term) for term in frame.losses.items())
            is_first = painting is None
            painting = STUDIO.change(token, functools.partial(_as_colored, own, is_first))
            picture = _finished(token, painting) if frame.done else painting.frame.image
            yield Shown(picture, status_text(frame), plot_data(painting.history), token)
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


def _turn() -> contextlib.AbstractContextManager[Ticket]:
    """Join those who wait to paint, as long as the client of this event is there and reads."""
    return TURNS.join(_session(), *_client_conditions())


def _client_conditions() -> list[Condition]:
    """Reasons to stop that lie with the client; outside of Gradio there are none."""
    blocks, request = LocalContext.blocks.get(None), LocalContext.request.get(None)
    event_id = LocalContext.event_id.get(None)
    if blocks is None or request is None or event_id is None:
        return []
    queue, session = blocks._queue, request.session_hash

    def hung_up() -> str:
        jobs = [job for jobs in list(queue.active_jobs) for job in jobs or ()]
        is_wanted = any(job._id == event_id and job.alive for job in jobs)
        return "" if is_wanted else "hung up"

    def unread() -> str:
        # Nobody may have opened the event's stream.
        events = queue.pending_messages_per_session.get(session)
        return "unread" if events and events.qsize() > MAX_UNREAD else ""

    return [hung_up, unread]


def _session() -> str:
    """Whose event this is; outside of Gradio everybody is a visitor of their own."""
    request = LocalContext.request.get(None)
    return getattr(request, "session_hash", None) or secrets.token_hex(8)


def _in_words(run: Generator[Shown, None, None]) -> Iterator[Shown]:
    """What goes wrong, told as a notice and in the status line; the picture so far stays.

    Pictures become files here: Gradio would write them where no error of ours is left to tell.
    """
    try:
        with contextlib.closing(run):
            for shown in run:
                is_array = isinstance(shown.picture, np.ndarray)
                picture = studio.save_frame(shown.picture) if is_array else shown.picture
                yield shown._replace(picture=picture)
    except OSError as error:
        yield from _told(
            f"The server cannot write pictures now ({error.strerror}); try again soon."
        )
    except (NSTError, MemoryError) as error:
        yield from _told(str(error))


def _told(text: str) -> Iterator[Shown]:
    yield Shown(status=plain(text))
    raise gr.Error(plain(text), print_exception=False)


def _both(content: str | None, style: str | None) -> tuple[str, str]:
    if content is None or style is None:
        raise ImageError(f"Choose a {'photo' if content is None else 'painting'} first.")
    studio.check_there(content, style)
    return content, style


def stop() -> None:
    """What Stop does: the run of this visitor ends within a step, and shows what came of it."""
    TURNS.stop(_session())


def at_work() -> tuple[Any, ...]:
    """Status, the stage's tab, and the tools from the click until the picture is done."""
    tools = Tools(
        paint=gr.update(interactive=False),
        stop=gr.update(interactive=True),
        go_on=gr.update(interactive=False),
        save=gr.update(value=None, interactive=False),
        blend=gr.update(value=100, interactive=False),
        chart=gr.update(visible=True),
    )
    return "In the queue …", gr.update(selected="picture"), *tools


def at_rest(token: str | None) -> Tools:
    """The tools when nothing is being painted.

    Not before the work has ended: Gradio may lose a run that is begun while it still cancels one.
    """
    TURNS.wait_until_left(_session(), MAX_STEP_SECONDS)
    painting = STUDIO.find(token)
    return Tools(
        paint=gr.update(interactive=True),
        stop=gr.update(interactive=False),
        go_on=gr.update(interactive=painting is not None and painting.easel.can_resume),
        save=save_button(painting) if painting else _button(studio.find_last(token)),
        blend=gr.update(interactive=painting is not None),
        chart=gr.update(visible=painting is not None),
    )


def preview(content: str | None, style: str | None, size: int, *more: Any) -> str:
    """The first look at a photo in the style of a painting, in one call, without painting on."""
    try:
        photo, painting = _both(content, style)
        styles, keep = mixing.read(painting, more)
        with journal.job("preview") as facts, _turn() as ticket:
            for _ in _wait(ticket, facts):
                pass
            frame = None
            if not ticket.stop.is_set():  # or it would load pictures while another one paints
                frames = stream(photo, styles, Settings(size=size), keep, stop=ticket.stop)
                with contextlib.closing(frames):
                    frame = next(frames, None)
            if frame is None:
                raise SettingsError("Stopped before the first look.")
    except (NSTError, MemoryError) as error:
        raise gr.Error(plain(str(error)), print_exception=False) from None
    return studio.save_image(frame.to_pil(), "preview")


# --- After the run ------------------------------------------------------------------------------


def save_button(painting: Painting | None, percent: float = 100) -> Any:
    """The button that saves the PNG, ready when there is one."""
    return _button(studio.save_picture(painting, percent / 100) if painting else None)


def _button(path: str | None) -> Any:
    return gr.update(value=path, interactive=path is not None)


def blend(token: str | None, percent: float) -> Any:
    """The picture with so much of the painting in it."""
    painting = STUDIO.find(token)
    return painting.blended(percent / 100) if painting else gr.skip()


def save_blend(token: str | None, percent: float) -> Any:
    """The PNG to save, for where the slider is."""
    return save_button(STUDIO.find(token), percent)


def recolor(token: str | None, color: str, percent: float) -> tuple[Any, Any]:
    """The picture and its PNG in other colours, at once."""
    painting = STUDIO.find(token)
    if token is None or painting is None or color not in COLOR_MODES:
        return gr.skip(), gr.skip()
    found = painting
    painting = STUDIO.change(token, lambda kept: (kept or found).recolored(color))
    if COLOR_MODES[color].painting:
        gr.Info("These colours are taken by the painting: press Continue or Paint to see them.")
    return painting.blended(percent / 100), save_button(painting, percent)


def compare(token: str | None) -> Any:
    """Photo and picture for the slider between them."""
    painting = STUDIO.find(token)
    return (painting.photo, painting.frame.image) if painting else gr.skip()


def open_run(token: str | None) -> tuple[Any, ...]:
    """The view of the run: a note, or the scrubber at the end of it and the picture there."""
    painting = STUDIO.find(token)
    if painting is None:
        return *_view(False), gr.skip(), gr.skip()
    count = len(painting.pictures_so_far)
    slider = gr.update(maximum=max(2, count), value=count, interactive=count > 1)
    return *_view(True), slider, painting.frame.image


def _view(is_filled: bool) -> tuple[Any, Any]:
    """Whether the note that there is nothing is to be seen, and what is."""
    return gr.update(visible=not is_filled), gr.update(visible=is_filled)


def scrub(token: str | None, number: int) -> Any:
    """The picture that had this number in the run, from 1."""
    painting = STUDIO.find(token)
    if painting is None:
        return gr.skip()
    moments = painting.moments()
    return moments[min(int(number), len(moments)) - 1]


def show_film(token: str | None, ending: str) -> tuple[Any, ...]:
    """The view of the film: a note or the film, and the button that saves it as chosen."""
    painting = STUDIO.find(token)
    if painting is None:
        return *_view(False), gr.skip(), gr.skip()
    return *_view(True), studio.save_film(painting, ".mp4"), film_button(token, ending)


def no_film() -> Any:
    """The button that saves the film while it is being made."""
    return gr.update(interactive=False)


def film_button(token: str | None, ending: str) -> Any:
    """The button that saves the film, which is made now."""
    painting = STUDIO.find(token)
    if painting is None:
        return gr.skip()
    return gr.update(value=studio.save_film(painting, ending), interactive=True)


# --- Choosing -----------------------------------------------------------------------------------


def pick_photo(event: gr.SelectData) -> str:
    """The example photo that was clicked."""
    return _picked("content", event)


def show_looks(content: str | None) -> Iterator[Any]:
    """The paintings to choose from, each as the photo looks in it; as they are without a photo."""
    if content is None:
        yield looks.paintings()
        return
    try:
        yield from looks.of_photo(content)
    except (NSTError, OSError, MemoryError):  # the photo's own field says what is wrong with it
        yield gr.skip()


def pick_painting(number: int, event: gr.SelectData) -> list[Any]:
    """The example painting that was clicked, as the painting of this number from 1.

    What was being painted ends within a step: the first painting is painted at once.
    """
    if number == mixing.NUMBERS[0]:
        TURNS.stop(_session())
    fields: list[Any] = [gr.skip()] * len(mixing.STYLES)
    fields[number - 1] = _picked("style", event)
    return fields


def _picked(kind: str, event: gr.SelectData) -> str:
    return str(examples.path_of(kind, examples.NAMES[kind][event.index]))


def pick(event: gr.SelectData) -> int:
    """The number of a pair that was clicked; what was being painted ends within a step."""
    TURNS.stop(_session())
    return int(event.index)


def choose_pair(number: int) -> tuple[Any, ...]:
    """A pair: both pictures, the stage with its finished one, both to compare."""
    pair = examples.PAIRS[number]
    photo, painting = map(examples.path_of, examples.KINDS, pair)
    before, after = painted_pair(*pair)
    stage = Shown(after, PAINTED_BEFORE, None, None)
    chosen = str(photo), str(painting), *mixing.NOTHING
    return *chosen, *stage, (before, after), gr.update(selected="picture")


def painted_pair(content: str, style: str) -> tuple[np.ndarray, str]:
    """The photo of a pair, uint8 [H, W, 3], and the file of its finished picture."""
    photo = studio.load(examples.path_of("content", content), examples.PAINTED.size)
    return images.to_uint8(photo.rgb), str(examples.painted_path(content, style))


def title(content: str | None, style: str | None) -> str:
    """The names of photo and painting over the stage."""
    names = [
        _known_name(kind, path) for kind, path in zip(examples.KINDS, (content, style), strict=True)
    ]
    return f"## {names[0] or 'Your photo'} × {names[1] or 'your painting'}"


def _known_name(kind: str, path: str | None) -> str | None:
    name = _example_name(kind, path)
    return examples.title(kind, name) if name else None


def _example_name(kind: str, path: str | None) -> str | None:
    if not path or not Path(path).exists():  # the cache was cleaned since
        return None
    return examples.find(kind, examples.checksum(Path(path)))


def choose_preset(name: str | None, *taste: Any) -> list[Any]:
    """The controls for a preset; those of `controls.TASTE` stay unless the preset has its own."""
    unchanged = [gr.skip()] * len(controls.NAMES)
    if name is None:
        return unchanged
    try:
        kept = dict(zip(controls.TASTE, taste, strict=True))
        return controls.show(Settings(**kept | dict(PRESETS[name].changes)))
    except SettingsError as error:
        gr.Warning(plain(str(error)))
        return unchanged


def check_upload(path: str | None) -> Any:
    """Take an uploaded picture away again if it cannot be used, and say why."""
    if path is None:
        return gr.skip()
    try:
        picture = studio.load(path, int(controls.MAX["size"]))
    except ImageError as error:
        gr.Warning(plain(str(error)))
        return None
    if Path(path).suffix.lower() in BROWSER_READABLE:
        return gr.skip()
    shown = images.to_pil(images.to_uint8(picture.rgb), picture.alpha)
    return studio.save_image(shown, Path(path).stem)


# --- Coming back --------------------------------------------------------------------------------


def remember(token: str | None) -> Any:
    """What the browser keeps: the last picture that was painted, whatever is looked at since."""
    return token or gr.skip()


def arrive(remembered: str | None, request: gr.Request) -> list[Any]:
    """What the page opens with: photo, painting, preset, controls, `mixing.MORE`, and the stage.

    What its address asks for, or else the visitor's last picture, or else the first pair.
    """
    asked, painting = _asked_for(request), STUDIO.find(remembered)
    try:
        if asked:
            return _linked(asked)
        if remembered and painting:
            return _last(remembered, painting)
        path = studio.find_last(remembered)
        if path:
            return [*_choice_of(path), *Shown(path, LAST_PICTURE, None, remembered)]
    except (ImageError, SettingsError) as error:
        gr.Warning(plain(f"The link asks for what is not possible: {error}"))
    pair = [str(path) for path in map(examples.path_of, examples.KINDS, OPENING_PAIR)]
    stage = Shown(str(examples.painted_path(*OPENING_PAIR)), PAINTED_BEFORE)
    opening = controls.show(PRESETS[OPENING].settings)
    return [*pair, OPENING, *opening, *mixing.NOTHING, *stage]


def _linked(asked: dict[str, str]) -> list[Any]:
    settings = controls.from_query(
        {name: text for name, text in asked.items() if name in controls.NAMES}
    )
    check_choices(settings)
    names = {field: _asked_example(field, asked.get(field)) for field in mixing.PICTURES}
    paths = {
        field: str(examples.path_of(_kind(field), name)) if name else None
        for field, name in names.items()
    }
    weights = {
        field: _asked_weight(number, asked.get(field))
        for number, field in zip(mixing.NUMBERS, mixing.WEIGHTS, strict=True)
    }
    more = [(paths | weights).get(field) for field in mixing.MORE]
    found = [name for name in names.values() if name]
    stage = Shown(None, "Ready.")
    if tuple(found) in examples.PAIRS:
        stage = Shown(str(examples.painted_path(*found)), PAINTED_BEFORE)
    return [*map(paths.get, examples.KINDS), None, *controls.show(settings), *more, *stage]


def _kind(field: str) -> str:
    """Which kind of example pictures goes into a field."""
    return "content" if field == "content" else "style"


def _asked_example(field: str, name: str | None) -> str | None:
    return name if name in examples.NAMES[_kind(field)] else None


def _asked_weight(number: int, text: str | None) -> float:
    try:
        return min(1.0, max(0.0, float(text or 1)))
    except ValueError:
        raise SettingsError(
            f"Weight {number} must be a number from 0 to 1, but the link says {text!r}."
        ) from None


def _last(token: str, painting: Painting) -> list[Any]:
    frame, settings = painting.frame, painting.recipe.settings
    text = status_text(frame) if frame.done else stopped_text(frame)
    stage = Shown(
        studio.save_picture(painting),
        f"Your last picture. {text}",
        plot_data(painting.history),
        token,
    )
    photo, style, *more = map(mixing.still_there, painting.chosen)
    return [photo, style, None, *controls.show(settings), *more, *stage]


def _asked_for(request: gr.Request) -> dict[str, str]:
    """What an address asks for, without what others put into it."""
    known = {*mixing.PICTURES, *mixing.WEIGHTS, *controls.NAMES}
    return {name: text for name, text in dict(request.query_params).items() if name in known}


def make_link(base: str, content: str | None, style: str | None, *values: Any) -> Any:
    """An address that opens the page with this pair and these settings."""
    try:
        settings = controls.read(values)
    except SettingsError as error:
        gr.Warning(plain(str(error)))
        return gr.skip()
    more = dict(zip(mixing.MORE, values[len(controls.NAMES) :], strict=False))
    given = {"content": content, "style": style} | more
    names = {field: _example_name(_kind(field), given.get(field)) for field in mixing.PICTURES}
    own = [field for field in (*mixing.PICTURES, *mixing.MASKS) if given.get(field)]
    if any(not names.get(field) for field in own):
        gr.Info("Your own pictures and regions do not go into the link, only the rest.")
    weights = {field: str(given[field]) for field in mixing.WEIGHTS if given.get(field, 1.0) != 1.0}
    query = controls.to_query(names | weights, settings)
    return gr.update(value=f"{base}?{query}", visible=True)


def take_recipe(path: str) -> list[Any]:
    """Photo, painting, preset, controls and the rest from a PNG that was painted here."""
    try:
        content, style, *rest = _choice_of(path)
    except (ImageError, SettingsError) as error:
        gr.Warning(plain(str(error)))
        return _nothing()
    gr.Info("Settings taken from the picture's recipe.")
    return [content or gr.skip(), style or gr.skip(), *rest]


def _choice_of(path: str) -> list[Any]:
    """What a painted PNG's recipe chose: photo and painting if known, preset, controls, the rest.

    Raises `ImageError` or `SettingsError` as `recipe.read` does.
    """
    made = recipe.read(path)
    check_choices(made.settings)
    paintings = [_example_of("style", source) for source in made.style]
    more = mixing.show(made, paintings)
    content = _example_of("content", made.content)
    return [content, paintings[0], None, *controls.show(made.settings), *more]


def _example_of(kind: str, source: Source) -> str | None:
    """The example picture that a recipe names, if it is one."""
    name = examples.find(kind, source.sha256)
    return str(examples.path_of(kind, name)) if name else None


def _nothing() -> list[Any]:
    """Photo, painting, preset, controls and the rest stay as they are."""
    return [gr.skip()] * (3 + len(controls.NAMES) + len(mixing.MORE))


# --- Regions ------------------------------------------------------------------------------------


def show_board(content: str | None, shown: str | None) -> tuple[Any, Any]:
    """The photo to draw regions on, unless it is there already, and which it is."""
    if content == shown:
        return gr.skip(), gr.skip()
    try:
        picture = mixing.board(content) if content else None
    except ImageError as error:
        gr.Warning(plain(str(error)))
        picture = None
    if picture is None:
        return None, content
    return {"background": picture, "layers": [], "composite": None}, content


def renew_board(content: str | None, shown: str | None) -> tuple[Any, Any]:
    """Another photo to draw on, once there was one."""
    return (gr.skip(), gr.skip()) if shown is None else show_board(content, shown)


def choose_brush(number: int) -> Any:
    """The brush for a painting, or for what is kept."""
    return gr.update(brush=brush(number))


def brush(number: int) -> gr.Brush:
    colour = (mixing.BRUSHES[number], mixing.OPACITY)
    return gr.Brush(default_size=40, colors=[colour], default_color=colour, color_mode="fixed")


def take_regions(layer: str | None) -> list[Any]:
    """The masks that were drawn; while nothing ever was, they stay as they are."""
    if layer is None:
        return [gr.skip()] * len(mixing.MASKS)
    try:
        return mixing.drawn(layer)
    except ImageError as error:
        gr.Warning(plain(str(error)))
        return [gr.skip()] * len(mixing.MASKS)


def keep_people(content: str | None) -> Any:
    """The mask of the people in the photo, who stay as they are there."""
    try:
        if content is None:
            raise ImageError("Choose a photo first.")
        mask = mixing.people(content)
    except (NSTError, OSError, MemoryError) as error:
        gr.Warning(plain(str(error)))
        return gr.skip()
    if mask is None:
        gr.Info("Nobody was found in this photo. Draw on it under “More paintings and regions”.")
        return gr.skip()
    gr.Info("The people stay as in the photo; only what is behind them will be painted.")
    return mask


def no_regions() -> list[None]:
    """No masks: they belonged to another photo."""
    return [None] * len(mixing.MASKS)


controls.describe(
    stylize,
    controls.NAMES,
    [
        "the picture: JPEG on the way, PNG at the end",
        "the status in words",
        "the losses of the steps so far, as powers of ten",
    ],
)
controls.describe(preview, ["size"], ["the picture, PNG"])
