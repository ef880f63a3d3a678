"""The photo's edges: the picture should change where the photo does, alike, and nowhere else.

"The photo" is what `Photo.pixels` says: for nearest features in the painting's colours.

Features that find their nearest in a painting lose small things: windows, eyes, masts; and what
has another hue but the same light as the wall behind it dissolves. What makes them out are the
gradients of the colours, which say nothing of the colours themselves, nor of strokes between. After
"Laplacian-Steered Neural Style Transfer" (Li, Xu, Nie and Chua 2017, arXiv 1707.01253), which
compares second derivatives at all places alike; here it is the first ones, and those places most
where an edge of the photo stands out from what is around it: a faint mast in an empty sky is one of
the photo's things, but each leaf of a wood is not, and where neither is, strokes are free.
A place that is plain, but near to edges, counts for less than one in an empty sky, where a scratch
is seen.

With g_pc the gradient of the picture's channel c at the positions p of a grid, h_pc the photo's,
|.|^2 the mean over the channels, u = mean |h| + LEAST, l_p the same of what is around p, by a
Gaussian of `AROUND` cells, and w_p = u^2 / l_p (|h_p| / l_p + FLOOR), where anything is painted:

    L_edges = sum_p w_p |g_p - h_p|^2 / sum_p w_p (|h_p|^2 + LEAST^2)

0 for the same edges, about 1 for a plain picture of a photo that has some. Each is smoothed by a
Gaussian: gradients at the grid are products with two matrices, the smooth derivative along one side
and the smoothing along the other.

In the photo's plain places, boats and clouds may arise that are the painting's alone. They are
larger than strokes, so they have outlines on a coarser grid, too. There the plainer a place of the
photo is, the more it counts, with N positions in all. Only luminance does, so that a plain wall may
still be of many colours:

    L_shapes = 1/N sum_p (g_p - h_p)^2 / (h_p^2 + mean h^2 + LEAST^2)

Between its edges a thing has a mass of colour, or it would be an outline on the wall. So the same
is asked of mean colours in the cells q of a coarse grid, m_q of the picture and n_q of the photo,
whose mean is n:

    L_masses = sum_q |m_q - n_q|^2 / sum_q (|n_q - n|^2 + LEAST^2)

and the term is L_edges + SHAPES L_shapes + MASSES L_masses. Each is summed over the subject and the
rest apart, see `strictness.py`; where the subject's mask is 1, on faces, edges count `FACE_EDGES`
times and mean colours `SUBJECT_MASSES` times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nst_core.lazy import tf
from nst_core.losses.strictness import Split, split, strictness
from nst_core.losses.term import Part, Photo, RegionMeasures, Term
from nst_core.networks.network import Network
from nst_core.pictures.images import LUMA
from nst_core.settings import Settings

# Brings the loss to the size of the others.
SCALE = 4.2e8

# Positions along the long side: of larger pictures, so that one setting means one look, and strokes
# that are smaller than a position's cell are free.
GRID = 256

SIGMA = 0.8  # of the Gaussian, in cells

FACE_EDGES = 5.0  # times as much as the rest do the edges of faces weigh

AROUND = 6.0  # cells: the standard deviation of what counts as around an edge

# What a flat place weighs, where ghosts of strokes would show, beside an edge that has the strength
# of those around it.
FLOOR = 0.45

# The change over one sigma, of 0 to 1, that strokes have. A photo without edges, like fog, asks no
# more of them than to be no steeper.
LEAST = 0.02

# Positions along the long side of the grid on which shapes are found, and what they weigh beside
# the edges.
SHAPE_GRID, SHAPES = 64, 0.5

# Cells along the long side that keep their mean colours, and what they weigh beside the edges.
MASS_GRID, MASSES = 24, 0.12

# How many times as much the subject's mean colours weigh as the rest's: a face that keeps its edges
# and not its colours looks like a black-and-white photo.
SUBJECT_MASSES = 6.0

MIN_SUM = 1e-12  # where nothing is painted, nothing is divided by 0

OUTLINE = 0.95  # of a smoothed mask: about where a gradient across its outline ends


class Filters(NamedTuple):
    """Matrices along one side, float32 [positions, pixels]."""

    smooth: Any
    slope: Any  # the change over one sigma


class GradientTarget(NamedTuple):
    """The gradients of a grid's positions."""

    rows: Filters
    columns: Filters
    gradient: Any  # h, down and right, float32 [2, channels, positions, positions]
    weight: Split  # what |g - h|^2 is multiplied by, float32 [positions, positions]


