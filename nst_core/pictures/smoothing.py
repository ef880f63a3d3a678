"""Smoothing that stops at edges."""

from __future__ import annotations

import numpy as np

from nst_core.lazy import tf
from nst_core.pictures.pyramid import resize

# Texture: what differs by less than this from what is around it, of 0 to 1, within a window of so
# many percent of the long side.
TEXTURE, WINDOW = 0.04, 1.6

# Long side, px, up to which the filter works on every pixel. Beyond it, what the filter makes of
# the guide is found on a smaller copy and interpolated, as in He and Sun 2015, "Fast Guided
# Filter" (arXiv 1505.00996).
LARGEST = 1024


def without_texture(picture: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """A picture without grass, fur and grain, but with the photo's edges, as painters see it.

    Which edges there are is the photo's own colours to say: in a painting's colours a mast may have
    the light of the sky behind it, and would go with the texture.

    Args:
        picture: the photo in any colours, float32 RGB [1, H, W, 3] in [0, 1]; the result is alike.
        photo: in its own colours, of the same shape.
    """
    size = picture.shape[1:3]
    scale = min(1.0, LARGEST / max(size))
    height, width = (max(1, round(scale * length)) for length in size)
    values, guide = (resize(one, height, width)[0] for one in (picture, photo))
    side = max(3, round(WINDOW / 100 * max(height, width)))
    slope, offset = _linear_maps(values, guide, side, TEXTURE**2)
    smooth = np.empty_like(picture)
    for channel in range(3):
        smooth[0, ..., channel] = _enlarged(offset[..., channel], size)
        for of_guide in range(3):
            change = _enlarged(slope[..., of_guide, channel], size)
            smooth[0, ..., channel] += change * photo[0, ..., of_guide]
    return smooth.clip(0, 1)


def guided_filter(values: np.ndarray, guide: np.ndarray, side: int, edge: float) -> np.ndarray:
    """`values` [H, W, C] smoothed along the edges of a guide [H, W, G].

    At each place they become a linear map of the guide,

        slope = (Sigma + edge I)^-1 cov(guide, values),   offset = mean values - slope mean guide

    in each window, with Sigma the covariance of the guide's channels, and the means of both over
    all windows around the place (He, Sun and Tang 2013, "Guided Image Filtering", eq. 19 to 21).

    Args:
        side: of the window, pixels.
        edge: the variance of the guide in a window from which on it counts as an edge.
    """
    slope, offset = _linear_maps(values, guide, side, edge)
    return np.einsum("hwgc,hwg->hwc", slope, guide) + offset


def _linear_maps(
    values: np.ndarray, guide: np.ndarray, side: int, edge: float
) -> tuple[np.ndarray, np.ndarray]:
    """The slope [H, W, G, C] and the offset [H, W, C] of `guided_filter`."""
    from scipy.ndimage import uniform_filter  # at first use: it takes a moment to load

    def mean(x: np.ndarray) -> np.ndarray:
        return uniform_filter(x, (side, side) + (0,) * (x.ndim - 2), mode="nearest")

    def covariance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        products = x[..., :, np.newaxis] * y[..., np.newaxis, :]
        return mean(products) - mean(x)[..., :, np.newaxis] * mean(y)[..., np.newaxis, :]

    spread = covariance(guide, guide) + edge * np.eye(guide.shape[-1], dtype=guide.dtype)
    slope = np.linalg.solve(spread, covariance(guide, values))
    offset = mean(values) - np.einsum("hwgc,hwg->hwc", slope, mean(guide))
    return mean(slope), mean(offset)


def _enlarged(values: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Numbers of any range [h, w] at another size, linearly interpolated."""
    if values.shape == size:
        return values
    return tf.image.resize(values[np.newaxis, ..., np.newaxis], size)[0, ..., 0].numpy()
