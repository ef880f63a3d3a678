"""Where the tiles of a picture are, and features tile by tile.

A tile sees as far beyond its own pixels as the network's receptive field goes, its halo, so that
nothing is approximated: its own features are those of the whole picture.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nst_core.lazy import tf
from nst_core.losses.term import Box
from nst_core.networks.extractor import Extractor
from nst_core.networks.network import Network

# Default side of a tile in px, without halo. With its halo it has 832 x 832 px, whose activations
# take 0.6 GB, or 1.2 in float32 (see `memory.py`).
SIDE = 640

# Pixels, halos included, of all tiles of a picture that keep their activations from the first pass
# to the second, as most terms want it (`Term.keeps_tiles`). Those of a larger picture compute them
# again, which costs half a step more. A picture of 1024 x 1024 px keeps them.
MAX_KEPT = 1_500_000


class Span(NamedTuple):
    """A tile along one side of the padded picture, in pixels."""

    start: int  # its own pixels: `start` to `stop`
    stop: int
    seen_from: int  # and with its halo
    seen_to: int


@dataclass(frozen=True)
class Tile:
    """A part of the padded picture, and the halo around it."""

    rows: Span
    columns: Span

    @property
    def seen(self) -> Box:
        """Of the padded picture, what enters the network."""
        rows, columns = self.rows, self.columns
        return slice(rows.seen_from, rows.seen_to), slice(columns.seen_from, columns.seen_to)

    @property
    def pixels(self) -> int:
        """How many enter the network."""
        return math.prod(span.seen_to - span.seen_from for span in (self.rows, self.columns))

    def own(self, stride: int) -> Box:
        """Of a layer with a position in every `stride` pixels, the tile's own positions."""
        rows, columns = (
            slice(span.start // stride, span.stop // stride) for span in (self.rows, self.columns)
        )
        return rows, columns

    def own_in_seen(self, stride: int) -> Box:
        """The same, counted from where the tile's halo begins."""
        before = self.rows.seen_from // stride, self.columns.seen_from // stride
        return _counted_from(before, self.own(stride))


def split(
    height: int, width: int, side: int | None, network: Network, layers: Iterable[str]
) -> list[Tile]:
    """The tiles of a padded picture, row by row.

    Args:
        height, width: of the picture with its padding.
        side: of a tile without halo, at most, rounded up to the network's coarsest stride; None
            for one tile.
        layers: those that are looked at; the deepest one decides the halo.
    """
    unit = network.coarsest_stride
    halo = _rounded_up(network.halo(layers), unit)
    rows, columns = (_spans(length, side or length, halo, unit) for length in (height, width))
    return [Tile(*spans) for spans in itertools.product(rows, columns)]


def _spans(length: int, side: int, halo: int, unit: int) -> list[Span]:
    """A side cut into equal parts, beginning where the poolings of the whole do."""
    part = _rounded_up(math.ceil(length / math.ceil(length / side)), unit)
    return [
        Span(
            start,
            min(length, start + part),
            max(0, start - halo),
            min(length, start + part + halo),
        )
        for start in range(0, length, part)
    ]


def of_padded(padded: tf.Tensor, side: int | None, extractor: Extractor) -> list[Tile]:
    """The tiles of a padded picture [1, H, W, 3]."""
    _, height, width, _ = padded.shape
    return split(height, width, side, extractor.network, extractor.layers)


def features_by_tile(
    extractor: Extractor, image: np.ndarray, side: int | None
) -> Iterator[tuple[Tile, dict[str, tf.Tensor]]]:
    """Each tile of an image [1, H, W, 3] in [0, 1], with the features of its own positions."""
    network = extractor.network
    padded = network.pad(tf.constant(image))
    for tile in of_padded(padded, side, extractor):
        features = extractor.of_padded(padded[:, *tile.seen])
        yield (
            tile,
            {
                name: found[:, *tile.own_in_seen(network[name].stride)]
                for name, found in features.items()
            },
        )


def features_of(extractor: Extractor, image: np.ndarray, side: int | None) -> dict[str, tf.Tensor]:
    """The features of an image, computed tile by tile: layer name -> [1, H_l, W_l, N_l]."""
    return mapped(extractor, image, side, lambda features: dict(features))


def mapped(
    extractor: Extractor, image: np.ndarray, side: int | None, function: Callable[[Any], Any]
) -> Any:
    """What a function of features gives, tile by tile, put together.

    Args:
        image: [1, H, W, 3] in [0, 1].
        function: layer name -> features [1, h, w, N], to a nest of tensors [1, h', w', ...].
    """
    rows: dict[int, list[Any]] = {}
    for tile, features in features_by_tile(extractor, image, side):
        rows.setdefault(tile.rows.start, []).append(function(features))

    def together(axis: int) -> Callable[..., tf.Tensor]:
        return lambda *parts: tf.concat(parts, axis)

    wide = [tf.nest.map_structure(together(2), *row) for row in rows.values()]
    return tf.nest.map_structure(together(1), *wide)


def largest(side: int, network: Network, layers: Iterable[str]) -> int:
    """Pixels of the largest tile that there may be, with its halo."""
    unit = network.coarsest_stride
    halo = _rounded_up(network.halo(layers), unit)
    return (_rounded_up(side, unit) + 2 * halo) ** 2


def _counted_from(before: tuple[int, int], box: Box) -> Box:
    rows, columns = (
        slice(side.start - first, side.stop - first)
        for first, side in zip(before, box, strict=True)
    )
    return rows, columns


def _rounded_up(pixels: int, unit: int) -> int:
    return math.ceil(pixels / unit) * unit
