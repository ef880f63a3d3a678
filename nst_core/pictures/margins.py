"""Margins of a reproduction: a strip of frame, of paper or of the scanner's bed.

A line along a whole side is the strongest stroke that there is in many a painting, and near to
every border that is painted: without this, pictures get dark strips there.
"""

from __future__ import annotations

import numpy as np

# How far a margin reaches at most, in percent of its side.
DEEPEST = 3.0

# It ends where a row differs from the next one in some channel: on average by so much of 0 to 1,
# and by more than `UNLIKE` in the same direction at so many of its pixels. A wave along a side is
# here lighter and there darker.
STEP, MOST, UNLIKE = 0.07, 0.65, 0.02

# Rows beyond its end that are still mixed with it.
BLURRED = 1


def without_margins(rgb: np.ndarray) -> np.ndarray:
    """A painting with its mirror image where it had margins; others as they are.

    Nothing moves: each place of the painting stays where it was.

    Args:
        rgb: float32 [1, H, W, 3] in [0, 1]; the result is alike.
    """
    rows, columns = (_margins(np.moveaxis(rgb[0], axis, 0)) for axis in (0, 1))
    if not any((*rows, *columns)):
        return rgb
    _, height, width, _ = rgb.shape
    inner = rgb[:, rows[0] : height - rows[1], columns[0] : width - columns[1]]
    return np.pad(inner, [(0, 0), rows, columns, (0, 0)], "symmetric")


def _margins(rows: np.ndarray) -> tuple[int, int]:
    return _margin(rows), _margin(rows[::-1])


def _margin(rows: np.ndarray) -> int:
    """How many of `rows` [L, M, 3], from the first one on, are a margin."""
    deepest = round(len(rows) * DEEPEST / 100)
    if not deepest:
        return 0
    differences = np.diff(rows[: deepest + 1], axis=0)  # [deepest, M, 3]
    steps = np.abs(differences.mean(axis=1))
    alike = np.maximum((differences > UNLIKE).mean(axis=1), (differences < -UNLIKE).mean(axis=1))
    ends = np.flatnonzero(((steps > STEP) & (alike > MOST)).any(axis=-1))
    return int(ends[-1]) + 1 + BLURRED if len(ends) else 0
