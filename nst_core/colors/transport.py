"""A photo in a painting's colours: each of its colours becomes the nearest that can be had.

With a linear map, which moves all colours alike, a photo takes on a tint: beside blue and green
skin turns grey, and a tongue white. Here each colour moves by itself, and no further than it takes,
so that what is warm in the photo takes the painting's warm colours if there are any.
"""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image, ImageFilter

from nst_core.colors.oklab import from_oklab, to_oklab

SAMPLES = 256  # pixels of a picture that stand for all of its colours

# Each colour of the painting can be given to so many times its share of the picture. With 1 a photo
# without a sky has the painting's blue laid on something else.
SPARE = 2.0

# Standard deviation, in OkLab, of the weights by which a colour moves as the samples near to it do.
SMOOTH = 0.06

# Colours along each of R, G and B whose moves are worked out; those between are interpolated.
GRID = 13


def to_nearest_colors(
    picture: np.ndarray,
    painting: np.ndarray,
    own: np.ndarray | None = None,
    spare: float = SPARE,
) -> np.ndarray:
    """A picture, uint8 [H, W, 3], in the colours of a painting; uint8 of the same shape.

    Samples of the picture are assigned to samples of the painting, of which there are `spare` times
    as many, so that the sum of the squared distances in OkLab is least: the optimal transport of
    Villani, "Topics in Optimal Transportation" (2003), chapter 1, between two sets of points, with
    some of the second left over. Any colour c then moves by the mean of the moves m_i of samples
    x_i, weighted by how near they are (Nadaraya 1964 and Watson 1964):

        c' = c + sum_i k_i m_i / sum_i k_i,   k_i = exp(-|c - x_i|^2 / (2 SMOOTH^2))

    Args:
        painting: its pixels, uint8 [..., 3].
        own: a mask of the pixels that count of the picture, bool [H, W]; None for all.
        spare: at least 1.
    """
    from scipy.optimize import linear_sum_assignment  # at first use: it takes a moment to load
    from scipy.spatial.distance import cdist

    samples = _samples(picture if own is None else picture[own], SAMPLES)
    wanted = _samples(painting, round(spare * SAMPLES))
    _, assigned = linear_sum_assignment(cdist(samples, wanted, "sqeuclidean"))
    moves = wanted[assigned] - samples
    colors = _grid()
    away = cdist(colors, samples, "sqeuclidean")
    nearness = np.exp((away.min(axis=1, keepdims=True) - away) / (2 * SMOOTH**2))
    nearness /= nearness.sum(axis=1, keepdims=True)
    moved = from_oklab((colors + nearness @ moves).astype(np.float32))
    table = ImageFilter.Color3DLUT(GRID, (moved / 255).ravel().tolist())
    return np.asarray(Image.fromarray(picture).filter(table))


def _samples(pixels: np.ndarray, count: int) -> np.ndarray:
    """Some of the pixels, evenly chosen, in OkLab, float32 [count, 3]."""
    flat = pixels.reshape(-1, 3)
    return to_oklab(flat[np.linspace(0, len(flat) - 1, count).round().astype(int)])


@functools.cache
def _grid() -> np.ndarray:
    """The colours of the grid in OkLab, red changing fastest as Pillow's tables have it."""
    levels = np.linspace(0, 255, GRID).round().astype(np.uint8)
    blue, green, red = np.meshgrid(levels, levels, levels, indexing="ij")
    return to_oklab(np.stack([red, green, blue], axis=-1).reshape(-1, 3))
