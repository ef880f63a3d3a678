"""What VGG-16 sees in a picture: feature maps, receptive fields, the places that excite a channel.

Figure 8 of the course paper draws the network; Zeiler and Fergus (2014, "Visualizing and
Understanding Convolutional Networks") look at it through the places that excite a channel most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nst_core.engine import device
from nst_core.networks import NETWORKS
from nst_core.networks.extractor import Extractor
from nst_core.networks.network import Layer
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
    height, width = (-(-(side + _offset(layer)) // layer.stride) for side in picture.shape[1:3])
    return found[before : before + height, before : before + width]


def _offset(layer: Layer) -> int:
    """Pixels of padding that the first of a layer's own positions begins with."""
    return NETWORK.padding % layer.stride


def strongest(found: np.ndarray, count: int = 8) -> list[FeatureMap]:
    """The channels of a layer with the largest mean, strongest first.

    Args:
        found: its features [h, w, N].
    """
    channels = np.argsort(-found.mean(axis=(0, 1)), kind="stable")[:count]
    return [_feature_map(found, int(channel)) for channel in channels]


def _feature_map(found: np.ndarray, channel: int) -> FeatureMap:
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


def most_excited(found: np.ndarray, layer: str, channel: int, size: tuple[int, int]) -> Place:
    """The place of a picture that excites a channel most.

    Args:
        found: the layer's features of the picture, [h, w, N].
        channel: from 0; raises `IndexError` where the layer has none.
        size: height and width of the picture in px.
    """
    values = found[..., channel]
    row, column = map(int, np.unravel_index(values.argmax(), values.shape))
    return Place(row, column, float(values[row, column]), receptive_field(layer, row, column, size))
