"""Where the places of a picture come from: the most similar place of its paintings.

With nearest features, each place of the picture is made to look like some place of a painting.
These are found here for a picture that is painted: by hypercolumns, their softened directions and
distance, as `losses/hypercolumns.py` has them, of the picture alone with nothing of the photo.

One thing differs. There directions are from the photo's mean and from each painting's, because a
photo's features lie elsewhere; a painted picture's do not. So all are from one mean, that of all
paintings of the region: what is the same in both has a distance of 0, and those of several
paintings can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from nst_core.engine import device, tiles
from nst_core.engine.job import HALF, Job, layout_at
from nst_core.engine.objective import Objective
from nst_core.engine.schedule import SHORTEST_SIDE, Scale
from nst_core.lazy import tf
from nst_core.losses import NEAREST_LAYERS, completed
from nst_core.losses.hypercolumns import SOFTNESS, HypercolumnStyle
from nst_core.losses.matching import Middle, direction, middle_of, nearest_to, sums_of
from nst_core.losses.nearest import painting_spacing
from nst_core.networks import NETWORKS
from nst_core.networks.extractor import Extractor
from nst_core.pictures.images import Picture
from nst_core.pictures.pyramid import resize
from nst_core.pictures.regions import Layout
from nst_core.settings import Settings

# Long side in px that a picture is compared at. Hypercolumns lie 4 px apart there, 64 along the
# long side: each 8 x 8 px of a picture of 512 px is seen as a whole, and neighbours more often come
# from neighbours than with every second hypercolumn at 512 px, in half the time.
LONGEST_SIDE = 256


@dataclass(frozen=True)
class Origin:
    """Where one place of a picture comes from: a patch of a painting, in fractions of its sides."""

    painting: int  # its number, from 0, as in `Origins`
    row: float  # the patch's centre, 0 (top) to 1
    column: float  # 0 (left) to 1
    height: float  # the patch's, over 0 and up to 1
    width: float


@dataclass(frozen=True)
class Origins:
    """Where each place of a picture comes from.

    The places are the cells of a grid of h x w equal ones over the whole picture, about 64 along
    its long side. What is kept from the photo, or transparent, comes from no painting.

    Paintings are numbered from 0, as they were given; those with a weight of 0 are not counted.
    """

    painting: np.ndarray  # its number, int32 [h, w]; -1 for none
    row: np.ndarray  # the origin's centre, 0 (top) to 1, float32 [h, w]; NaN for none
    column: np.ndarray  # 0 (left) to 1, likewise
    distance: np.ndarray  # of the two hypercolumns' directions, 0 (equal) to 2, likewise
    cell: tuple[float, float]  # height and width of a place, in pixels as it was compared
    sizes: tuple[tuple[int, int], ...]  # the same of each painting

    def at(self, row: float, column: float) -> Origin | None:
        """Where a place of the picture comes from; None for what no painting has made.

        Args:
            row, column: the place, 0 (top, left) to 1; what lies beyond counts as the border.
        """
        height, width = self.painting.shape
        place = _index(row, height), _index(column, width)
        number = int(self.painting[place])
        if number < 0:
            return None
        height, width = (
            min(1.0, own / side) for own, side in zip(self.cell, self.sizes[number], strict=True)
        )
        return Origin(number, float(self.row[place]), float(self.column[place]), height, width)

    def places(self, painting: int, row: float, column: float, radius: float) -> np.ndarray:
        """The places that come from a disc of a painting, bool [h, w].

        Args:
            painting: its number; one that does not exist has no places.
            row, column: the disc's centre, 0 (top, left) to 1.
            radius: in parts of the painting's long side. Origins whose centre is at most so far
                away count.
        """
        if not 0 <= painting < len(self.sizes):
            return np.zeros(self.painting.shape, bool)
        height, width = self.sizes[painting]
        away = np.hypot((self.row - row) * height, (self.column - column) * width)
        return (self.painting == painting) & (away <= radius * max(height, width))


def _index(part: float, count: int) -> int:
    """Which of `count` equal parts of a side a fraction of it lies in."""
    return int(min(max(0.0, part) * count, count - 1))


def find_origins(picture: np.ndarray, job: Job, settings: Settings, precision: str) -> Origins:
    """The origins of a picture in the paintings of a job.

    Args:
        picture: float32 [1, H, W, 3] in [0, 1]; of the photo's size, or of a coarser scale.
        settings: name the network, the layers, and the colours of the paintings. Layers of a weight
            of 0 do not count; those of `NEAREST_LAYERS` do where no others are named.
        precision: of the features.
    """
    # The search as well: it is as short as a step, and its memory would add to that of a run.
    with device.LOCK:
        scale = _compared_at(*picture.shape[1:3])
        layout = layout_at(job.recolored(settings.color), scale, job.photo.size[1])
        small = resize(picture, scale.height, scale.width)
        extractor = Objective.of(settings).extractor(precision).at(_layers(settings))
        return _origins(small, layout, extractor)


def _compared_at(height: int, width: int) -> Scale:
    """A picture's size shrunk to `LONGEST_SIDE`, but never narrower than the network bears."""
    factor = max(LONGEST_SIDE / max(height, width), SHORTEST_SIDE / min(height, width))
    height, width = (round(min(1.0, factor) * side) for side in (height, width))
    return Scale(height, width, steps=0)


def _layers(settings: Settings) -> tuple[str, ...]:
    own = completed(replace(settings, style_loss="nearest")).style_layers or ()
    used = [name for name, weight in own if weight > 0] or [name for name, _ in NEAREST_LAYERS]
    return NETWORKS[settings.network].in_order(used)


