"""How a frame of a film is painted: by itself, held to the one before, or drawn along.

After Ruder, Dosovitskiy and Brox, "Artistic Style Transfer for Videos" (2016, arXiv 1604.08610): a
frame starts from the one before, warped to where things are now, and is painted for a few steps
with the temporal loss beside the others. Places that have come to be seen start from what the
feed-forward net makes of them. Ours is that a picture may change no more than the clip itself
does around there, both measured as flicker is.

Frames are uint8 RGB [H, W, 3]. A picture is "raw", float32 [H, W, 3] in levels of 0 to 255, as the
last step left it, before its colours are brought to the paintings'.

So there are two pictures of a frame. What is wanted of it is painted, or drawn along from key
frames, which start from each other and stay sharp; a motion that is not certain counts a little
there, where the clip looks the same at both its ends. What is shown is the one shown before,
warped, and as far towards the wanted as may change.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nst_core.engine.easel import Easel
from nst_core.engine.job import Follows
from nst_core.engine.plan import Plan
from nst_core.engine.schedule import Scale
from nst_core.films.motion import Motion, warped, warped_sharply
from nst_core.lazy import cv2
from nst_core.losses.term import Before
from nst_core.networks.stylizer import preview
from nst_core.pictures import images
from nst_core.pictures.regions import Style
from nst_core.settings import Settings
from nst_core.stop import StoppedError, StopToken

# The share of a frame that has to be known from the one before: with less of it, it is painted as a
# shot's first frame is.
ENOUGH_KNOWN = 0.4

# The width of the seam between what is known and what is new, and how far around the colours of
# what is new are brought to those that are known, in shares of the long side.
SEAM, AROUND = 0.004, 0.06

# How much a picture may change from frame to frame, in times of what the clip does, and how far
# around that is asked, in shares of the long side.
ALLOWED, NEAR = 0.4, 0.02

# What a flow counts that is not to be trusted, but leads to what looks the same in the clip; and
# the standard deviation of what may differ there, in levels of 0 to 255.
DOUBTED, ALIKE = 0.05, 8.0

LEAST_WEIGHT = 1e-3  # of a picture that is blurred by its mask
LEAST_CHANGE = 1e-12  # of levels of 0 to 1, squared: nothing


class Side(NamedTuple):
    """A frame that is painted, from which another one is drawn along."""

    frame: np.ndarray
    picture: np.ndarray  # raw
    motion: Motion  # from the other one to this
    share: float  # how much it counts

    def trust(self, other: np.ndarray) -> np.ndarray:
        """How well it is known where each place of the other frame is here, float32 [H, W]."""
        away = np.square(warped(self.frame, self.motion.flow).astype(np.float32) - other)
        alike = np.exp(away.mean(axis=-1) / (-2 * ALIKE**2))
        return np.maximum(soft(self.motion.known), DOUBTED * alike)


class Brush:
    """Paints the frames of one film.

    Args:
        styles, settings: as for `Easel`.
        plan: of a picture of its own.
        steps: of one that is held to another.
    """

    def __init__(self, styles: Sequence[Style], settings: Settings, plan: Plan, steps: int) -> None:
        self._styles, self._settings, self._plan = styles, settings, plan
        self._next_plan = replace(plan, scales=(Scale(plan.height, plan.width, steps),))
        weights = np.array([style.weight for style in styles]) / sum(s.weight for s in styles)
        pictures = [images.load(style.image, plan.size).rgb for style in styles]
        self._paintings = list(zip(pictures, weights.tolist(), strict=True))

    def anew(self, frame: np.ndarray, look: Follows | None, stop: StopToken) -> np.ndarray:
        """A frame painted as a picture of its own, raw.

        Args:
            look: what its colours are matched by; None for the frame itself.

        Raises `StoppedError` where it was told to stop, as `onward` does.
        """
        return _painted(self._easel(frame, look, plan=self._plan), stop)

    def onward(
        self,
        frame: np.ndarray,
        before: np.ndarray,
        picture: np.ndarray,
        motion: Motion,
        look: Follows,
        stop: StopToken,
    ) -> np.ndarray:
        """A frame painted on from an earlier one, raw.

        Args:
            before, picture: the earlier frame, and what was painted of it, raw.
            motion: from the frame to the earlier one.
        """
        if np.array_equal(frame, before):
            return picture
        if motion.known.mean() < ENOUGH_KNOWN:
            return self.anew(frame, look, stop)
        moved = warped_sharply(picture, motion.flow).clip(0, 255)
        start = to_levels(self._filled(moved, motion.known, frame))
        known = motion.known[np.newaxis, ..., np.newaxis].astype(np.float32)
        held = Before(moved[np.newaxis] / 255, known)
        easel = self._easel(frame, replace(look, before=held), canvas=start, plan=self._next_plan)
        return _painted(easel, stop)

    def between(self, frame: np.ndarray, sides: Sequence[Side]) -> np.ndarray:
        """A frame between others that are painted, drawn along from them, raw."""
        total, weights = np.zeros(frame.shape, np.float32), np.zeros(frame.shape[:2], np.float32)
        for side in sides:
            weight = side.share * side.trust(frame)
            moved = warped_sharply(side.picture, side.motion.flow).clip(0, 255)
            total += weight[..., np.newaxis] * moved
            weights += weight
        mixed = total / np.maximum(weights, LEAST_WEIGHT)[..., np.newaxis]
        return self._filled(mixed, weights > LEAST_WEIGHT, frame)

    def calmed(
        self,
        wanted: np.ndarray,
        frame: np.ndarray,
        before: np.ndarray,
        picture: np.ndarray,
        motion: Motion,
        look: Follows,
    ) -> np.ndarray:
        """What is wanted, nearer to the frame before where it changes by more than is allowed, raw.

        Where the clip stays as it is, so does the picture.

        Args:
            wanted: of the frame, raw.
            before, picture, motion: as for `onward`, of the frame before.
        """
        moved = warped(picture, motion.flow)
        allowed = ALLOWED * change_near(frame, warped(before, motion.flow), motion.known)
        there, here = self._shown(frame, look, wanted, moved)
        changed = change_near(there, here, motion.known)
        share = np.sqrt(np.minimum(1, allowed / np.maximum(changed, LEAST_CHANGE)))
        back = (1 - share) * around(motion.known)
        return wanted + back[..., np.newaxis] * (moved - wanted)

    def shown(self, frame: np.ndarray, picture: np.ndarray, look: Follows) -> np.ndarray:
        """A raw picture as it is shown, uint8: in the paintings' colours."""
        (found,) = self._shown(frame, look, picture)
        return found

    def _shown(self, frame: np.ndarray, look: Follows, *pictures: np.ndarray) -> list[np.ndarray]:
        settings = replace(self._settings, subject=False)  # nothing here depends on it
        easel = Easel(frame, list(self._styles), settings, plan=self._plan, follows=look)
        return [easel.shown(picture) for picture in pictures]

    def _filled(self, picture: np.ndarray, known: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """A picture where it is known; elsewhere what the feed-forward net makes of the frame.

        In the contrast of what is known, and in the colours around: by the difference of the two
        where both are there, blurred.
        """
        if known.all() or not known.any():
            return picture
        seen_frame = frame[np.newaxis].astype(np.float32) / 255
        net = preview(seen_frame, self._paintings, self._settings.stylizer)[0] * 255
        own, wanted = net[known], picture[known]
        gain = np.minimum(1, wanted.std(axis=0) / np.maximum(own.std(axis=0), 1))
        net = wanted.mean(axis=0) + gain * (net - own.mean(axis=0))
        seen = soft(known)[..., np.newaxis]
        away = blurred(seen * (picture - net), AROUND)
        new = net + away / np.maximum(blurred(seen, AROUND), LEAST_WEIGHT)[..., np.newaxis]
        return (seen * picture + (1 - seen) * new).clip(0, 255).astype(np.float32)

    def _easel(
        self,
        frame: np.ndarray,
        look: Follows | None,
        *,
        plan: Plan,
        canvas: np.ndarray | None = None,
    ) -> Easel:
        return Easel(
            frame, list(self._styles), self._settings, canvas=canvas, plan=plan, follows=look
        )


def _painted(easel: Easel, stop: StopToken) -> np.ndarray:
    frames = deque(easel.paint(stop), maxlen=1)
    if not frames or not frames[0].done:
        raise StoppedError(stop.reason)
    return easel.canvas[0] * np.float32(255)


def to_levels(picture: np.ndarray) -> np.ndarray:
    """A raw picture in whole levels, uint8."""
    return np.rint(picture.clip(0, 255)).astype(np.uint8)


def change(picture: np.ndarray, moved: np.ndarray, known: np.ndarray) -> float:
    """Flicker: the mean squared difference where it is known, levels of 0 to 1.

    Args:
        picture, moved: a frame, and the one before warped to it.
        known: bool [H, W].
    """
    if not known.any():
        return 0.0
    away = (picture[known].astype(np.float32) - moved[known]) / 255
    return float(np.square(away).mean())


def change_near(picture: np.ndarray, moved: np.ndarray, known: np.ndarray) -> np.ndarray:
    """`change` around each place, float32 [H, W]."""
    counts = known.astype(np.float32)
    away = np.square(picture.astype(np.float32) - moved).mean(axis=-1) / 255**2
    return blurred(counts * away, NEAR) / np.maximum(blurred(counts, NEAR), LEAST_WEIGHT)


def soft(known: np.ndarray) -> np.ndarray:
    """A mask with a soft seam on its inner side, float32 [H, W]."""
    inner = blurred(known.astype(np.float32), SEAM)
    return np.where(known, np.clip(2 * inner - 1, 0, 1), 0).astype(np.float32)


def around(known: np.ndarray) -> np.ndarray:
    """The same with the seam on its outer side."""
    return 1 - soft(~known)


def blurred(values: np.ndarray, share: float) -> np.ndarray:
    """`values` [H, W] or [H, W, N] blurred by a share of the long side."""
    sigma = max(0.5, share * max(values.shape[:2]))
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma))
