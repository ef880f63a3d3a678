"""Choosing: example pictures and pairs, presets, paintings by their looks, and uploads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from nst_core import ImageError, NSTError, Settings, SettingsError
from nst_core.pictures import images
from nst_core.presets import PRESETS
from nst_core.recipe import Recipe
from nst_core.settings import spell
from nst_core.stop import StoppedError
from page import controls, examples, looks, regions, studio, turns
from page.choice import NOT_SETTINGS, NUMBERS, STYLES, Choice
from page.stage import Shown
from page.texts import say
from page.words import told

BROWSER_READABLE = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".avif"}

TIME, STEPS = "time", "steps"  # what a run may go on for

AT_ONCE = "at once"  # when a painting that was clicked is painted, if it is

# What the page opens with.
OPENING = "gallery"
OPENING_PAIR = examples.PAIRS[0]

USUAL_TIME = spell(PRESETS[OPENING].settings.time_budget)  # s, where none was given yet


def opening() -> Choice:
    """What is chosen when the page opens."""
    return _pair(*OPENING_PAIR).with_settings(PRESETS[OPENING].settings)


def opening_stage() -> Shown:
    """What the stage shows when the page opens."""
    painted = str(examples.painted_path(*OPENING_PAIR))
    return Shown(painted, say("status.painted_before"), title=title(opening()))


def _pair(content: str, style: str) -> Choice:
    """The choice of a pair of example pictures, and nothing else."""
    photo, painting = map(examples.path_of, examples.KINDS, (content, style))
    return Choice.of({"content": str(photo), "style": str(painting)}, Settings())


def pick_photo(
    style: str | None, token: str | None, event: gr.SelectData
) -> Iterator[tuple[Any, ...]]:
    """The example photo that was clicked, no masks, and then its looks, as `show_looks` has them.

    In one event: an event that follows another is asked for after a quarter of a second. The photo
    is on the stage as well, unless a picture of the visitor's own is there, or is coming.

    Args:
        token: of the visitor's own picture.
    """
    name = examples.NAMES["content"][event.index]
    photo = str(examples.path_of("content", name))
    is_taken = token or turns.TURNS.is_busy(turns.session())
    heading = "## " + examples.title("content", name)
    stage = (gr.skip(), gr.skip()) if is_taken else (photo, heading)
    now = (photo, *regions.no_regions(), *stage)
    yield *now, gr.skip(), gr.skip()
    for shown in show_looks(photo, style):
        yield *[gr.skip()] * len(now), *shown


def take_upload(path: str) -> str:
    """An own picture from the browser's file dialog; one that is no use changes nothing."""
    try:
        return _readable(path)
    except ImageError as error:
        raise gr.Error(told(error), print_exception=False) from None


def show_looks(content: str | None, style: str | None) -> Iterator[tuple[Any, Any]]:
    """The paintings to choose from, an own one first, each as the photo looks in it.

    And after them whom the photo shows. As they are without a photo. Ends those that are still
    being made for this session, and these end with an answer all the same: Gradio empties what an
    event had nothing for.
    """
    stop = looks.begin(turns.session(), *turns.client_conditions())
    try:
        for cards in looks.of_photo(content, _own(style), stop):
            yield cards, gr.skip()
        stop.check()
        yield gr.skip(), gr.update(info=regions.whom(content, stop))
    except (StoppedError, NSTError, OSError, MemoryError):  # the photo's field says what is wrong
        yield gr.skip(), gr.skip()


def pick_painting(
    number: int, style: str | None, clip: str | None, event: gr.SelectData
) -> list[Any]:
    """The painting that was clicked, as the painting of this number from 1; whether it is painted.

    The first one is painted at once, and what was being painted ends within a step. But who has
    chosen a clip, or has a film painted, may mean that one.

    Args:
        style: the first painting so far; an own one stands before the examples.
        clip: that was chosen.
    """
    is_film_meant = clip is not None or turns.TURNS.is_busy(turns.session(turns.FILM))
    at_once = number == NUMBERS[0] and not is_film_meant
    if at_once:
        turns.stop_own()
    own = _own(style)
    clicked = [*filter(None, [own]), *looks.example_files()][event.index]
    fields: list[Any] = [gr.skip()] * len(STYLES)
    if number != NUMBERS[0] or clicked != own:
        fields[number - 1] = clicked
    return [*fields, AT_ONCE if at_once else ""]


