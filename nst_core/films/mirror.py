"""A camera's frames, painted one after another at once: by the feed-forward stylizer, and steady.

The stylizer normalises each frame by its own means and variances, and answers to a camera's noise.
By itself its pictures flicker, and when somebody walks in, everything else changes its contrast. So

- a painting's style vector is found once, and several are mixed as vectors (Ghiasi et al. 2017,
  arXiv 1705.06830, section 3.6);
- of places that look as they did, most of what was seen and painted before is kept, brought there
  along the optical flow: of the frame, so that less noise is painted, and of the picture;
- the whole picture has the contrast by which these places change but slowly.

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
STILL = 0.8  # so much alike without any flow, a place has not moved

# How much of what is new enters at each frame: into the contrast, and into the frame's own style.
CONTRAST_PACE, OWN_PACE = 0.05, 0.2

ENOUGH_ALIKE = 0.1  # of a frame, for its contrast to be known from the one before
MOST_CONTRAST = 2.0  # times; more is no change of contrast, but another picture

OWN_EVERY = 10  # frames; finding a style takes a third of a picture's time

Mix = Sequence[tuple[np.ndarray, float]]  # vectors of paintings, with their weights


class Before(NamedTuple):
    """The frame before, uint8, and what was painted of it, float32 [H, W, 3] in [0, 1]."""

    frame: np.ndarray
    painted: np.ndarray  # from this frame alone: pictures that were mixed have less contrast
    picture: np.ndarray  # with what was kept of those before


class Link(NamedTuple):
    """The way from a frame to the one before."""

    flow: np.ndarray  # float32 [H, W, 2]
    alike: np.ndarray  # float32 [H, W] in [0, 1], how much a place looks as it did

    def kept(self, new: np.ndarray, old: np.ndarray) -> np.ndarray:
        """What is new, with most of what it was where that looks alike; both [H, W, 3]."""
        share = (KEPT * self.alike)[..., np.newaxis]
        return (1 - share) * new + share * warped(old, self.flow)


class Contrast(NamedTuple):
    """Mean and deviation of each channel, float32 [3]."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, picture: np.ndarray, weights: np.ndarray) -> Contrast:
        """Those of a picture, float32 [H, W, 3], by weights [H, W] that do not sum to 0."""
        shares = (weights / weights.sum()).ravel()
        colours = picture.reshape(-1, 3)
        mean = shares @ colours
        variance = shares @ np.square(colours - mean)
        return cls(mean, np.sqrt(variance) + np.float32(1e-3))

    def towards(self, other: Contrast, share: float) -> Contrast:
        """So much of the way to another one."""
        return Contrast(*(one + share * (two - one) for one, two in zip(self, other, strict=True)))

    def given(self, picture: np.ndarray, own: Contrast) -> np.ndarray:
        """A picture of the contrast `own` with this one instead."""
        gain = np.clip(self.deviation / own.deviation, 1 / MOST_CONTRAST, MOST_CONTRAST)
        return (picture * gain + (self.mean - own.mean * gain)).clip(0, 1)


class Mirror:
    """Paints what one camera sees; holds a frame and a picture, however long it runs."""

    def __init__(self) -> None:
        self._wanted: object = None  # mix and strength so far
        self._before: Before | None = None
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
            self._wanted, self._before = wanted, None
        before = self._before
        if before is None or before.frame.shape != frame.shape:
            painted = picture = self._painted(frame, paintings, strength)
        else:
            way = link(frame, before.frame)
            frame = np.rint(way.kept(frame, before.frame)).astype(np.uint8)
            painted = self._painted(frame, paintings, strength)
            painted = contrasted(painted, warped(before.painted, way.flow), way.alike)
            picture = way.kept(painted, before.picture)
        self._before = Before(frame, painted, picture)
        self._frames += 1
        return images.to_uint8(picture[np.newaxis])

    def _painted(self, frame: np.ndarray, paintings: Mix, strength: float) -> np.ndarray:
        """A frame by itself, float32 [H, W, 3]."""
        small = frame[np.newaxis] / np.float32(255)
        return look(small, self._style(small, paintings, strength))[0]

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


def mixed(paintings: Mix) -> np.ndarray | None:
    """The vector between those of several paintings; None if none of them counts."""
    total = sum(weight for _, weight in paintings)
    if not total > 0:
        return None
    return np.sum([np.float32(weight / total) * vector for vector, weight in paintings], axis=0)


def link(frame: np.ndarray, before: np.ndarray) -> Link:
    """Where the places of a frame were in the one before, and how much they look as they did."""
    flow = estimated(frame, before, is_quick=True)
    # In flat places any flow fits, and would drag the strokes along.
    flow[likeness(frame, before) > STILL] = 0
    return Link(flow, likeness(frame, warped(before, flow)) * is_inside(flow))


def likeness(frame: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How much places look alike in two frames, float32 [H, W] in [0, 1]."""
    gap = cv2.absdiff(frame, other).mean(axis=-1, dtype=np.float32)
    gap = cv2.blur(gap, (COMPARED, COMPARED))
    return np.exp(-np.square(gap / np.float32(ALIKE)))


def contrasted(picture: np.ndarray, before: np.ndarray, alike: np.ndarray) -> np.ndarray:
    """A picture with nearly the contrast that the one before has in the places that look alike."""
    if alike.mean() < ENOUGH_ALIKE:
        return picture
    own = Contrast.of(picture, alike)
    return Contrast.of(before, alike).towards(own, CONTRAST_PACE).given(picture, own)
