"""VGG-16: its weights, its layer names, what it wants to see, and what happens at the borders.

Pictures enter as RGB in [0, 1]; only this module knows that Keras' VGG-16 was trained on BGR
values of 0 to 255 with the ImageNet mean taken off. The activations are those after the ReLU,
under Keras' layer names.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nst_core.lazy import tf

EMBEDDED_WEIGHTS = Path(__file__).parent / "weights" / "vgg16.weights.json"

# Keras' names of the convolutions, in the order of the network.
LAYERS: tuple[str, ...] = tuple(
    f"block{block}_conv{conv}"
    for block, convs in enumerate((2, 2, 3, 3, 3), start=1)
    for conv in range(1, convs + 1)
)


def max_pool(x: tf.Tensor) -> tf.Tensor:
    """The largest of each 2 x 2 positions; what is left over at the end of an odd side is dropped.

    Its gradient pools once more. TensorFlow's fast one needs what the pooling left behind, which
    is gone where the gradient is compiled by itself, as for tiles; there, the other takes seven
    times as long. Where both are compiled together, the second pooling is the first.
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


# "max" is VGG-16 as trained; Gatys et al. found that the average "gives slightly more appealing
# results" (2015, section "Methods").
POOLINGS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "max": max_pool,
    "average": lambda x: tf.nn.avg_pool2d(x, ksize=2, strides=2, padding="VALID"),
}

# VGG-16 fills its borders with zeros, a grey frame that the optimisation would answer with a
# coloured line along every edge. So VGG sees the image continued by its mirror image, by this many
# pixels, and the features of that margin count like all others. Cutting them off again copies
# every map and its gradient, a fifth of a step; 16 pixels leave the edges no calmer than 8.
MARGIN = 8
COARSEST_STRIDE = 16  # pixels, of block5
PRECISIONS = ("float32", "bfloat16")  # of the activations
IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)


class WeightsError(ValueError):
    """A weights file that cannot be used; the message names the file and the remedy."""


@dataclass(frozen=True)
class Extractor:
    """Features of an image at some layers: call it with float32 RGB [1, H, W, 3] in [0, 1].

    The call returns a dict, layer name -> activation [1, (H + 16) // s, (W + 16) // s, N] in
    `precision`, a name of `PRECISIONS`. 16 is the mirrored margin of both sides; the stride s is
    1 in block1 and doubles with each block. Only the layers up to the deepest one are computed.
    Equal extractors are interchangeable, so they can be keys of a cache.
    """

    layers: tuple[str, ...]
    pooling: str = "max"
    weights: str | None = None
    precision: str = "float32"

    def __call__(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.of_continued(mirror_borders(image))

    def of_continued(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """The features of an image that has its margin already, or of a part of one.

        Those of a part are the whole's if it begins at multiples of `COARSEST_STRIDE`, except near
        where it was cut, as far as `reach` tells.
        """
        kernels = _kernels(self.weights, self.precision)
        x = tf.cast(preprocess(image), self.precision)
        features = {}
        for layer in LAYERS:
            if layer.endswith("_conv1") and layer != LAYERS[0]:
                x = POOLINGS[self.pooling](x)
            # Nobody trains them; a function's gradient would be taken for them all the same.
            kernel, bias = map(tf.stop_gradient, kernels[layer])
            x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, strides=1, padding="SAME"), bias))
            if layer in self.layers:
                features[layer] = x
            if len(features) == len(set(self.layers)):
                break
        return features


def stride(layer: str) -> int:
    """How many pixels lie between two positions of a layer: 1 in block1, twice as many in each."""
    return 2 ** (int(layer[len("block")]) - 1)


def reach(layer: str) -> int:
    """How many pixels, beyond its own s x s, a position of a layer sees on each side.

    Every 3 x 3 convolution sees one position further, of its own stride.
    """
    return sum(stride(earlier) for earlier in LAYERS[: LAYERS.index(layer) + 1])


