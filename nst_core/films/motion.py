"""Where each place of a frame was in another one, and where that cannot be told.

The flow is that of Kroeger, Timofte, Dai and Van Gool, "Fast Optical Flow using Dense Inverse
Search" (2016, arXiv 1603.03590), by OpenCV. Which of it to trust is after Ruder, Dosovitskiy and
Brox, "Artistic Style Transfer for Videos" (2016, arXiv 1604.08610), section 5: with w the flow to
the other frame and w' the other's flow back, at the place where w leads to, nothing is known of
places

    that lie outside of the other frame,
    where the two disagree:     |w + w'|^2 >= 0.01 (|w|^2 + |w'|^2) + 0.5,
    where motions meet:         |grad u|^2 + |grad v|^2 > 0.01 |w|^2 + 0.002.

Ours is that what stays as it is over a wide area has not moved: into plain places the search
carries the motion of what is beside them, and strokes would drift over a background that stands
still.

Frames and pictures are uint8 RGB [H, W, 3]. A flow is float32 [H, W, 2], pixels to the right and
down: what is at x here is at x + flow(x) there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nst_core.lazy import cv2

# Ruder et al.: shares of |w|^2 and squared pixels that count as agreement, and as one motion.
AGREE_SHARE, AGREE = 0.01, 0.5
ONE_MOTION_SHARE, ONE_MOTION = 0.01, 0.002

# What changes by so many levels at the most, as compression changes what stands still, over a
# square with a side of such a share of the frame's long side.
STILL_LEVELS, STILL_SHARE = 1, 0.06

SMALLEST_SIDE = 32  # px; DIS compares patches of 8 x 8 at several scales


class Motion(NamedTuple):
    """How to get from the places of one frame to those of another."""

    flow: np.ndarray  # float32 [H, W, 2]
    known: np.ndarray  # bool [H, W]: where it can be told


def motions(one: np.ndarray, other: np.ndarray) -> tuple[Motion, Motion]:
    """The motion from each of two frames to the other: of `one` first."""
    there, back = estimated(one, other), estimated(other, one)
    stays = is_still(one, other)

    def motion(flow: np.ndarray, back: np.ndarray) -> Motion:
        return Motion(np.where(stays[..., np.newaxis], 0, flow), is_known(flow, back) | stays)

    return motion(there, back), motion(back, there)


def is_still(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where two frames are the same over a wide area; bool [H, W]."""
    away = np.asarray(cv2.absdiff(one, other))
    same = np.asarray((away <= STILL_LEVELS).all(axis=-1), np.uint8)
    side = max(1, round(STILL_SHARE * max(same.shape)))
    return np.asarray(cv2.morphologyEx(same, cv2.MORPH_OPEN, np.ones([side, side]))) > 0


def still(height: int, width: int) -> Motion:
    """Nothing moves."""
    return Motion(np.zeros([height, width, 2], np.float32), np.ones([height, width], bool))


def estimated(one: np.ndarray, other: np.ndarray, *, is_quick: bool = False) -> np.ndarray:
    """The flow from `one` to `other`, as DIS sees it; a quick one to half a pixel or so."""
    height, width = one.shape[:2]
    if is_quick:
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    else:
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        search.setFinestScale(0)
    here, there = (_padded(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)) for frame in (one, other))
    nothing = np.zeros([*here.shape, 2], np.float32)
    return np.asarray(search.calc(here, there, nothing), np.float32)[:height, :width]


def _padded(light: np.ndarray) -> np.ndarray:
    """A frame that is large enough for DIS, its last row and column repeated."""
    more = [(0, max(0, SMALLEST_SIDE - side)) for side in light.shape]
    return np.pad(light, more, mode="edge")


def is_known(flow: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Where a flow can be trusted, given the other frame's flow back; bool [H, W]."""
    returned = warped(back, flow)
    squares = _square(flow)
    agrees = _square(flow + returned) < AGREE_SHARE * (squares + _square(returned)) + AGREE
    return is_inside(flow) & agrees & ~has_edge(flow, squares)


def is_inside(flow: np.ndarray) -> np.ndarray:
    """Where a flow leads into the other frame; bool [H, W]."""
    height, width = flow.shape[:2]
    x, y = np.moveaxis(places(flow), -1, 0)
    return (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)


def has_edge(flow: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Where two motions meet; bool [H, W]. `squares` are |w|^2."""
    down, right = np.gradient(flow, axis=(0, 1))
    return _square(down) + _square(right) > ONE_MOTION_SHARE * squares + ONE_MOTION


def places(flow: np.ndarray) -> np.ndarray:
    """Where a flow leads to: column and row in the other frame, float32 [H, W, 2]."""
    height, width = flow.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([columns, rows], axis=-1) + flow


def warped(there: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """What is `there`, [H, W] or [H, W, N], brought to where the flow comes from.

    Linear, so that nothing is invented; `warped_sharply` is for pictures that are moved again and
    again.
    """
    x, y = np.moveaxis(places(flow), -1, 0)
    found = cv2.remap(
        there,
        np.ascontiguousarray(x),
        np.ascontiguousarray(y),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(found)


def warped_sharply(there: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """The same of a picture, float32 [H, W, 3], by cubic splines, which blur and ring least."""
    from scipy.ndimage import map_coordinates  # at first use: it takes a moment to load

    at = np.moveaxis(places(flow)[..., ::-1], -1, 0)
    channels = [
        map_coordinates(channel, at, order=3, mode="nearest", output=np.float32)
        for channel in np.moveaxis(there, -1, 0)
    ]
    return np.stack(channels, axis=-1)


def composed(first: Motion, then: Motion) -> Motion:
    """The motion over a frame between: `first` leads there, `then` goes on from there."""
    flow = first.flow + warped(then.flow, first.flow)
    seen = warped(then.known.astype(np.float32), first.flow) > 0.99
    return Motion(flow, first.known & seen & is_inside(flow))


def completed(motion: Motion, other: Motion) -> Motion:
    """A motion, and another one to the same frame where the first is not known."""
    flow = np.where(motion.known[..., np.newaxis], motion.flow, other.flow)
    return Motion(flow, motion.known | other.known)


def _square(vectors: np.ndarray) -> np.ndarray:
    return np.square(vectors).sum(axis=-1)
