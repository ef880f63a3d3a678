"""Looking at what was painted: beside its photo, its run, as a film, blended, in other colours."""

from __future__ import annotations

from typing import Any

import gradio as gr

from nst_core import NSTError
from nst_core.colors import COLOR_MODES
from page import strokes, studio
from page.studio import STUDIO, Painting
from page.texts import say
from page.words import told


def save_button(painting: Painting | None, percent: float = 100) -> Any:
    """The button that saves the PNG, ready when there is one."""
    return file_button(studio.save_picture(painting, percent / 100) if painting else None)


def file_button(path: str | None) -> Any:
    """A button that saves a file, ready when there is one."""
    return gr.update(value=path, interactive=path is not None)


def blend(token: str | None, percent: float) -> Any:
    """The picture with so much of the painting in it, while the slider is moved."""
    painting = STUDIO.find(token)
    return studio.save_frame(painting.blended(percent / 100)) if painting else gr.skip()


def save_blend(token: str | None, percent: float) -> tuple[Any, Any]:
    """The picture, and the PNG to save, for where the slider was let go."""
    painting = STUDIO.find(token)
    if painting is None:
        return gr.skip(), gr.skip()
    return blend(token, percent), save_button(painting, percent)


def recolor(token: str | None, color: str, percent: float) -> tuple[Any, Any]:
    """The picture and its PNG in other colours, at once."""
    painting = STUDIO.find(token)
    if token is None or painting is None or color not in COLOR_MODES:
        return gr.skip(), gr.skip()
    found = painting
    painting = STUDIO.change(token, lambda kept: (kept or found).recolored(color))
    if COLOR_MODES[color].painting:
        gr.Info(say("notices.colours_need_paint"))
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


def show_strokes(token: str | None) -> tuple[Any, Any]:
    """The view of the strokes: a note, or the picture beside its paintings."""
    painting = STUDIO.find(token)
    if painting is None:
        return _view(False)
    try:
        return gr.update(visible=False), gr.update(value=strokes.show(painting), visible=True)
    except NSTError as error:
        raise gr.Error(told(error), print_exception=False) from None


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
