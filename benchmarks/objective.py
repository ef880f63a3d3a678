"""The one function that judges every saved picture, whoever painted it.

The objective is the paper's (Gatys et al. 2015, eq. 7, all style layers weighing the same), with
our s = 512^2 / (H W) that makes sizes comparable: alpha s L_content + beta L_style, in float32,
written in plain NumPy and `tf.nn.conv2d` apart from the code that it judges.

What a picture's border costs depends on how VGG-16 is padded there, and each contestant has
minimised its own way. So the judge has one that nobody used: each convolution repeats the border
pixels. `zero` is what all the peers minimised, and is reported beside it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from nst_core.lazy import tf
from nst_core.networks.extractor import load_model
from nst_core.networks.vgg import IMAGENET_MEAN_BGR

CONTENT_LAYER = "block4_conv2"
CONTENT_WEIGHT = 7e-4
STYLE_LAYERS = {f"block{block}_conv1": 0.2 for block in range(1, 6)}

VGG_MEAN = np.array(IMAGENET_MEAN_BGR, np.float32)


def _repeat_border(image: Any) -> Any:
    image = tf.concat([image[:, :1], image, image[:, -1:]], axis=1)
    return tf.concat([image[:, :, :1], image, image[:, :, -1:]], axis=2)


def _add_zeros(image: Any) -> Any:
    return tf.pad(image, [[0, 0], [1, 1], [1, 1], [0, 0]])


PADDINGS: dict[str, Callable[[Any], Any]] = {"repeat": _repeat_border, "zero": _add_zeros}


@functools.cache
def _features(padding: str) -> Any:
    """A compiled function from a picture to its features, as deep as they are needed."""
    layers = [layer for layer in load_model().layers[1:] if layer.name != "block5_conv2"]
    layers = layers[: next(i for i, layer in enumerate(layers) if layer.name == "block5_conv1") + 1]

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3])])
    def extract(image: Any) -> dict[str, Any]:
        features, found = image[..., ::-1] * 255.0 - VGG_MEAN, {}
        for layer in layers:
            if layer.name.endswith("pool"):
                features = tf.nn.max_pool2d(features, 2, 2, "VALID")
                continue
            kernel, bias = layer.weights
            padded = PADDINGS[padding](features)
            features = tf.nn.relu(tf.nn.conv2d(padded, kernel, 1, "VALID") + bias)
            found[layer.name] = features
        return found

    return extract


class Judge:
    """The objective for one photo and one painting, float32 RGB [1, H, W, 3] in [0, 1]."""

    def __init__(self, photo: np.ndarray, painting: np.ndarray, padding: str) -> None:
        self._extract = _features(padding)
        self.content = self._extract(photo)[CONTENT_LAYER].numpy()  # the photo's features
        features = self._extract(painting)
        self._grams = {layer: _gram(features[layer].numpy()) for layer in STYLE_LAYERS}

    def loss(self, saved: np.ndarray) -> float:
        """Content and style loss of a saved picture, uint8 [H, W, 3]."""
        features = self._extract(saved[np.newaxis].astype(np.float32) / 255)
        height, width = saved.shape[:2]
        difference = features[CONTENT_LAYER].numpy() - self.content
        content = 512**2 / (height * width) * np.sum(difference**2) / 2
        style = 0.0
        for layer, weight in STYLE_LAYERS.items():
            gap = _gram(features[layer].numpy()) - self._grams[layer]
            style += weight * np.sum(gap**2) / (4 * len(gap) ** 2)
        return float(CONTENT_WEIGHT * content + style)


def _gram(features: np.ndarray) -> np.ndarray:
    flat = features.reshape(-1, features.shape[-1])
    return flat.T @ flat / len(flat)
