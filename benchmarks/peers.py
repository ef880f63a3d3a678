"""The recipes that people use today, each with its published defaults, on our VGG-16 weights.

They are written anew after what their authors publish; only pystiche is the package itself. Where
a recipe asks for VGG-19 it gets VGG-16, whose layers carry the same names, so that all contestants
see with the same eyes. Everything else is theirs: losses, weights, start, optimizer, steps, and
zero padding.

A peer is a generator function of a photo and a painting, both float32 RGB [1, H, W, 3] in [0, 1],
that yields after each step a function which returns the picture as it would be saved now: uint8
[H, W, 3].
"""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from benchmarks.objective import CONTENT_LAYER, CONTENT_WEIGHT, STYLE_LAYERS, VGG_MEAN
from nst_core.lazy import tf
from nst_core.networks.extractor import load_model
from nst_core.networks.vgg import EMBEDDED_WEIGHTS, VGG16

Picture = Callable[[], np.ndarray]
Paint = Callable[[np.ndarray, np.ndarray], Iterator[Picture]]


@dataclass(frozen=True)
class Peer:
    """One contestant, and where its recipe is published."""

    paint: Paint
    steps: int  # of its default run
    source: str


# --- pystiche -----------------------------------------------------------------------------------

# torchvision has dropped a table of download addresses that pystiche 1.0.1 reads when it is
# imported. Nothing is downloaded here, so empty ones will do.
DROPPED_TABLES = {"alexnet": ("alexnet",), "vgg": ("vgg11", "vgg13", "vgg16", "vgg19")}


def pystiche_encoder() -> Any:
    """pystiche's own VGG-16 with our weights, which are those that Caffe was given."""
    import torch

    for module, names in DROPPED_TABLES.items():
        table = dict.fromkeys(names, "")
        vars(importlib.import_module(f"torchvision.models.{module}"))["model_urls"] = table
    from pystiche import enc

    encoder = enc.vgg16_multi_layer_encoder(pretrained=False, framework="caffe")
    encoder.eval().requires_grad_(False)
    for name, kernel, bias in read_weights():
        convolution = getattr(encoder, name.replace("block", "conv").replace("_conv", "_"))
        convolution.weight.data = torch.tensor(kernel.transpose(3, 2, 0, 1).copy())
        convolution.bias.data = torch.tensor(bias)
    return encoder


def read_weights() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, kernel and bias of VGG-16's convolutions, read without TensorFlow.

    PyTorch and TensorFlow each bring an LLVM, and some of their versions end the process when the
    two meet.
    """
    shards = json.loads(EMBEDDED_WEIGHTS.read_text())["weight_map"]
    for index, name in enumerate(VGG16.names):
        group = f"/layers/conv2d{f'_{index}' if index else ''}/vars"
        with h5py.File(EMBEDDED_WEIGHTS.parent / shards[group][0]) as file:
            yield name, file[group]["0"][:], file[group]["1"][:]


def pystiche_default(photo: np.ndarray, painting: np.ndarray) -> Iterator[Picture]:
    """The losses of pystiche's example: mean squares, content 1, style 1000, equal layers."""
    encoder = pystiche_encoder()
    return _pystiche(encoder, photo, painting, 1.0, dict.fromkeys(STYLE_LAYERS, 1e3 / 5))