class MassTarget(NamedTuple):
    """The colours of a much coarser grid."""

    rows: tf.Tensor  # smoothing matrices, float32 [cells, pixels]
    columns: tf.Tensor
    colors: tf.Tensor  # float32 [3, cells, cells]
    weight: Split  # float32 [cells, cells]


class EdgeTarget(NamedTuple):
    edges: GradientTarget
    shapes: GradientTarget
    masses: MassTarget


@dataclass(frozen=True)
class Edges(Term):
    """`L_edges + SHAPES L_shapes + MASSES L_masses` as a term of the engine.

    It looks at the pixels of the whole picture.
    """

    name = "edges"

    @property
    def weight_names(self) -> tuple[str, ...]:
        return ("edges", "subject")

    def weights(self, settings: Settings) -> dict[str, float]:
        """Stricter or less strict with the strength, as the content is."""
        k, weight = strictness(settings), settings.edge_weight or 0.0
        return {"edges": weight * k.rest, "subject": weight * k.subject}

    def flop(self, network: Network) -> float:
        """Of the products with the filters of rows, forward and back.

        Those with the filters of columns see what these have shortened: of large pictures little.
        """
        return 2 * 2 * (3 * (2 * GRID + MASS_GRID) + 2 * SHAPE_GRID)

    def target(self, photo: Photo, regions: Sequence[RegionMeasures]) -> EdgeTarget:
        found = EdgeTarget(_edges_of(photo), _shapes_of(photo), _masses_of(photo))
        return tf.nest.map_structure(tf.constant, found)

    def target_signature(self, regions: int, precision: str) -> EdgeTarget:
        matrix = tf.TensorSpec([None, None])
        filters, weight = Filters(matrix, matrix), Split(matrix, matrix)
        edges, shapes = (
            GradientTarget(filters, filters, tf.TensorSpec([2, channels, None, None]), weight)
            for channels in (3, 1)
        )
        masses = MassTarget(matrix, matrix, tf.TensorSpec([3, None, None]), weight)
        return EdgeTarget(edges, shapes, masses)

    def statistics(self, part: Part, target: EdgeTarget) -> Split:
        assert part.pixels is not None  # a term without layers sees the whole picture
        channels = tf.transpose(part.pixels[0], [2, 0, 1])
        luminance = tf.tensordot(LUMA, channels, 1)[tf.newaxis]
        masses = target.masses
        colors = tf.square(smoothed(channels, masses.rows, masses.columns) - masses.colors)
        away = (
            (1.0, _away(channels, target.edges), target.edges.weight),
            (SHAPES, _away(luminance, target.shapes), target.shapes.weight),
            (MASSES, tf.reduce_mean(colors, axis=0), masses.weight),
        )
        return Split(
            tf.add_n([share * tf.reduce_sum(at.rest * squares) for share, squares, at in away]),
            tf.add_n([share * tf.reduce_sum(at.subject * squares) for share, squares, at in away]),
        )

    def loss(
        self, statistics: Any, target: Any, weights: Mapping[str, tf.Tensor], area: tf.Tensor
    ) -> tf.Tensor:
        weighted = weights["edges"] * statistics.rest + weights["subject"] * statistics.subject
        return SCALE * weighted


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


def gradients(channels: Any, rows: Filters, columns: Filters) -> tuple[tf.Tensor, tf.Tensor]:
    """The gradients of channels [..., H, W], down and right, each [..., positions, positions]."""
    down = tf.matmul(rows.slope @ channels, columns.smooth, transpose_b=True)
    right = tf.matmul(rows.smooth @ channels, columns.slope, transpose_b=True)
    return down, right


def smoothed(channels: Any, rows: Any, columns: Any) -> tf.Tensor:
    """The means of channels [..., H, W] in the cells of two smoothing matrices."""
    return tf.matmul(rows @ channels, columns, transpose_b=True)


