"""A camera's frames, painted one after another at once: by the feed-forward stylizer, and steady.

The stylizer normalises each frame by its own means and variances, and answers to a camera's noise.
By itself its pictures flicker, and change their contrast when somebody walks in. So

- a painting's style vector is found once, and several are mixed as vectors (Ghiasi et al. 2017,
  arXiv 1705.06830, section 3.6);
- mean and deviation of each channel follow those of the pictures so far, slowly;
- where a place has moved to and still looks the same, most of the picture before is kept, brought
  there along the optical flow.

Frames and pictures are uint8 RGB [H, W, 3]; a vector is float32 [1, 1, 1, 100].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nst_core.films.motion import estimated, is_inside, warped
from nst_core.lazy import cv2
from nst_core.networks.stylizer import look, style_vector
from nst_core.pictures import images

# The share of the picture before that stays where nothing but the noise has changed.
KEPT = 0.7

# Levels of 255, that a place may differ from where it was and still count as the same, and the side
# of the square that is compared, in pixels: one pixel differs by its noise alone.
ALIKE, COMPARED = 10.0, 5

# How much of what is new enters at each frame: into the contrast, and into the frame's own style.
CONTRAST_PACE, OWN_PACE = 0.1, 0.2
OWN_EVERY = 10  # frames; finding a style takes a third of a picture's time

Mix = Sequence[tuple[np.ndarray, float]]  # vectors of paintings, with their weights


class Before(NamedTuple):
    """The frame before, and what was painted of it, float32 [H, W, 3] in [0, 1]."""

    frame: np.ndarray
    picture: np.ndarray


class Contrast(NamedTuple):
    """Mean and deviation of each channel, float32 [3]."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, picture: np.ndarray) -> Contrast:
        """Those of a picture, float32 [H, W, 3]."""
        return cls(picture.mean(axis=(0, 1)), picture.std(axis=(0, 1)) + np.float32(1e-3))

    def towards(self, other: Contrast, share: float) -> Contrast:
        """So much of the way to another one."""
        return Contrast(*(one + share * (two - one) for one, two in zip(self, other, strict=True)))


class Mirror:
    """Paints what one camera sees; holds a frame and a picture, however long it runs."""

    def __init__(self) -> None:
        self._wanted: object = None  # mix and strength so far
        self._before: Before | None = None
        self._contrast: Contrast | None = None
        self._own: np.ndarray | None = None  # the style that the frames have by themselves
        self._own_goal: np.ndarray | None = None
        self._frames = 0

    def paint(self, frame: np.ndarray, paintings: Mix, strength: float = 1.0) -> np.ndarray:
        """The next frame, painted, of its own size.

        Args:
            paintings: vectors with their weights, of any sum; other ones are taken at once.
            strength: how far its style goes from the frame's own, 0, to that of the paintings, 1.

        Raises `PreviewError` without the stylizer, `FilmError` without OpenCV.
        """
        wanted = [(vector.tobytes(), weight) for vector, weight in paintings], strength
        if wanted != self._wanted:  # of another style nothing is kept, or it would come slowly
            self._wanted, self._contrast, self._before = wanted, None, None
        small = frame[np.newaxis] / np.float32(255)
        picture = look(small, self._style(small, paintings, strength))[0]
        picture = self._steadied(frame, self._evened(picture))
        self._before = Before(frame, picture)
        self._frames += 1
        return images.to_uint8(picture[np.newaxis])

    def _style(self, frame: np.ndarray, paintings: Mix, strength: float) -> np.ndarray:
        """The vector between the frame's own style and that of the paintings."""
        goal = mixed(paintings)
        if goal is not None and strength == 1:
            return goal
        own = self._own_style(frame)
        return own if goal is None else own + np.float32(strength) * (goal - own)

    def _own_style(self, frame: np.ndarray) -> np.ndarray:
        """The style of the frames so far, which is found now and then and follows slowly."""
        if self._own_goal is None or self._frames % OWN_EVERY == 0:
            self._own_goal = style_vector(frame)
        own = self._own_goal if self._own is None else self._own
        self._own = own + np.float32(OWN_PACE) * (self._own_goal - own)
        return self._own

    def _evened(self, picture: np.ndarray) -> np.ndarray:
        """The picture with the contrast of the pictures so far; float32 [H, W, 3]."""
        found = Contrast.of(picture)
        self._contrast = (self._contrast or found).towards(found, CONTRAST_PACE)
        mean, deviation = self._contrast
        even = (picture - found.mean) * (deviation / found.deviation) + mean
        return even.clip(0, 1)

    def _steadied(self, frame: np.ndarray, picture: np.ndarray) -> np.ndarray:
        """The picture with most of the one before, where that is still to be seen."""
        before = self._before
        if before is None or before.frame.shape != frame.shape:
            return picture
        flow = estimated(frame, before.frame, is_quick=True)
        kept = KEPT * likeness(frame, warped(before.frame, flow)) * is_inside(flow)
        return picture + kept[..., np.newaxis] * (warped(before.picture, flow) - picture)


def mixed(paintings: Mix) -> np.ndarray | None:
    """The vector between those of several paintings; None if none of them counts."""
    total = sum(weight for _, weight in paintings)
    if not total > 0:
        return None
    return sum(np.float32(weight / total) * vector for vector, weight in paintings)  # type: ignore


def likeness(frame: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """How much places look alike in two frames, float32 [H, W] in [0, 1]."""
    gap = cv2.absdiff(frame, moved).mean(axis=-1, dtype=np.float32)
    gap = cv2.blur(gap, (COMPARED, COMPARED))
    return np.exp(-np.square(gap / np.float32(ALIKE)))