def pystiche_same_objective(photo: np.ndarray, painting: np.ndarray) -> Iterator[Picture]:
    """The same run on the objective that the race is judged by, in pystiche's means of squares."""
    encoder = pystiche_encoder()
    height, width = photo.shape[1:3]
    # The objective has half the sum of squares; a mean is that sum over the map's elements, and
    # block4_conv2 has 512 channels for each 8 x 8 pixels.
    elements = (height // 8) * (width // 8) * 512
    content = CONTENT_WEIGHT * 512**2 / (height * width) * elements / 2
    style = {layer: weight / 4 for layer, weight in STYLE_LAYERS.items()}
    return _pystiche(encoder, photo, painting, content, style)


def _pystiche(
    encoder: Any,
    photo: np.ndarray,
    painting: np.ndarray,
    content_weight: float,
    style_weights: dict[str, float],
) -> Iterator[Picture]:
    import torch
    from pystiche import loss, optim

    def name(layer: str) -> str:
        return layer.replace("block", "relu").replace("_conv", "_")

    criterion = loss.PerceptualLoss(
        loss.FeatureReconstructionLoss(
            encoder.extract_encoder(name(CONTENT_LAYER)), score_weight=content_weight
        ),
        loss.MultiLayerEncodingLoss(
            encoder,
            [name(layer) for layer in style_weights],
            lambda layer, weight: loss.GramLoss(layer, score_weight=weight),
            layer_weights=list(style_weights.values()),
        ),
    )
    content, style = (
        torch.tensor(image.transpose(0, 3, 1, 2)).contiguous() for image in (photo, painting)
    )
    criterion.set_content_image(content)
    criterion.set_style_image(style)
    image = content.clone().requires_grad_(True)
    optimizer = optim.default_image_optimizer(image)

    def closure() -> Any:
        optimizer.zero_grad()
        total = criterion(image)
        total.backward()
        return total

    def picture() -> np.ndarray:
        return _to_uint8(image.detach().numpy().transpose(0, 2, 3, 1))

    while True:
        optimizer.step(closure)
        yield picture


# --- TensorFlow's tutorial ----------------------------------------------------------------------


def tensorflow_tutorial(photo: np.ndarray, painting: np.ndarray) -> Iterator[Picture]:
    """Means of squares, Adam, and the pixels clipped at each step."""
    content_layer, content_weight, style_weight, tv_weight = "block5_conv2", 1e4, 1e-2, 30.0
    extract = _keras_features(*STYLE_LAYERS, content_layer)

    def gram(features: Any) -> Any:
        positions = tf.cast(tf.shape(features)[1] * tf.shape(features)[2], tf.float32)
        return tf.linalg.einsum("bijc,bijd->bcd", features, features) / positions

    grams = {layer: gram(extract(_to_vgg(painting))[layer]) for layer in STYLE_LAYERS}
    content = extract(_to_vgg(photo))[content_layer]
    image = tf.Variable(photo)
    optimizer = tf.keras.optimizers.Adam(learning_rate=0.02, beta_1=0.99, epsilon=1e-1)

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            features = extract(_to_vgg(image))
            style = tf.add_n(
                [tf.reduce_mean((gram(features[layer]) - grams[layer]) ** 2) for layer in grams]
            )
            loss = style_weight / len(grams) * style
            loss += content_weight * tf.reduce_mean((features[content_layer] - content) ** 2)
            loss += tv_weight * tf.reduce_sum(tf.image.total_variation(image))
        optimizer.apply_gradients([(tape.gradient(loss, image), image)])
        image.assign(tf.clip_by_value(image, 0.0, 1.0))

    while True:
        step()
        yield lambda: _to_uint8(image.numpy())


# --- keras.io -----------------------------------------------------------------------------------


def keras_example(photo: np.ndarray, painting: np.ndarray) -> Iterator[Picture]:
    """Sums of squares, gradient descent, and photo, painting and picture as one batch each step.

    The painting is squeezed into the photo's shape, and the size in the style loss is that of the
    picture with three channels, whatever the layer.
    """
    content_layer, content_weight, style_weight, tv_weight = "block5_conv2", 2.5e-8, 1e-6, 1e-6
    height, width = photo.shape[1:3]
    extract = _keras_features(*STYLE_LAYERS, content_layer)
    base = _to_vgg(photo)
    reference = _to_vgg(tf.image.resize(painting, [height, width], method="nearest"))
    image = tf.Variable(base)
    schedule = tf.keras.optimizers.schedules.ExponentialDecay(100.0, 100, 0.96)
    optimizer = tf.keras.optimizers.SGD(schedule)

    def gram(features: Any) -> Any:
        flat = tf.reshape(features, [-1, features.shape[-1]])
        return tf.matmul(flat, flat, transpose_a=True)

    @tf.function
    def loss_and_gradient() -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            features = extract(tf.concat([base, reference, image], axis=0))
            deep = features[content_layer]
            loss = content_weight * tf.reduce_sum((deep[2] - deep[0]) ** 2)
            for layer in STYLE_LAYERS:
                difference = gram(features[layer][1]) - gram(features[layer][2])
                size = 4.0 * 3**2 * (height * width) ** 2
                loss += style_weight / 5 * tf.reduce_sum(difference**2) / size
            corner = image[:, :-1, :-1]
            squares = (corner - image[:, 1:, :-1]) ** 2 + (corner - image[:, :-1, 1:]) ** 2
            loss += tv_weight * tf.reduce_sum(squares**1.25)
        return loss, tape.gradient(loss, image)

    while True:
        _, gradient = loss_and_gradient()
        optimizer.apply_gradients([(gradient, image)])
        yield lambda: _to_uint8((image.numpy()[..., ::-1] + VGG_MEAN[::-1]) / 255)


# --- What they share ----------------------------------------------------------------------------


def _to_vgg(image: Any) -> Any:
    return image[..., ::-1] * 255.0 - VGG_MEAN


@functools.cache
def _keras_features(*layers: str) -> Any:
    """A model from a preprocessed picture to the features of these layers, by name."""
    vgg16 = load_model()
    return tf.keras.Model(vgg16.inputs, {layer: vgg16.get_layer(layer).output for layer in layers})


def _to_uint8(image: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(image[0], 0, 1) * 255).astype(np.uint8)


PEERS: dict[str, Peer] = {
    "pystiche": Peer(
        pystiche_default, 500, "pystiche 1.0.1, its example `example_nst_with_pystiche`"
    ),
    "pystiche, same objective": Peer(
        pystiche_same_objective, 500, "pystiche 1.0.1 with the race's own layer weights"
    ),
    "TensorFlow tutorial": Peer(
        tensorflow_tutorial, 1000, "tensorflow.org/tutorials/generative/style_transfer"
    ),
    "keras.io": Peer(keras_example, 4000, "keras.io/examples/generative/neural_style_transfer"),
}
