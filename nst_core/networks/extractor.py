"""Features of a picture: a network with its weights loaded, at the layers that are wanted."""

from __future__ import annotations

import functools
import json
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nst_core.errors import WeightsError
from nst_core.lazy import tf
from nst_core.networks import NETWORKS, embedded
from nst_core.networks.network import POOLINGS, Network
from nst_core.sentence import Sentence


@dataclass(frozen=True)
class Extractor:
    """Features of an image at some layers: call it with float32 RGB [1, H, W, 3] in [0, 1].

    The call returns a dict, layer name -> features [1, (H + 2 p) // s, (W + 2 p) // s, N] in
    `precision`, a name of `PRECISIONS`; p is the network's padding and s the layer's stride. Only
    the layers up to the deepest one are computed. Equal extractors are interchangeable, so they can
    be keys of a cache.
    """

    layers: tuple[str, ...]
    network_name: str = "vgg16"
    pooling: str = "max"
    weights: str | None = None  # a file; None for the embedded ones
    precision: str = "float32"

    @property
    def network(self) -> Network:
        """The description of the network."""
        return NETWORKS[self.network_name]

    def at(self, layers: tuple[str, ...]) -> Extractor:
        """The same at other layers."""
        return replace(self, layers=layers)

    def load(self) -> None:
        """Load the weights now; raises `WeightsError`."""
        load_model(self.network_name, self.weights)

    def __call__(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.of_padded(self.network.pad(image))

    def of_padded(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """The features of an image that is padded already, or of a part of one.

        Those of a part are the whole's if it begins at multiples of the network's coarsest stride,
        except within the layer's halo of where it was cut.
        """
        kernels = _kernels(self.network_name, self.weights, self.precision)
        x = tf.cast(self.network.preprocess(image), self.precision)
        features = {}
        for layer in self.network.up_to(self.layers):
            x = POOLINGS[self.pooling](x) if layer.is_pooled else x
            # Without stop_gradient, the gradient is also computed for the kernels.
            kernel, bias = map(tf.stop_gradient, kernels[layer.name])
            x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, strides=1, padding="SAME"), bias))
            if layer.name in self.layers:
                features[layer.name] = x
        return features


_loading = threading.RLock()  # two first users must not load the same file twice


def load_model(network_name: str = "vgg16", weights: str | None = None) -> Any:
    """Keras' model with `weights` or the embedded ones, loaded once per process.

    Raises `WeightsError` when the file is missing, truncated, not this network's, or when none is
    given for a network without embedded weights.
    """
    with _loading:
        return _load_model(network_name, weights)


@functools.cache
def _load_model(network_name: str, weights: str | None) -> Any:
    network = NETWORKS[network_name]
    file = network.weights if weights is None else Path(weights)
    if file is None:
        raise WeightsError(
            "network is {network!r}, whose weights are not embedded; set weights to a file saved "
            "by Keras' {label} with include_top=False.",
            network=network_name,
            label=network.label,
        )
    _check_files(file, network)
    try:
        # Outside of any graph being traced: there the assignment would be symbolic, and the
        # weights would stay random.
        with tf.init_scope():
            model = network.load(file)
    except MemoryError:
        raise
    except Exception as error:  # Keras and h5py raise whatever the bytes lead them to
        count = len(network.layers)
        reason = Sentence(
            "it does not hold {network}'s {count} convolutions", network=network.label, count=count
        )
        raise _weights_error(file, network, reason) from error
    model.trainable = False
    return model


@functools.cache
def _kernels(
    network_name: str, weights: str | None, precision: str
) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    """Kernel and bias of each layer in `precision`, converted once and not at every step."""
    model = load_model(network_name, weights)
    with tf.init_scope():
        return {
            name: tuple(tf.cast(weight, precision) for weight in model.get_layer(name).weights)
            for name in NETWORKS[network_name].names
        }


def _check_files(file: Path, network: Network) -> None:
    """Name the very file that is missing or broken: the one given, or one of its shards."""
    import h5py

    if not file.is_file():
        raise _weights_error(file, network, Sentence("there is no such file"))
    try:
        index = json.loads(file.read_text()) if file.suffix == ".json" else {}
        shards = {name for names in index.get("weight_map", {}).values() for name in names}
    except (ValueError, AttributeError, TypeError) as error:
        reason = Sentence("it is not an index of Keras weights")
        raise _weights_error(file, network, reason) from error
    for part in sorted(file.parent / name for name in shards) or [file]:
        if not part.is_file():
            raise _weights_error(part, network, Sentence("it is missing"))
        try:
            h5py.File(part).close()
        except OSError as error:
            reason = Sentence("it is truncated or not an HDF5 file")
            raise _weights_error(part, network, reason) from error
    if file == network.weights and (part := embedded.damaged(network.name)):
        raise _weights_error(part, network, Sentence("it is not the file that was shipped"))


def _weights_error(file: Path, network: Network, reason: Sentence) -> WeightsError:
    if network.weights is not None and file.parent == network.weights.parent:
        remedy = embedded.REMEDY
    else:
        remedy = Sentence(
            "Give a file saved by keras.applications.{keras_class}(include_top=False)"
            ".save_weights().",
            keras_class=network.label.replace("-", ""),
        )
        if network.weights is not None:
            remedy = Sentence(
                "{remedy} Or leave the setting empty for the embedded weights.", remedy=remedy
            )
    return WeightsError(
        "{network} weights {file}: {reason}. {remedy}",
        network=network.label,
        file=file,
        reason=reason,
        remedy=remedy,
    )
