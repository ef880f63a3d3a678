"""VGG-16 and VGG-19 (Simonyan and Zisserman 2015), as Keras has them, without their classifiers.

Trained on BGR values of 0 to 255 with the ImageNet mean taken off. VGG-16's weights are embedded;
VGG-19, the network of Gatys et al. (2015), wants a weights file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nst_core.lazy import tf
from nst_core.networks import embedded
from nst_core.networks.network import Layer, Network

EMBEDDED_WEIGHTS = embedded.FOLDER / "vgg16.weights.json"
IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)
CHANNELS = (64, 128, 256, 512, 512)  # of each block

# Pixels of mirror image around the picture. 16 leave the borders no calmer than 8.
PADDING = 8


def preprocess(image: tf.Tensor) -> tf.Tensor:
    """RGB in [0, 1] to what VGG was trained on: BGR, 0 to 255, less the ImageNet mean."""
    return image[..., ::-1] * 255.0 - tf.constant(IMAGENET_MEAN_BGR)


def make_layers(convolutions: tuple[int, ...]) -> Iterator[Layer]:
    """The layers of a VGG with so many convolutions in each block."""
    halo, inputs = 0, 3
    for block, (count, channels) in enumerate(zip(convolutions, CHANNELS, strict=True)):
        stride = 2**block
        for number in range(count):
            halo += stride  # every 3 x 3 convolution sees one position further, of its own stride
            is_pooled = block > 0 and number == 0
            name = f"block{block + 1}_conv{number + 1}"
            yield Layer(name, stride, halo, inputs, channels, is_pooled)
            inputs = channels


def _vgg16(weights: Path) -> Any:
    return tf.keras.applications.VGG16(include_top=False, weights=str(weights))


def _vgg19(weights: Path) -> Any:
    return tf.keras.applications.VGG19(include_top=False, weights=str(weights))


VGG16 = Network(
    "vgg16",
    "VGG-16",
    tuple(make_layers((2, 2, 3, 3, 3))),
    PADDING,
    preprocess,
    _vgg16,
    EMBEDDED_WEIGHTS,
)
VGG19 = Network("vgg19", "VGG-19", tuple(make_layers((2, 2, 4, 4, 4))), PADDING, preprocess, _vgg19)
