"""What VGG-16 sees in a picture: feature maps, receptive fields, the places that excite a channel.

Figure 8 of the course paper draws the network; Zeiler and Fergus (2014, "Visualizing and
Understanding Convolutional Networks") look at it through the places that excite a channel most.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cachetools
import numpy as np

from nst_core.engine import device
from nst_core.networks import NETWORKS
from nst_core.networks.extractor import Extractor
from nst_core.networks.network import Layer
from nst_core.pictures.images import Picture
from nst_core.settings import DEFAULTS

NETWORK = NETWORKS[DEFAULTS["network"]]


class Box(NamedTuple):
    """Part of a picture in px: rows from top, columns from left, ends not included."""

    top: int
    left: int
    bottom: int
    right: int

    def of(self, picture: np.ndarray) -> np.ndarray:
        """That part of a picture [H, W, ...]."""
        return picture[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True)
class FeatureMap:
    """One channel's features of a picture."""

    channel: int
    values: np.ndarray  # float32 [h, w] in [0, 1], 1 at the strongest place

    @property
    def image(self) -> np.ndarray:
        """The same as a grey picture, uint8 [h, w, 3]."""
        grey = np.rint(255 * self.values).astype(np.uint8)
        return np.repeat(grey[..., np.newaxis], 3, axis=-1)


class Span(NamedTuple):
    """What a row or a column of a layer's positions sees, in px; the end is not included."""

    own: int  # the first pixel that belongs to it, and to no other
    start: int
    end: int


class Place(NamedTuple):
    """Where a channel is excited most."""

    row: int  # of the layer's positions
    column: int
    feature: float  # there
    box: Box  # the receptive field


def features(picture: np.ndarray, layers: Sequence[str]) -> dict[str, np.ndarray]:
    """Features of a picture at its own positions, without the network's padding.

    Args:
        picture: float32 RGB [1, H, W, 3] in [0, 1].
        layers: Keras' names, like "block4_conv2"; an unknown one raises `ValueError`.

    Returns float32 [h, w, N] of each layer, h and w being about H and W over its stride.
    """
    with device.LOCK:
        found = Extractor(tuple(layers))(picture)
    return {name: _own(found[name].numpy()[0], NETWORK[name], picture) for name in layers}


def _own(found: np.ndarray, layer: Layer, picture: np.ndarray) -> np.ndarray:
    before = NETWORK.padding // layer.stride  # positions that are all padding
    height, width = (_positions(side, layer) for side in picture.shape[1:3])
    return found[before : before + height, before : before + width]


def _positions(side: int, layer: Layer) -> int:
    """Rows or columns of a layer's own positions in a picture with this side in px."""
    return -(-(side + _offset(layer)) // layer.stride)


def _offset(layer: Layer) -> int:
    """Pixels of padding that the first of a layer's own positions begins with."""
    return NETWORK.padding % layer.stride


def strongest(found: np.ndarray, count: int = 8) -> list[FeatureMap]:
    """The channels of a layer with the largest mean, strongest first.

    Args:
        found: its features [h, w, N].
    """
    channels = np.argsort(-found.mean(axis=(0, 1)), kind="stable")[:count]
    return [feature_map(found, int(channel)) for channel in channels]


def feature_map(found: np.ndarray, channel: int) -> FeatureMap:
    """The features of one channel, from 0; raises `IndexError` where the layer has none."""
    values = found[..., channel]
    return FeatureMap(channel, values / max(float(values.max()), 1e-12))


def receptive_field(layer: str, row: int, column: int, size: tuple[int, int]) -> Box:
    """The part of a picture that a layer's position can see.

    It is stride + 2 halo px wide: 3 x 3 for block1_conv1, 92 x 92 for block4_conv3.

    Args:
        row, column: of the layer's positions, from 0.
        size: height and width of the picture in px; what is beyond is cut off.
    """
    described = NETWORK[layer]
    stride, halo = described.stride, described.halo
    height, width = size
    top, left = row * stride - _offset(described), column * stride - _offset(described)
    return Box(
        max(0, top - halo),
        max(0, left - halo),
        min(height, top + stride + halo),
        min(width, left + stride + halo),
    )


def spans(layer: str, size: tuple[int, int]) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """What each row, and each column, of a layer's positions sees of a picture of this size."""
    height, width = (_positions(side, NETWORK[layer]) for side in size)
    fields = [receptive_field(layer, row, 0, size) for row in range(height)]
    rows = tuple(Span(_first(layer, row), box.top, box.bottom) for row, box in enumerate(fields))
    fields = [receptive_field(layer, 0, column, size) for column in range(width)]
    columns = tuple(
        Span(_first(layer, column), box.left, box.right) for column, box in enumerate(fields)
    )
    return rows, columns


def _first(layer: str, position: int) -> int:
    """The first pixel that belongs to a row or a column of positions, and to no other."""
    return max(0, position * NETWORK[layer].stride - _offset(NETWORK[layer]))


def most_excited(
    found: np.ndarray, layer: str, channel: int, size: tuple[int, int], count: int = 1
) -> list[Place]:
    """The places of a picture that excite a channel most, the strongest first.

    None of them sees the middle of another: that would show the same thing again. There may be
    fewer than `count`, since those without any feature are left out, but for the first.

    Args:
        found: the layer's features of the picture, [h, w, N].
        channel: from 0; raises `IndexError` where the layer has none.
        size: height and width of the picture in px.
    """
    values = found[..., channel].copy()
    reach = -(-NETWORK[layer].halo // NETWORK[layer].stride)  # positions
    places: list[Place] = []
    while len(places) < count:
        row, column = map(int, np.unravel_index(values.argmax(), values.shape))
        feature = float(values[row, column])
        if places and feature <= 0:
            break
        places.append(Place(row, column, feature, receptive_field(layer, row, column, size)))
        rows, columns = (slice(max(0, one - reach), one + reach + 1) for one in (row, column))
        values[rows, columns] = -1.0
    return places


@dataclass(frozen=True)
class Peaks:
    """The strongest place of each channel of a layer in one picture; arrays of length N."""

    rows: np.ndarray
    columns: np.ndarray
    features: np.ndarray

    def of(self, layer: str, channel: int, size: tuple[int, int]) -> Place:
        """That of one channel; raises `IndexError` where the layer has none."""
        row, column = int(self.rows[channel]), int(self.columns[channel])
        box = receptive_field(layer, row, column, size)
        return Place(row, column, float(self.features[channel]), box)


MAX_PEAKS = 200  # pictures whose peaks are kept, some 40 kB each


@cachetools.cached(
    cachetools.LRUCache(MAX_PEAKS), key=lambda picture: picture.checksum, lock=threading.Lock()
)
def peaks(picture: Picture) -> dict[str, Peaks]:
    """Where each channel of each layer is excited most; found once for equal pictures."""
    return {name: _peaks(found) for name, found in features(picture.rgb, NETWORK.names).items()}


def _peaks(found: np.ndarray) -> Peaks:
    height, width, channels = found.shape
    flat = found.reshape(height * width, channels)
    strongest = flat.argmax(axis=0)
    rows, columns = (one.astype(np.int16) for one in np.divmod(strongest, width))
    return Peaks(rows, columns, flat[strongest, np.arange(channels)])
