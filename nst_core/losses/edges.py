"""The photo's edges: where light turns to dark, the picture should turn alike.

"The photo" is what `Photo.pixels` says: for nearest features in the painting's colours.

Features that find their nearest in a painting lose small things: windows, eyes, masts. What makes
them out is the gradient of luminance, which says nothing of colours and strokes. After "Laplacian-
Steered Neural Style Transfer" (Li, Xu, Nie and Chua 2017, arXiv 1707.01253), which compares second
derivatives at all places alike; here it is the first ones, and those places most where the photo
has edges, so that strokes are free elsewhere.

With g_p the gradient of the picture's luminance at the positions p of a grid, h_p the photo's, and
w_p = |h_p| + FLOOR (mean |h| + LEAST), where anything is painted:

    L_edges = sum_p w_p |g_p - h_p|^2 / sum_p w_p (|h_p|^2 + LEAST^2)

0 for the same edges, about 1 for a plain picture of a photo that has some. Each is smoothed by a
Gaussian: gradients at the grid are products with two matrices, the smooth derivative along one side
and the smoothing along the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nst_core.lazy import tf
from nst_core.losses.content import strength_factor
from nst_core.losses.term import Part, Photo, RegionMeasures, Term
from nst_core.settings import Settings

# Brings the loss to the size of the others.
SCALE = 1e8

# Positions along the long side: of larger pictures, so that one setting means one look, and strokes
# that are smaller than a position's cell are free.
GRID = 256

SIGMA = 0.8  # of the Gaussian, in cells

# The share of the photo's mean gradient that flat places weigh, where ghosts of strokes would show.
FLOOR = 0.3

# The change of luminance over one sigma that strokes have. A photo without edges, like fog, asks no
# more of them than to be no steeper.
LEAST = 0.02

MIN_SUM = 1e-12  # where nothing is painted, nothing is divided by 0

OUTLINE = 0.95  # of a smoothed mask: about where a gradient across its outline ends

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # of R, G and B (ITU-R BT.601)


class Filters(NamedTuple):
    """Matrices along one side, float32 [positions, pixels]."""

    smooth: Any
    slope: Any  # the change over one sigma


class EdgeTarget(NamedTuple):
    rows: Filters
    columns: Filters
    gradient: tf.Tensor  # h, down and right, float32 [2, positions, positions]
    weight: tf.Tensor  # w over the sum below the fraction, float32 [positions, positions]


@dataclass(frozen=True)
class Edges(Term):
    """`L_edges` as a term of the engine, on the pixels of the whole picture."""

    name = "edges"

    @property
    def weight_names(self) -> tuple[str, ...]:
        return ("edges",)

    def weights(self, settings: Settings) -> dict[str, float]:
        """Stricter or less strict with the strength, as the content is."""
        return {"edges": (settings.edge_weight or 0.0) * strength_factor(settings)}

    def target(self, photo: Photo, regions: Sequence[RegionMeasures]) -> EdgeTarget:
        height, width = photo.size
        cell = max(1.0, max(height, width) / GRID)
        rows, columns = make_filters(height, cell), make_filters(width, cell)
        gradient = np.stack(gradients(photo.pixels[0] @ LUMINANCE, rows, columns))
        squares = np.square(gradient).sum(axis=0)
        size = np.sqrt(squares)
        weight = size + FLOOR * (size.mean() + LEAST)
        if photo.painted is not None:
            weight *= _inside(photo.painted[0, ..., 0], rows, columns)
        weight /= max(np.sum(weight * (squares + LEAST**2)), MIN_SUM)
        return tf.nest.map_structure(tf.constant, EdgeTarget(rows, columns, gradient, weight))

    def target_signature(self, regions: int, precision: str) -> EdgeTarget:
        matrix = tf.TensorSpec([None, None])
        filters = Filters(matrix, matrix)
        return EdgeTarget(filters, filters, tf.TensorSpec([2, None, None]), matrix)

    def statistics(self, part: Part, target: EdgeTarget) -> tf.Tensor:
        assert part.pixels is not None  # a term without layers sees the whole picture
        luminance = tf.linalg.matvec(part.pixels[0], tf.constant(LUMINANCE))
        own = gradients(luminance, target.rows, target.columns)
        squares = tf.square(own[0] - target.gradient[0]) + tf.square(own[1] - target.gradient[1])
        return tf.reduce_sum(target.weight * squares)

    def loss(
        self, statistics: Any, target: Any, weights: Mapping[str, tf.Tensor], area: tf.Tensor
    ) -> tf.Tensor:
        return SCALE * weights["edges"] * statistics


def make_filters(length: int, cell: float) -> Filters:
    """The filters along a side of `length` pixels, with a position in every `cell` of them."""
    sigma = SIGMA * cell
    count = max(1, round(length / cell))
    positions = (np.arange(count) + 0.5) * length / count - 0.5
    away = (np.arange(length) - positions[:, np.newaxis]) / sigma
    smooth = np.exp(-(away**2) / 2)
    smooth /= smooth.sum(axis=1, keepdims=True)
    slope = smooth * away
    slope -= smooth * slope.sum(axis=1, keepdims=True)  # so that a plain side has none
    return Filters(smooth.astype(np.float32), slope.astype(np.float32))


def gradients(luminance: Any, rows: Filters, columns: Filters) -> tuple[tf.Tensor, tf.Tensor]:
    """The gradient of luminance [H, W], down and right, each [positions, positions]."""
    down = tf.matmul(rows.slope @ luminance, columns.smooth, transpose_b=True)
    right = tf.matmul(rows.smooth @ luminance, columns.slope, transpose_b=True)
    return down, right


def _inside(mask: np.ndarray, rows: Filters, columns: Filters) -> np.ndarray:
    """A mask at the positions, 0 up to two sigma inside of its outline: that is no photo's edge."""
    smooth = rows.smooth @ mask @ columns.smooth.T
    return np.clip((smooth - OUTLINE) / (1 - OUTLINE), 0, 1)
