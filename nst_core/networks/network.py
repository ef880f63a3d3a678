"""A feature network described by a table: its layers, its input, and what it costs.

Pictures enter as RGB in [0, 1]; only this package knows what a network was trained on. Features are
the activations after the ReLU, under Keras' layer names. `vgg.py` holds the networks there are;
`nst_core.networks.NETWORKS` is their table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nst_core.lazy import tf

PRECISIONS = ("float32", "bfloat16")  # of the activations


@dataclass(frozen=True)
class Layer:
    """A 3 x 3 convolution with its ReLU, and with the pooling before it if there is one."""

    name: str  # Keras'
    stride: int  # pixels between two positions
    halo: int  # (receptive field - stride) / 2, in pixels
    inputs: int  # channels
    channels: int
    is_pooled: bool  # whether a 2 x 2 pooling comes before the convolution

    @property
    def flop(self) -> float:
        """Floating-point operations of the forward pass for each pixel of the picture."""
        return 2 * 9 * self.inputs * self.channels / self.stride**2

    @property
    def activations(self) -> float:
        """Numbers for each pixel of the picture that are kept for the gradient."""
        pooled = self.inputs if self.is_pooled else 0
        return (self.channels + pooled) / self.stride**2


@dataclass(frozen=True)
class Network:
    """A chain of convolutions whose features the losses compare.

    The picture is padded by its mirror image, `padding` pixels on every side, because zeros would
    make the optimisation paint a coloured line along the borders. The features of the padding count
    like all others: cropping them would copy every activation and its gradient, a fifth of a step.
    """

    name: str
    label: str
    layers: tuple[Layer, ...]  # in the order of the network
    padding: int  # pixels
    preprocess: Callable[[Any], Any]  # RGB in [0, 1] -> what the network was trained on
    load: Callable[[Path], Any]  # weights file -> Keras model; raises what Keras raises
    weights: Path | None = None  # embedded; None: the user gives a file

    def __getitem__(self, name: str) -> Layer:
        """The layer of this name; raises `KeyError`."""
        return {layer.name: layer for layer in self.layers}[name]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all layers, in the order of the network."""
        return tuple(layer.name for layer in self.layers)

    @property
    def coarsest_stride(self) -> int:
        """Pixels between two positions of the deepest layer."""
        return self.layers[-1].stride

    def in_order(self, names: Iterable[str]) -> tuple[str, ...]:
        """The same names without repetition, in the order of the network."""
        wanted = set(names)
        return tuple(name for name in self.names if name in wanted)

    def up_to(self, names: Iterable[str]) -> tuple[Layer, ...]:
        """The layers that have to be computed for the features of `names`."""
        return self.layers[: max(map(self.names.index, names), default=-1) + 1]

    def flop(self, names: Iterable[str]) -> float:
        """Floating-point operations of the forward pass to `names` for each pixel."""
        return sum(layer.flop for layer in self.up_to(names))

    def activations(self, names: Iterable[str]) -> float:
        """Numbers for each pixel of the picture that are kept for a gradient from `names`."""
        return sum(layer.activations for layer in self.up_to(names))

    def halo(self, names: Iterable[str]) -> int:
        """Pixels that a position of the deepest of `names` sees beyond its own."""
        return max((layer.halo for layer in self.up_to(names)), default=0)

    def pad(self, image: tf.Tensor) -> tf.Tensor:
        """An image [1, H, W, 3] with `padding` pixels of its mirror image on every side."""
        sides = [self.padding, self.padding]
        return tf.pad(image, [[0, 0], sides, sides, [0, 0]], mode="SYMMETRIC")

    def times_seen(self, length: tf.Tensor) -> tf.Tensor:
        """How often each of `length` rows or columns is in the padded image, float32 [length].

        Twice near a border, elsewhere once. A pixel is in it as often as both say, multiplied.
        """
        index = tf.range(length)
        is_mirrored = tf.cast(index < self.padding, tf.float32)
        return 1 + is_mirrored + tf.cast(index[::-1] < self.padding, tf.float32)

    def at_layers(self, mask: np.ndarray, names: Iterable[str]) -> dict[str, np.ndarray]:
        """A mask of the picture, [1, H, W, 1], at each layer's positions: padded and pooled.

        Layer name -> [1, (H + 2 padding) // stride, (W + 2 padding) // stride, 1], the mean of each
        position's stride x stride pixels.
        """
        x, found, wanted = self.pad(tf.constant(mask)), {}, set(names)
        for layer in self.up_to(wanted):
            x = POOLINGS["average"](x) if layer.is_pooled else x
            if layer.name in wanted:
                found[layer.name] = x.numpy()
        return found


# --- Pooling ------------------------------------------------------------------------------------


def max_pool(x: tf.Tensor) -> tf.Tensor:
    """The largest of each 2 x 2 positions; an odd last row or column is dropped.

    Its gradient pools once more: where the gradient is compiled by itself, as for tiles, TensorFlow
    cannot use what the forward pass recorded, and its other kernel takes seven times as long.
    Where both passes are compiled together, the second pooling is recognised as the first.
    """

    def pool(x: tf.Tensor) -> tf.Tensor:
        return tf.nn.max_pool2d(x, ksize=2, strides=2, padding="VALID")

    @tf.custom_gradient
    def pooled(x: tf.Tensor) -> tuple[tf.Tensor, Any]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(x)
                again = pool(x)
            return tape.gradient(again, x, upstream)

        return pool(x), gradient

    return pooled(x)


# "max" is VGG as trained; Gatys et al. found that the average "gives slightly more appealing
# results" (2015, section "Methods").
POOLINGS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "max": max_pool,
    "average": lambda x: tf.nn.avg_pool2d(x, ksize=2, strides=2, padding="VALID"),
}