def _away(channels: tf.Tensor, target: GradientTarget) -> tf.Tensor:
    """|g - h|^2 at the positions, of channels [C, H, W]."""
    down, right = gradients(channels, target.rows, target.columns)
    squares = tf.square(down - target.gradient[0]) + tf.square(right - target.gradient[1])
    return tf.reduce_mean(squares, axis=0)


def _edges_of(photo: Photo) -> GradientTarget:
    """h and w of L_edges, over the sum below its fraction."""
    from scipy.ndimage import gaussian_filter  # at first use: it takes a moment to load

    found = _gradients_of(photo, photo.pixels[0].transpose(2, 0, 1), GRID)
    size = np.sqrt(found.squares)
    usual, around = size.mean() + LEAST, gaussian_filter(size, AROUND) + LEAST
    weight = found.painted * usual**2 / around * (size / around + FLOOR)
    weight /= max(np.sum(weight * (found.squares + LEAST**2)), MIN_SUM)
    return _target(photo, found, weight, FACE_EDGES)


def _shapes_of(photo: Photo) -> GradientTarget:
    """h of L_shapes, and what its squares are multiplied by."""
    found = _gradients_of(photo, (photo.pixels[0] @ LUMA)[np.newaxis], SHAPE_GRID)
    squares = found.squares
    usual = squares.mean() + LEAST**2
    return _target(photo, found, found.painted / (squares + usual) / squares.size)


class FoundGradients(NamedTuple):
    """Gradients of the photo's channels at a grid's positions."""

    rows: Filters
    columns: Filters
    gradient: np.ndarray  # h, as in `GradientTarget`
    squares: np.ndarray  # |h|^2
    painted: np.ndarray  # 1 where the picture is painted, down to 0 at the outline, 0 elsewhere


def _gradients_of(photo: Photo, channels: np.ndarray, grid: int) -> FoundGradients:
    """The gradients of channels [C, H, W] on a grid."""
    height, width = photo.size
    cell = max(1.0, max(height, width) / grid)
    rows, columns = make_filters(height, cell), make_filters(width, cell)
    gradient = np.stack(gradients(channels, rows, columns))
    squares = np.square(gradient).sum(axis=0).mean(axis=0)
    painted = np.ones_like(squares)
    if photo.painted is not None:
        painted = _inside(photo.painted[0, ..., 0], rows.smooth, columns.smooth)
    return FoundGradients(rows, columns, gradient, squares, painted)


def _target(
    photo: Photo, found: FoundGradients, weight: np.ndarray, factor: float = 1.0
) -> GradientTarget:
    """What the picture's gradients are compared with; the subject's count `factor` times."""
    weights = _split(photo, weight, found.rows.smooth, found.columns.smooth, factor)
    return GradientTarget(found.rows, found.columns, found.gradient, weights)


def _masses_of(photo: Photo) -> MassTarget:
    height, width = photo.size
    cell = max(1.0, max(height, width) / MASS_GRID)
    rows, columns = make_filters(height, cell).smooth, make_filters(width, cell).smooth
    colors = np.asarray(smoothed(photo.pixels[0].transpose(2, 0, 1), rows, columns))
    weight = np.ones(colors.shape[1:], np.float32)
    if photo.painted is not None:
        weight = _inside(photo.painted[0, ..., 0], rows, columns)
    spread = np.square(colors - colors.mean(axis=(1, 2), keepdims=True)).mean(axis=0)
    weight = weight / max(np.sum(weight * (spread + LEAST**2)), MIN_SUM)
    weights = _split(photo, weight, rows, columns, SUBJECT_MASSES)
    return MassTarget(rows, columns, colors, weights)


def _split(
    photo: Photo, weight: np.ndarray, rows: np.ndarray, columns: np.ndarray, factor: float = 1.0
) -> Split:
    """A weight of positions, divided by the subject as two smoothing matrices see it."""
    subject = np.zeros_like(weight)
    if photo.subject is not None:
        subject = rows @ photo.subject[0, ..., 0] @ columns.T
    return Split(*(np.float32(part) for part in split(weight, subject, factor)))


def _inside(mask: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """A mask at the positions, 0 up to two sigma inside of its outline: that is no photo's edge."""
    smooth = rows @ mask @ columns.T
    return np.clip((smooth - OUTLINE) / (1 - OUTLINE), 0, 1)
