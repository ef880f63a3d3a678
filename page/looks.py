"""A photo in each of the example paintings, small and at once, before anything is painted.

By the feed-forward stylizer. What was made once is a file, found again by its content.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from cachetools import LRUCache
from PIL import Image, ImageOps

from nst_core.networks.stylizer import look, style_vector
from nst_core.pictures import images
from nst_core.pictures.images import Picture
from nst_core.stop import Condition, StoppedError, StopToken
from page import examples, studio, turns
from page.texts import say

SIDE = 256  # px, long side of a look
INSET, FRAME = 0.3, 2  # of a look's sides: its painting in a corner; px of the frame around it
MAX_VECTORS = 64  # of paintings, 400 bytes each
AT_ONCE = 4  # looks between two answers; the first one is sent by itself

MAX_SESSIONS = 1000  # whose looks can be ended; of more, those of the oldest are made to the end

Cards = list[tuple[str, str]]  # a file and its caption, of each painting

_BEGUN: LRUCache[str, StopToken] = LRUCache(MAX_SESSIONS)  # the last ones of each session
_BEGINNING = threading.Lock()


def begin(session: str, *conditions: Condition) -> StopToken:
    """The token of new looks for a session; ends those that are still being made for it.

    Otherwise looks of a photo that is chosen no more could be the last to arrive.

    Args:
        conditions: that end the new ones.
    """
    with _BEGINNING:
        if earlier := _BEGUN.get(session):
            earlier.stop("other looks are wanted")
        newest = _BEGUN[session] = StopToken()
    # Conditions hold on to their event, and are not kept.
    return StopToken(lambda: newest.reason, *conditions)


def of_photo(
    photo: str | None, own: str | None = None, stop: StopToken | None = None
) -> Iterator[Cards]:
    """The paintings as they are, one after another replaced by the photo in their style.

    Args:
        own: a painting beside the examples, which comes before them.
        stop: ends it within a look, with no further answer.

    Raises `ImageError` for a picture that cannot be read, `PreviewError` without the stylizer.
    """
    cards = paintings()
    if own:
        cards.insert(0, (own, say("pictures.your_painting")))
    if photo is None:
        yield cards
        return
    picture = studio.load(photo, SIDE)
    files = [own, *example_files()] if own else example_files()
    stop = stop or StopToken()
    for number, file in enumerate(files):
        try:
            cards[number] = (_look(picture, file, stop), cards[number][1])
            stop.check()
        except StoppedError:
            return  # and no answer, which could come after those of the looks that ended these
        if number % AT_ONCE == 0 or number == len(cards) - 1:
            yield list(cards)


def paintings() -> Cards:
    """All example paintings as they are, small."""
    return [(_thumbnail(name), examples.caption("style", name)) for name in examples.NAMES["style"]]


def example_files() -> list[str]:
    """The files of the example paintings, in the order of `paintings`."""
    return [str(examples.path_of("style", name)) for name in examples.NAMES["style"]]


def _look(photo: Picture, painting: str, stop: StopToken) -> str:
    def make() -> np.ndarray:
        with turns.LOOKS.taken(stop):
            picture = images.to_uint8(look(photo.rgb, vector(painting)))
        return _with_inset(picture, _inset(painting))

    name = f"{photo.checksum} {examples.checksum(Path(painting))} {INSET}"
    return studio.save_small(name, make)


@functools.lru_cache(MAX_VECTORS)
def vector(painting: str) -> np.ndarray:
    """The style of a painting's file, for `nst_core.networks.stylizer.look`."""
    return style_vector(studio.load(painting, examples.PAINTED.size).rgb)


def _with_inset(look: np.ndarray, inset: Image.Image) -> np.ndarray:
    """A look with its painting in the upper corner of the square that the picker shows of it."""
    height, width, _ = look.shape
    side = min(height, width)
    shown = Image.fromarray(look)
    corner = ImageOps.fit(inset, (max(1, round(INSET * side)),) * 2)
    framed = ImageOps.expand(corner, FRAME, "white")
    shown.paste(framed, ((width - side) // 2, (height - side) // 2))
    return np.asarray(shown)


def _inset(painting: str) -> Image.Image:
    """A painting's file, as small as a corner."""
    return Image.fromarray(images.to_uint8(studio.load(painting, round(SIDE * INSET)).rgb))


def _thumbnail(name: str) -> str:
    return studio.save_small(name, lambda: np.asarray(examples.thumbnail("style", name)))
