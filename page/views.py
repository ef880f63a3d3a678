"""Looking at what was painted: beside its photo, its run, as a film, blended, in other colours."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import count
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from nst_core import NSTError
from nst_core.colors import COLOR_MODES
from page import strokes, studio
from page.studio import STUDIO, Painting
from page.texts import say
from page.words import bytes_text, told

# What the picture can be compared with.
PHOTO, EARLIER = "photo", "earlier"


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


def saved(file: str | None) -> None:
    """Tell that the browser has saved a file, what it is called, and how large it is."""
    if file is not None:
        path = Path(file)
        facts = {"file": path.name, "size": bytes_text(path.stat().st_size)}
        is_picture = path.suffix == ".png"
        gr.Info(say("notices.saved_picture" if is_picture else "notices.saved", **facts))


def compare(token: str | None, against: str) -> tuple[Any, Any]:
    """Two pictures for the slider between them, and the choice of the first, if there is any.

    Args:
        against: `EARLIER` for the picture before, if it was made of the same photo, else the photo.
    """
    painting = STUDIO.find(token)
    if painting is None:
        return gr.skip(), gr.skip()
    picture, earlier = painting.frame.image, painting.earlier
    other = painting.photo
    if earlier is not None and against == EARLIER:
        other = _as_large_as(picture, earlier)
    return (other, picture), gr.update(visible=earlier is not None)


def _as_large_as(picture: np.ndarray, other: np.ndarray) -> np.ndarray:
    height, width, _ = picture.shape
    return np.asarray(Image.fromarray(other).resize((width, height)))


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


def show_film(token: str | None) -> Iterator[tuple[Any, ...]]:
    """The view of the film: a note, or the film as soon as it is made."""
    painting = STUDIO.find(token)
    yield *_view(painting is not None), gr.skip()
    if painting is not None:
        yield gr.skip(), gr.skip(), studio.save_film(painting, ".mp4")


def make_film(token: str | None, ending: str) -> Iterator[tuple[Any, Any]]:
    """The button that saves the film, which counts the seconds meanwhile; and the film's file."""
    painting = STUDIO.find(token)
    if painting is None:
        yield gr.skip(), None
        return
    thread = ThreadPoolExecutor(1)
    making = thread.submit(studio.save_film, painting, ending)
    thread.shutdown(wait=False)  # whoever leaves meanwhile keeps nobody waiting
    for seconds in count():
        yield gr.update(value=say("tools.filming", seconds=seconds), interactive=False), None
        if wait([making], timeout=1).done:
            break
    ready = gr.update(value=say("tools.save_film"), interactive=True)
    error = making.exception()
    yield ready, None if error else making.result()
    if isinstance(error, (NSTError, MemoryError, OSError)):
        raise gr.Error(told(error), print_exception=False) from None
