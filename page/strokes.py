"""Where each stroke comes from: the picture beside its paintings, for `strokes.js` to point at."""

from __future__ import annotations

import html
import json

import numpy as np

from nst_core import Origins
from page import studio
from page.studio import Painting
from page.texts import say

SIDE = 512  # px, long side of the paintings as they are shown

# Gradio serves files here; without a slash in front it is below whatever the page is mounted at.
FILES = "gradio_api/file="


def show(painting: Painting) -> str:
    """The picture and its paintings as HTML, with the origins of all places as data.

    Raises `NSTError` where there is no memory to find them.
    """
    picture = _figure(
        "picture", studio.save_frame(painting.frame.image), say("stage.strokes_picture")
    )
    styles = [one for one in painting.chosen.paintings() if one.weight > 0]
    paintings = [
        _figure(
            "painting",
            studio.save_shown(str(one.image), SIDE),
            say("pictures.painting_number", number=number),
        )
        for number, one in enumerate(styles, start=1)
    ]
    data = html.escape(json.dumps(as_data(painting.easel.origins())))
    return f'<div class="strokes" data-origins="{data}">{picture}{"".join(paintings)}</div>'


def as_data(origins: Origins) -> dict[str, object]:
    """What the page needs of the origins, cell by cell, rows one after another.

    Places are in thousandths of a painting's sides; patches in fractions of them.
    """
    height, width = origins.painting.shape
    patches = [
        [min(1.0, own / side) for own, side in zip(origins.cell, size, strict=True)]
        for size in origins.sizes
    ]
    return {
        "height": height,
        "width": width,
        "painting": origins.painting.ravel().tolist(),
        "row": _thousandths(origins.row),
        "column": _thousandths(origins.column),
        "patches": patches,
    }


def _thousandths(parts: np.ndarray) -> list[int]:
    """Fractions as whole numbers, 0 where there is none."""
    return np.rint(1000 * np.nan_to_num(parts)).astype(int).ravel().tolist()


def _figure(kind: str, file: str, name: str) -> str:
    source = html.escape(FILES + file)
    return (
        f'<figure class="{kind}" tabindex="0" aria-label="{name}">'
        f'<img src="{source}" alt="{name}"><canvas></canvas><i class="patch"></i></figure>'
    )