def _origins(picture: np.ndarray, layout: Layout, extractor: Extractor) -> Origins:
    """The same for a picture of a size that is compared, and a layout shrunk as far."""
    own = _columns(picture, extractor)
    height, width = own.shape[:2]
    where = _regions(layout, height, width)
    painting = np.full((height, width), -1, np.int32)
    found = np.full((3, height, width), np.nan, np.float32)  # row, column and distance
    sizes: dict[int, tuple[int, int]] = {}
    for index, region in enumerate(layout.regions):
        pictures = [one for one, _ in region.paintings]
        sizes |= zip(region.numbers, (one.rgb.shape[1:3] for one in pictures), strict=True)
        places = where == index
        if places.any():
            samples = [_samples(one, extractor) for one in pictures]
            which, found[:, places] = _nearest(own[places], samples)
            painting[places] = np.take(region.numbers, which)
    row, column, distance = found
    cell = picture.shape[1] / height, picture.shape[2] / width
    in_order = tuple(size for _, size in sorted(sizes.items()))
    return Origins(painting, row, column, distance, cell, in_order)


def _regions(layout: Layout, height: int, width: int) -> np.ndarray:
    """Which region has the most of each place, int [height, width]; -1 where nothing is painted."""
    if not layout.has_masks:
        return np.zeros((height, width), int)
    masks = [region.mask for region in layout.regions if region.mask is not None]
    shares = np.stack([resize(mask, height, width)[0, ..., 0] for mask in masks])
    return np.where(shares.sum(axis=0) >= HALF, shares.argmax(axis=0), -1)


# --- The search ---------------------------------------------------------------------------------


class _Samples(NamedTuple):
    """Visible places of one painting."""

    columns: np.ndarray  # their hypercolumns, float32 [Q, N]
    centres: np.ndarray  # row and column, in fractions of the painting, float32 [2, Q]


def _nearest(columns: np.ndarray, paintings: Sequence[_Samples]) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of all paintings' samples to each of some hypercolumns [P, N].

    Returns which painting's it is, int [P], and row, column and distance, float32 [3, P].
    """
    sums = [sums_of(own.columns[tf.newaxis, tf.newaxis]) for own in paintings]
    middle = middle_of(tf.concat(sums, axis=1))
    query = direction(columns, middle, SOFTNESS)
    # One painting after another: the similarities to all would take as many times the memory.
    each = np.stack([_nearest_of_one(query, own, middle) for own in paintings])  # [K, 3, P]
    best = each[:, -1].argmin(axis=0)
    return best, each[best, :, np.arange(len(best))].T


def _nearest_of_one(query: tf.Tensor, samples: _Samples, middle: Middle) -> np.ndarray:
    """Row, column and distance of the nearest of one painting's samples, float32 [3, P]."""
    known = direction(samples.columns, middle, SOFTNESS)
    (index,) = nearest_to(query[tf.newaxis], known[tf.newaxis]).numpy()
    distance = tf.reduce_sum(tf.square(query - tf.gather(known, index)), axis=-1) / 2
    return np.vstack([samples.centres[:, index], distance.numpy()])


def _samples(painting: Picture, extractor: Extractor) -> _Samples:
    """The places of a painting that are visible; all if none is."""
    columns = _columns(painting.rgb, extractor)
    height, width = columns.shape[:2]
    seen = np.ones((height, width), bool)
    if painting.alpha is not None:
        alpha = painting.alpha[np.newaxis, :, :, np.newaxis] / np.float32(255)
        seen = resize(alpha, height, width)[0, ..., 0] >= HALF
        seen = seen if seen.any() else ~seen
    centres = (np.array(np.nonzero(seen)) + 0.5) / [[height], [width]]
    return _Samples(columns[seen], centres.astype(np.float32))


def _columns(rgb: np.ndarray, extractor: Extractor) -> np.ndarray:
    """The hypercolumns of a picture on its grid, without its padding, float32 [h, w, N]."""
    network = extractor.network
    term = HypercolumnStyle(extractor.layers, extractor.network_name)
    stride = network[term.reference].stride
    spacing = max(stride, painting_spacing(*rgb.shape[1:3]))
    rows, columns = (_positions(side, spacing, stride, network.padding) for side in rgb.shape[1:3])
    channels = sum(network[layer].channels for layer in extractor.layers)
    found = np.empty((len(rows), len(columns), channels), np.float32)
    # Beside a very narrow picture, paintings may be large.
    for tile, features in tiles.features_by_tile(extractor, rgb, tiles.SIDE):
        down, right = tile.own(stride)
        in_rows, in_columns = _within(rows, down), _within(columns, right)
        own = tf.gather(term.joined(features)[0], rows[in_rows] - down.start)
        own = tf.gather(own, columns[in_columns] - right.start, axis=1)
        found[in_rows, in_columns] = tf.cast(own, tf.float32)
    return found


def _positions(side: int, spacing: int, stride: int, padding: int) -> np.ndarray:
    """Which positions of a layer lie at the centres of cells that a side is cut into."""
    count = max(1, round(side / spacing))
    centres = (np.arange(count) + 0.5) * side / count
    return ((centres + padding) // stride).astype(int)


def _within(positions: np.ndarray, span: slice) -> slice:
    """Which of some rising positions a tile has."""
    start, stop = np.searchsorted(positions, (span.start, span.stop))
    return slice(start, stop)