def mirror_borders(image: tf.Tensor) -> tf.Tensor:
    """Continue an image [1, H, W, 3] on all sides by `MARGIN` pixels of its mirror image."""
    sides = [MARGIN, MARGIN]
    return tf.pad(image, [[0, 0], sides, sides, [0, 0]], mode="SYMMETRIC")


def times_seen(length: tf.Tensor) -> tf.Tensor:
    """How often each of `length` rows or columns is in an image with its margin, float32 [length].

    Twice near a border, elsewhere once. A pixel is in it as often as both say, multiplied.
    """
    ahead = tf.range(length)
    return 1 + tf.cast(ahead < MARGIN, tf.float32) + tf.cast(ahead[::-1] < MARGIN, tf.float32)


def at_layers(place: np.ndarray, layers: Iterable[str]) -> dict[str, np.ndarray]:
    """A map of the picture, [1, H, W, 1], as each layer's positions see it: margin and poolings.

    Layer name -> [1, (H + 16) // s, (W + 16) // s, 1], the mean of each position's s x s pixels.
    """
    x, block, found = mirror_borders(tf.constant(place)), 1, {}
    for layer in sorted(layers):
        while block < int(layer[len("block")]):
            x, block = POOLINGS["average"](x), block + 1
        found[layer] = x.numpy()
    return found


def preprocess(image: tf.Tensor) -> tf.Tensor:
    """RGB in [0, 1] to what VGG-16 was trained on: BGR, 0 to 255, less the ImageNet mean."""
    return image[..., ::-1] * 255.0 - tf.constant(IMAGENET_MEAN_BGR)


@functools.cache
def load_vgg16(path: str | None) -> Any:
    """Keras' VGG-16 without its top, from `path` or the embedded weights, once per process.

    Raises `WeightsError` when the file is missing, truncated or not VGG-16's.
    """
    file = EMBEDDED_WEIGHTS if path is None else Path(path)
    _check_files(file)
    try:
        # Out of any graph being traced: there, the weights would be read but never arrive.
        with tf.init_scope():
            model = tf.keras.applications.VGG16(include_top=False, weights=str(file))
    except Exception as error:  # Keras and h5py raise whatever the bytes lead them to
        raise _weights_error(file, "it does not hold VGG-16's 13 convolutions") from error
    model.trainable = False
    return model


@functools.cache
def _kernels(path: str | None, precision: str) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    """Kernel and bias of each layer in `precision`, converted once and not at every step."""
    vgg16 = load_vgg16(path)
    with tf.init_scope():
        return {
            layer: tuple(tf.cast(weight, precision) for weight in vgg16.get_layer(layer).weights)
            for layer in LAYERS
        }


def _check_files(file: Path) -> None:
    """Name the very file that is missing or broken: the one given, or one of its shards."""
    import h5py

    if not file.is_file():
        raise _weights_error(file, "there is no such file")
    try:
        index = json.loads(file.read_text()) if file.suffix == ".json" else {}
        shards = {name for names in index.get("weight_map", {}).values() for name in names}
    except (ValueError, AttributeError, TypeError) as error:
        raise _weights_error(file, "it is not an index of Keras weights") from error
    for part in sorted(file.parent / name for name in shards) or [file]:
        if not part.is_file():
            raise _weights_error(part, "it is missing")
        try:
            h5py.File(part).close()
        except OSError as error:
            raise _weights_error(part, "it is truncated or not an HDF5 file") from error


def _weights_error(file: Path, reason: str) -> WeightsError:
    remedy = (
        "Restore nst_core/weights, for example with `git checkout -- nst_core/weights`."
        if file.parent == EMBEDDED_WEIGHTS.parent
        else "Give a file saved by keras.applications.VGG16(include_top=False).save_weights(), "
        "or leave the setting empty for the embedded weights."
    )
    return WeightsError(f"VGG-16 weights {file}: {reason}. {remedy}")
