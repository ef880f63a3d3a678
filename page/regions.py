"""Regions: drawn on the photo, or found in it, and the masks that come of them."""

from __future__ import annotations

import base64
import io
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from nst_core import ImageError, NSTError, SettingsError
from nst_core.engine import device
from nst_core.networks.people import MIN_FIGURES, find_faces, find_people
from nst_core.pictures import images
from nst_core.recipe import unpack
from nst_core.stop import StopToken
from page import studio, turns
from page.choice import MASKS
from page.texts import count, say
from page.words import told

# What the brush paints with for each of `MASKS`; Okabe and Ito's colours, which nobody confuses.
BRUSHES = ("#e69f00", "#0072b2", "#f0e442", "#009e73", "#cc79a7")
OPACITY = 0.7
MIN_PEOPLE = 0.01  # of a photo, for people to be in it
LINK_SIDE = 96  # px, long side of a mask in a link: some 300 characters
BOARD = 640  # px, long side of the photo that is drawn on


def show_board(content: str | None, shown: str | None) -> tuple[Any, Any]:
    """The photo to draw regions on, unless it is there already, and which it is."""
    if (content or "") == (shown or ""):
        return gr.skip(), gr.skip()
    try:
        picture = board(content) if content else None
    except ImageError as error:
        gr.Warning(told(error))
        picture = None
    if picture is None:
        return None, content
    return {"background": picture, "layers": [], "composite": None}, content


def renew_board(content: str | None, shown: str | None) -> tuple[Any, Any]:
    """Another photo to draw on, once there was one."""
    return show_board(content, shown) if shown else (gr.skip(), gr.skip())


def choose_brush(number: int) -> Any:
    """The brush for a painting, or for what is kept."""
    return gr.update(brush=brush(number))


def brush(number: int) -> gr.Brush:
    """What paints the region of a painting, or what is kept, by its number from 0."""
    colour = (BRUSHES[number], OPACITY)
    return gr.Brush(default_size=40, colors=[colour], default_color=colour, color_mode="fixed")


def take_regions(layer: str | None) -> list[Any]:
    """The masks that were drawn, and that they were taken; while nothing ever was, all stays."""
    nothing: list[Any] = [gr.skip()] * (len(MASKS) + 1)
    if layer is None:
        return nothing
    try:
        masks = drawn(layer)
    except ImageError as error:
        gr.Warning(told(error))
        return nothing
    return [*masks, say("more.drawn") if any(masks) else ""]


def keep_people(content: str | None) -> Any:
    """The mask of the people in the photo, who stay as they are there."""
    try:
        if content is None:
            raise ImageError("Choose a photo first.")
        mask = people(content)
    except (NSTError, OSError, MemoryError) as error:
        gr.Warning(told(error))
        return gr.skip()
    if mask is None:
        gr.Info(say("notices.nobody_found"))
        return gr.skip()
    gr.Info(say("notices.people_stay"))
    return mask


def whom(content: str | None, stop: StopToken) -> str:
    """Whom a photo was found to show, as the switch that keeps them tells it.

    Raises `ImageError` for a photo that cannot be read, `StoppedError` where it was told to stop.
    """
    if content is None:
        return say("settings.subject.help")
    photo = studio.load(content, BOARD)
    with turns.LOOKS.taken(stop):
        faces, figures = find_faces(photo.rgb), find_people(photo.rgb)
    if faces:
        return count("found.faces", len(faces))
    return say("found.figure" if figures.mean() >= MIN_FIGURES else "found.nobody")


def no_regions() -> list[Any]:
    """No masks, and nothing told of them: they belonged to another photo."""
    return [*[None] * len(MASKS), ""]


# --- Masks --------------------------------------------------------------------------------------


def board(content: str) -> np.ndarray:
    """The photo to draw on, uint8 [H, W, 3]."""
    return images.to_uint8(studio.load(content, BOARD).rgb)


def drawn(layer: str) -> list[str | None]:
    """The files of the masks that are drawn on a layer, in the order of `MASKS`; None for none."""
    picture = studio.load(layer, BOARD)
    covered = np.full(picture.rgb.shape[1:3], 255) if picture.alpha is None else picture.alpha
    alpha = covered / np.float32(255)
    share = np.maximum(alpha, 1e-3)[..., np.newaxis]
    colours = (picture.rgb[0] - (1 - share)) / share  # as they were before they lay on white
    brushes = np.array([[int(b[i : i + 2], 16) / 255 for i in (1, 3, 5)] for b in BRUSHES])
    nearest = np.linalg.norm(colours[:, :, np.newaxis] - brushes, axis=-1).argmin(axis=-1)
    is_drawn = alpha > OPACITY / 2
    masks = [
        (is_drawn & (nearest == number)).astype(np.uint8) * np.uint8(255)
        for number in range(len(BRUSHES))
    ]
    return [
        save_mask(name, mask if mask.any() else None)
        for name, mask in zip(MASKS, masks, strict=True)
    ]


def save_mask(name: str, mask: np.ndarray | None) -> str | None:
    """The file of a mask, uint8 [H, W]."""
    return None if mask is None else studio.save_image(Image.fromarray(mask), name)


def to_link(mask: str) -> str:
    """A mask as text for an address, small, and black and white; its edges are made soft anyway.

    Raises `ImageError` for a mask that cannot be read.
    """
    grey = Image.fromarray(images.to_uint8(images.load_mask(mask)[np.newaxis]))
    grey.thumbnail((LINK_SIDE, LINK_SIDE))
    buffer = io.BytesIO()
    grey.point(lambda level: 255 * (level > 127), "1").save(buffer, "PNG", optimize=True)
    return base64.urlsafe_b64encode(buffer.getvalue()).decode("ascii").rstrip("=")


def from_link(name: str, text: str) -> str | None:
    """The file of a mask that `to_link` made this text of; raises `SettingsError` for others."""
    try:
        mask = unpack(text.translate(str.maketrans("-_", "+/")) + "=" * (-len(text) % 4))
    except SettingsError:
        raise SettingsError("A region in it is damaged; copy the whole link.") from None
    return save_mask(name, mask)


def people(content: str) -> str | None:
    """The file of a mask of the people in a photo; None where there are none.

    Raises `ImageError` for a photo that cannot be read.
    """
    photo = studio.load(content, BOARD)
    with device.LOCK:  # between two steps of a run, not beside them
        mask = images.to_uint8(find_people(photo.rgb))[..., 0]
    return save_mask("keep", mask if mask.mean() > MIN_PEOPLE * 255 else None)
