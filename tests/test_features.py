"""VGG-16: the very weights, the very features of Keras' own model, borders, and broken files."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from nst_core import features, images
from nst_core.features import LAYERS, MARGIN, Extractor, WeightsError, load_vgg16

WEIGHTS = ROOT / "nst_core" / "weights"

# mean, standard deviation, minimum, maximum: read-outs of Keras' own model, as published.
PUBLISHED = {
    "block1_conv1/kernel": (-0.0024379, 0.20669945, -0.67140007, 0.6085159),
    "block1_conv1/bias": (0.5013912, 0.32847992, -0.015828926, 2.064037),
    "block5_conv3/kernel": (-0.0010819, 0.008478405, -0.09288482, 0.28699666),
    "block5_conv3/bias": (0.14986369, 0.4928213, -0.50036746, 9.431553),
}
PUBLISHED_FIRST = {
    "block1_conv1/bias": (0.73429835, 0.09340367, 0.06775674, 0.8862966),
    "block5_conv1/bias": (0.09722325,),
    "block5_conv2/bias": (0.21327873,),
    "block5_conv3/bias": (0.18837857,),
}


def tensors() -> dict[str, np.ndarray]:
    """The tensors of the loaded model, `block1_conv1/kernel` ..."""
    return {
        f"{layer.name}/{variable.name}": variable.numpy()
        for layer in load_vgg16(None).layers
        for variable in layer.weights
    }


# --- Weights ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_statistics(name):
    tensor = tensors()[name].astype(np.float64)
    got = tensor.mean(), tensor.std(), tensor.min(), tensor.max()
    # Five significant digits of the means and seven of the others are published.
    np.testing.assert_allclose(got, PUBLISHED[name], rtol=5e-6, atol=1e-7)


@pytest.mark.parametrize("name", PUBLISHED_FIRST)
def test_published_first_values(name):
    expected = PUBLISHED_FIRST[name]
    np.testing.assert_allclose(tensors()[name][: len(expected)], expected, rtol=1e-7)


def test_every_tensor_is_bit_for_bit_the_source():
    with (WEIGHTS / "vgg16_tensors.csv").open() as file:
        rows = {row["tensor"]: row for row in csv.DictReader(file)}
    loaded = tensors()
    assert len(rows) == 26
    assert rows.keys() == loaded.keys()
    for name, tensor in loaded.items():
        assert tensor.dtype == np.float32
        assert "x".join(map(str, tensor.shape)) == rows[name]["shape"]
        assert hashlib.sha256(tensor.tobytes()).hexdigest() == rows[name]["sha256"], name


def test_no_file_is_too_large_for_a_space():
    sizes = {path.name: path.stat().st_size for path in WEIGHTS.iterdir() if path.is_file()}
    assert max(sizes.values()) < 10_000_000, sizes
    assert sum(name.endswith(".h5") for name in sizes) == 7


@pytest.fixture
def copied_weights(tmp_path):
    for path in WEIGHTS.glob("vgg16*.weights.*"):
        shutil.copy(path, tmp_path)
    return tmp_path / "vgg16.weights.json"


def test_another_weights_file_can_be_given(copied_weights):
    loaded = load_vgg16(str(copied_weights)).get_layer("block5_conv3").bias.numpy()
    np.testing.assert_array_equal(loaded, tensors()["block5_conv3/bias"])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"absent\.weights\.h5.*no such file.*leave the setting"):
        load_vgg16(str(tmp_path / "absent.weights.h5"))


def test_a_missing_shard_is_named(copied_weights):
    (copied_weights.parent / "vgg16_00003.weights.h5").unlink()
    with pytest.raises(WeightsError, match=r"vgg16_00003\.weights\.h5: it is missing"):
        load_vgg16(str(copied_weights))


def test_a_truncated_shard_is_named(copied_weights):
    shard = copied_weights.parent / "vgg16_00004.weights.h5"
    shard.write_bytes(shard.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match=r"vgg16_00004\.weights\.h5: it is truncated"):
        load_vgg16(str(copied_weights))


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"weight_map": 3}', '{"weight_map": {}}', "hm"])
def test_an_index_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "broken.weights.json"
    path.write_text(content)
    with pytest.raises(WeightsError, match=r"broken\.weights\.json"):
        load_vgg16(str(path))


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.weights.h5"
    model = tf.keras.Sequential([tf.keras.Input([4]), tf.keras.layers.Dense(2)])
    model.save_weights(path)
    with pytest.raises(WeightsError, match=r"other\.weights\.h5: it does not hold VGG-16"):
        load_vgg16(str(path))


def test_a_picture_is_not_a_weights_file(castle, tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(castle.tobytes())
    with pytest.raises(WeightsError, match="not an HDF5 file"):
        load_vgg16(str(path))


def test_the_index_holds_all_layers():
    index = json.loads((WEIGHTS / "vgg16.weights.json").read_text())
    assert len(index["weight_map"]) == 13


# --- Features -----------------------------------------------------------------------------------


def to_batch(image: np.ndarray) -> tf.Tensor:
    return tf.constant(image[np.newaxis] / 255.0, tf.float32)


def test_features_are_those_of_keras_own_model(castle):
    """Keras' model and Keras' preprocessing, on the image mirrored by NumPy."""
    padded = np.pad(castle, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="symmetric")
    vgg = load_vgg16(None)
    batch = tf.keras.applications.vgg16.preprocess_input(padded[np.newaxis].astype(np.float32))
    whole = tf.keras.Model(vgg.input, [vgg.get_layer(layer).output for layer in LAYERS])(batch)
    got = Extractor(LAYERS)(to_batch(castle))
    for layer, expected in zip(LAYERS, whole, strict=True):
        np.testing.assert_allclose(got[layer], expected, rtol=1e-4, atol=0.05, err_msg=layer)


def test_bfloat16_features_are_those_of_float32_rounded(castle):
    """Each activation errs by some of bfloat16's steps, 2^-8, of its layer's size."""
    exact = Extractor(LAYERS)(to_batch(castle))
    for layer, rounded in Extractor(LAYERS, precision="bfloat16")(to_batch(castle)).items():
        assert rounded.dtype == tf.bfloat16
        error = np.abs(tf.cast(rounded, tf.float32).numpy() - exact[layer].numpy())
        assert error.mean() < 0.02 * exact[layer].numpy().mean(), layer


def test_only_what_is_asked_for_is_computed(castle):
    got = Extractor(("block1_conv2", "block2_conv1"))(to_batch(castle))
    assert list(got) == ["block1_conv2", "block2_conv1"]
    graph = tf.function(Extractor(("block2_conv1",))).get_concrete_function(to_batch(castle)).graph
    convolutions = [op.name for op in graph.get_operations() if op.type == "Conv2D"]
    assert len(convolutions) == 3, convolutions  # block1_conv1, block1_conv2, block2_conv1


def test_pooling_changes_the_deeper_layers_only(castle):
    layers = ("block1_conv2", "block2_conv1")
    maximum = Extractor(layers, "max")(to_batch(castle))
    average = Extractor(layers, "average")(to_batch(castle))
    np.testing.assert_array_equal(maximum["block1_conv2"], average["block1_conv2"])
    assert not np.allclose(maximum["block2_conv1"], average["block2_conv1"])


@pytest.mark.parametrize("name", features.POOLINGS)
def test_poolings(name, rng):
    x = rng.random((1, 5, 4, 2)).astype(np.float32)
    blocks = x[:, :4].reshape(1, 2, 2, 2, 2, 2)
    expected = {"max": blocks.max(axis=(2, 4)), "average": blocks.mean(axis=(2, 4))}[name]
    np.testing.assert_allclose(features.POOLINGS[name](tf.constant(x)), expected, rtol=1e-6)


def test_borders_look_like_the_middle():
    """A flat image has flat features where it is, in the first blocks: the frame of zeros that
    VGG-16 puts around its input stays in the mirrored margin."""
    image = tf.fill([1, 48, 48, 3], 0.8)
    for layer, activation in Extractor(LAYERS[:4])(image).items():
        margin = MARGIN // 2 ** (int(layer[5]) - 1)
        inside = activation[:, margin:-margin, margin:-margin]
        spread = np.ptp(inside.numpy(), axis=(1, 2)).max()
        assert spread < 1e-3 * activation.numpy().max(), layer
    bare = tf.keras.Model(load_vgg16(None).input, load_vgg16(None).get_layer("block2_conv2").output)
    spread = np.ptp(bare(features.preprocess(image)).numpy(), axis=(1, 2)).max()
    assert spread > 10, "zero padding no longer shows, so this test tests nothing"


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 100), (63, 31), (40, 77)])
def test_any_shape_down_to_the_smallest(height, width):
    got = Extractor(LAYERS)(tf.zeros([1, height, width, 3]))
    for layer, activation in got.items():
        stride = 2 ** (int(layer[5]) - 1)
        sides = ((height + 2 * MARGIN) // stride, (width + 2 * MARGIN) // stride)
        assert activation.shape[1:3] == sides, layer


def test_no_picture_is_accepted_that_is_too_small_to_be_mirrored():
    assert images.MINIMUM_SIDE >= MARGIN


def test_loading_while_a_graph_is_traced_gives_the_same_features(castle, copied_weights):
    """Once, a model first loaded inside a trace kept its random weights, and nothing said so."""
    fresh = Extractor(("block2_conv1",), weights=str(copied_weights))
    got = tf.function(fresh)(to_batch(castle))["block2_conv1"]
    expected = Extractor(("block2_conv1",))(to_batch(castle))["block2_conv1"]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=0.01)


@pytest.mark.parametrize(("height", "width"), [(16, 40), (23, 16)])
def test_times_seen_counts_the_mirrored_margin(height, width):
    """Against the gradient of the sum over the image with its margin."""
    image = tf.zeros([1, height, width, 3])
    with tf.GradientTape() as tape:
        tape.watch(image)
        total = tf.reduce_sum(features.mirror_borders(image))
    counted = np.outer(features.times_seen(height), features.times_seen(width))
    np.testing.assert_array_equal(tape.gradient(total, image)[0, :, :, 0], counted)
