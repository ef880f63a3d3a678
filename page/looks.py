"""A photo in each of the example paintings, small and at once, before anything is painted.

By the feed-forward stylizer. What was made once is a file, found again by its content.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from nst_core.engine import device
from nst_core.networks.stylizer import look, style_vector
from nst_core.pictures import images
from nst_core.pictures.images import Picture
from page import examples, studio

SIDE = 320  # px, long side of a look
AT_ONCE = 4  # looks between two answers; the first one is sent by itself

Cards = list[tuple[str, str]]  # a file and its caption, of each painting


def of_photo(path: str) -> Iterator[Cards]:
    """The paintings as they are, one after another replaced by the photo in their style.

    Raises `ImageError` for a photo that cannot be read, `PreviewError` without the stylizer.
    """
    photo = studio.load(path, SIDE)
    cards = paintings()
    for number, name in enumerate(examples.NAMES["style"]):
        cards[number] = (_look(photo, name), cards[number][1])
        if number % AT_ONCE == 0 or number == len(cards) - 1:
            yield list(cards)


def paintings() -> Cards:
    """All example paintings as they are, small."""
    return [(_thumbnail(name), examples.caption("style", name)) for name in examples.NAMES["style"]]


def _look(photo: Picture, name: str) -> str:
    def make() -> np.ndarray:
        with device.LOCK:  # between two steps of a run, not beside them
            return images.to_uint8(look(photo.rgb, _vector(name)))

    return studio.save_small(f"{photo.checksum} {name}", make)


@functools.cache
def _vector(name: str) -> np.ndarray:
    return style_vector(images.load(examples.path_of("style", name), examples.PAINTED.size).rgb)


def _thumbnail(name: str) -> str:
    return studio.save_small(name, lambda: np.asarray(examples.thumbnail("style", name)))