def _own(style: str | None) -> str | None:
    """A painting that is no example."""
    return None if example_name("style", style) else style


def show_which() -> Any:
    """With several paintings there is a choice which one a click fills."""
    return gr.update(visible=True)


def for_several(*more: str | None) -> tuple[Any, Any, Any]:
    """Weights, the choice of what is drawn, and which painting a click fills, if there are several.

    Args:
        more: the second painting and those after it.
    """
    visible = gr.update(visible=any(more))
    return visible, visible, gr.skip() if not any(more) else visible


def choose_pair(number: str) -> tuple[Any, ...]:
    """A pair: its pictures alone, the stage with its finished one, both to compare.

    What was being painted ends within a step.
    """
    turns.stop_own()
    pair = examples.PAIRS[int(number)]
    before, after = painted_pair(*pair)
    chosen = _pair(*pair)
    stage = Shown(after, say("status.painted_before"), None, None, title(chosen))
    return *chosen.to_row(NOT_SETTINGS), *stage, (before, after), gr.update(selected="picture")


def painted_pair(content: str, style: str) -> tuple[np.ndarray, str]:
    """The photo of a pair, uint8 [H, W, 3], and the file of its finished picture."""
    photo = studio.load(examples.path_of("content", content), examples.PAINTED.size)
    return images.to_uint8(photo.rgb), str(examples.painted_path(content, style))


def title(chosen: Choice) -> str:
    """The names of photo and painting, for a picture that is going to be made of them."""
    content, style = example_name("content", chosen.content), example_name("style", chosen.style)
    return _title(content, style)


def title_of(made: Recipe) -> str:
    """The names of photo and painting of a picture that was painted."""
    content, style = made.content.sha256, made.style[0].sha256
    return _title(examples.find("content", content), examples.find("style", style))


def _title(content: str | None, style: str | None) -> str:
    """What stands over the stage, by the names of examples; None is a picture of one's own."""
    photo = examples.title("content", content) if content else say("pictures.your_photo")
    if style is None:
        return "## " + say("pictures.title_own_painting", photo=photo)
    return "## " + say("pictures.title", photo=photo, painting=examples.title("style", style))


def example_name(kind: str, path: str | None) -> str | None:
    """The name of the example picture that a file is a copy of."""
    if not path or not Path(path).exists():  # the cache was cleaned since
        return None
    return examples.find(kind, examples.checksum(Path(path)))


def preset_of(settings: Settings) -> str | None:
    """The preset that settings are those of, but for what it leaves to taste; None for none."""
    taste = {field: getattr(settings, field) for field in controls.TASTE}
    return next((name for name in PRESETS if _with_taste(name, taste) == settings), None)


def _with_taste(name: str, taste: dict[str, Any]) -> Settings:
    """A preset's settings; those of `controls.TASTE` as given unless it has its own."""
    return Settings(**taste | dict(PRESETS[name].changes))


def choose_preset(name: str | None, *taste: Any) -> list[Any]:
    """The controls for a preset; those of `controls.TASTE` stay unless the preset has its own."""
    unchanged = [gr.skip()] * len(controls.NAMES)
    if name is None:
        return unchanged
    try:
        return controls.show(_with_taste(name, dict(zip(controls.TASTE, taste, strict=True))))
    except SettingsError as error:
        gr.Warning(told(error))
        return unchanged


def check_upload(path: str | None) -> Any:
    """Take an uploaded picture away again if it cannot be used, and say why."""
    if path is None:
        return gr.skip()
    try:
        readable = _readable(path)
    except ImageError as error:
        gr.Warning(told(error))
        return None
    return gr.skip() if readable == path else readable


def _readable(path: str) -> str:
    """A file of the same picture that browsers can show; raises `ImageError` if it is none."""
    picture = studio.load(path, int(controls.MAX["size"]))
    if Path(path).suffix.lower() in BROWSER_READABLE:
        return path
    shown = images.to_pil(images.to_uint8(picture.rgb), picture.alpha)
    return studio.save_image(shown, Path(path).stem)


def choose_until(until: str) -> str:
    """The time budget for what applies, time or steps: the usual one, or none."""
    return USUAL_TIME if until == TIME else ""


def show_until(time_budget: Any) -> tuple[str, Any, Any]:
    """Which of time and steps applies, and the control of that one."""
    is_timed = time_budget not in (None, "")
    return (
        TIME if is_timed else STEPS,
        gr.update(visible=is_timed),
        gr.update(visible=not is_timed),
    )
