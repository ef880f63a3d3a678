"""Smoothing that stops at edges."""

from __future__ import annotations

import numpy as np

from nst_core.pictures.images import LUMA

# Texture: what differs by less than this from what is around it, in luminance of 0 to 1, within a
# window of so many percent of the long side.
TEXTURE, WINDOW = 0.04, 1.6


def without_texture(picture: np.ndarray) -> np.ndarray:
    """A picture without grass, fur and grain, but with its edges, as painters see it.

    Args:
        picture: float32 RGB [1, H, W, 3] in [0, 1]; the result is alike.
    """
    side = max(3, round(WINDOW / 100 * max(picture.shape)))
    guide, channels = picture[0] @ LUMA, np.moveaxis(picture[0], -1, 0)
    smooth = [guided_filter(channel, guide, side, TEXTURE**2) for channel in channels]
    return np.stack(smooth, axis=-1).clip(0, 1)[np.newaxis]


def guided_filter(values: np.ndarray, guide: np.ndarray, side: int, edge: float) -> np.ndarray:
    """`values` [H, W] smoothed along the edges of `guide` (He, Sun and Tang 2010, eq. 5 and 6).

    Args:
        side: of the window, pixels.
        edge: the variance of the guide in a window from which on it counts as an edge.
    """
    from scipy.ndimage import uniform_filter  # at first use: it takes a moment to load

    def mean(x: np.ndarray) -> np.ndarray:
        return uniform_filter(x, side, mode="nearest")

    mean_guide, mean_values = mean(guide), mean(values)
    variance = mean(guide * guide) - mean_guide**2
    slope = (mean(guide * values) - mean_guide * mean_values) / (variance + edge)
    return mean(slope) * guide + mean(mean_values - slope * mean_guide)
