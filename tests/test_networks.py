"""The networks: the very weights, the very features of Keras' own models, borders, broken files."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from nst_core import Settings, SettingsError, WeightsError, stream
from nst_core.networks import NETWORKS
from nst_core.networks.extractor import Extractor, load_model
from nst_core.networks.network import POOLINGS, Network
from nst_core.networks.vgg import IMAGENET_MEAN_BGR, VGG16, VGG19
from nst_core.pictures import images

WEIGHTS = ROOT / "nst_core" / "weights"
LAYERS, PADDING = VGG16.names, VGG16.padding

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
        for layer in load_model().layers
        for variable in layer.weights
    }


# --- The table ----------------------------------------------------------------------------------


def keras_model(network: Network) -> Any:
    """Keras' own model without its top, of random weights."""
    tf.keras.utils.set_random_seed(3)
    build = {"vgg16": tf.keras.applications.VGG16, "vgg19": tf.keras.applications.VGG19}
    return build[network.name](include_top=False, weights=None)


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> dict[str, tuple[Any, str]]:
    """Network name -> Keras' model of random weights, and a file of them."""
    folder = tmp_path_factory.mktemp("weights")
    found = {}
    for name, network in NETWORKS.items():
        model, path = keras_model(network), folder / f"{name}.weights.h5"
        model.save_weights(path)
        found[name] = model, str(path)
    return found


@pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))
def test_the_table_agrees_with_keras_model(network, own):
    """Names, order, channels, strides, and where the poolings are."""
    stride, channels, is_pooled, found = 1, 3, False, []
    model, _ = own[network.name]
    for layer in model.layers[1:-1]:  # without the input and the pooling at the end
        if isinstance(layer, tf.keras.layers.MaxPooling2D):
            assert (layer.pool_size, layer.strides) == ((2, 2), (2, 2))
            stride, is_pooled = 2 * stride, True
            continue
        assert layer.kernel.shape == (3, 3, channels, layer.filters)
        found.append((layer.name, stride, channels, layer.filters, is_pooled))
        channels, is_pooled = layer.filters, False
    assert found == [
        (layer.name, layer.stride, layer.inputs, layer.channels, layer.is_pooled)
        for layer in network.layers
    ]
    assert network.names == tuple(name for name, *_ in found)
    assert network.coarsest_stride == stride


@pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))
def test_a_changed_pixel_spreads_exactly_as_far_as_the_halo(network, tmp_path):
    """With kernels of ones, which let every change of a pixel through, however small."""
    model, path = keras_model(network), tmp_path / "ones.weights.h5"
    for layer in network.layers:
        kernel = np.full([3, 3, layer.inputs, layer.channels], 1 / layer.inputs, np.float32)
        model.get_layer(layer.name).set_weights([kernel, np.zeros(layer.channels)])
    model.save_weights(path)
    extractor = Extractor(network.names, network.name, pooling="average", weights=str(path))
    nothing = np.tile(np.float32(IMAGENET_MEAN_BGR[::-1]) / 255, [1, 320, 16, 1])
    before = extractor.of_padded(tf.constant(nothing))
    for row in (160, 171):
        spot = nothing.copy()
        spot[0, row, 8] = 1
        after = extractor.of_padded(tf.constant(spot))
        for layer in network.layers:
            changed = np.any(before[layer.name] != after[layer.name], axis=(0, 2, 3))
            # A position sees its own pixels, and so many more before and after them.
            first = np.arange(320 // layer.stride) * layer.stride - layer.halo
            last = first + layer.stride - 1 + 2 * layer.halo
            np.testing.assert_array_equal(changed, (first <= row) & (row <= last), layer.name)


def test_the_cost_of_a_layer():
    """VGG-16's first layers by hand, for each pixel of the picture."""
    assert VGG16.flop(["block1_conv2"]) == 2 * 9 * (3 * 64 + 64 * 64)
    assert VGG16.flop(["block2_conv1"]) == 2 * 9 * (3 * 64 + 64 * 64 + 64 * 128 / 4)
    assert VGG16.activations(["block1_conv2"]) == 64 + 64
    assert VGG16.activations(["block2_conv1"]) == 64 + 64 + (64 + 128) / 4
    assert VGG16.flop([]) == VGG16.activations([]) == VGG16.halo([]) == 0
    assert VGG19.flop(VGG19.names) > VGG16.flop(VGG16.names)


def test_names_in_order():
    names = ("block4_conv2", "block1_conv1", "block4_conv2", "block2_conv1")
    assert VGG16.in_order(names) == ("block1_conv1", "block2_conv1", "block4_conv2")
    assert [layer.name for layer in VGG16.up_to(names)][-1] == "block4_conv2"
    with pytest.raises(KeyError):
        VGG16["block3_conv4"]


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
    loaded = load_model(weights=str(copied_weights)).get_layer("block5_conv3").bias.numpy()
    np.testing.assert_array_equal(loaded, tensors()["block5_conv3/bias"])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"absent\.weights\.h5.*no such file.*leave the setting"):
        load_model(weights=str(tmp_path / "absent.weights.h5"))


def test_a_missing_shard_is_named(copied_weights):
    (copied_weights.parent / "vgg16_00003.weights.h5").unlink()
    with pytest.raises(WeightsError, match=r"vgg16_00003\.weights\.h5: it is missing"):
        load_model(weights=str(copied_weights))


def test_a_truncated_shard_is_named(copied_weights):
    shard = copied_weights.parent / "vgg16_00004.weights.h5"
    shard.write_bytes(shard.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match=r"vgg16_00004\.weights\.h5: it is truncated"):
        load_model(weights=str(copied_weights))


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"weight_map": 3}', '{"weight_map": {}}', "hm"])
def test_an_index_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "broken.weights.json"
    path.write_text(content)
    with pytest.raises(WeightsError, match=r"broken\.weights\.json"):
        load_model(weights=str(path))


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.weights.h5"
    model = tf.keras.Sequential([tf.keras.Input([4]), tf.keras.layers.Dense(2)])
    model.save_weights(path)
    with pytest.raises(WeightsError, match=r"other\.weights\.h5: it does not hold VGG-16"):
        load_model(weights=str(path))


@pytest.mark.parametrize(("asked", "given"), [("vgg19", "vgg16"), ("vgg16", "vgg19")])
def test_one_vggs_weights_are_not_the_others(asked, given, own):
    label = NETWORKS[asked].label
    with pytest.raises(WeightsError, match=f"{given}.weights.h5: it does not hold {label}'s"):
        load_model(asked, own[given][1])


def test_a_network_without_embedded_weights_says_what_to_give(castle, great_wave):
    message = (
        "'vgg19', whose weights are not embedded; set weights to a file saved by Keras' VGG-19"
    )
    with pytest.raises(WeightsError, match=message):
        Extractor(("block1_conv1",), network_name="vgg19").load()
    with pytest.raises(WeightsError, match=message):
        stream(castle, great_wave, Settings(style_loss="gram", network="vgg19"))


def test_a_picture_is_not_a_weights_file(castle, tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(castle.tobytes())
    with pytest.raises(WeightsError, match="not an HDF5 file"):
        load_model(weights=str(path))


def test_the_index_holds_all_layers():
    index = json.loads((WEIGHTS / "vgg16.weights.json").read_text())
    assert len(index["weight_map"]) == 13


# --- Features -----------------------------------------------------------------------------------


def to_batch(image: np.ndarray) -> tf.Tensor:
    return tf.constant(image[np.newaxis] / 255.0, tf.float32)


def test_features_are_those_of_keras_own_model(castle):
    """Keras' model and Keras' preprocessing, on the image mirrored by NumPy."""
    padded = np.pad(castle, ((PADDING, PADDING), (PADDING, PADDING), (0, 0)), mode="symmetric")
    vgg = load_model()
    batch = tf.keras.applications.vgg16.preprocess_input(padded[np.newaxis].astype(np.float32))
    whole = tf.keras.Model(vgg.input, [vgg.get_layer(layer).output for layer in LAYERS])(batch)
    got = Extractor(LAYERS)(to_batch(castle))
    for layer, expected in zip(LAYERS, whole, strict=True):
        np.testing.assert_allclose(got[layer], expected, rtol=1e-4, atol=0.05, err_msg=layer)


def test_vgg19s_features_are_those_of_keras_own_model(castle, own):
    model, file = own["vgg19"]
    small = castle[:40, :48]
    sides = (VGG19.padding, VGG19.padding)
    padded = np.pad(small, (sides, sides, (0, 0)), mode="symmetric")
    batch = tf.keras.applications.vgg19.preprocess_input(padded[np.newaxis].astype(np.float32))
    outputs = [model.get_layer(layer).output for layer in VGG19.names]
    whole = tf.keras.Model(model.input, outputs)(batch)
    got = Extractor(VGG19.names, network_name="vgg19", weights=file)(to_batch(small))
    assert tuple(got) == VGG19.names
    for layer, expected in zip(VGG19.names, whole, strict=True):
        tolerance = 1e-5 * float(tf.reduce_max(expected))
        np.testing.assert_allclose(got[layer], expected, rtol=1e-4, atol=tolerance, err_msg=layer)


def test_a_run_with_another_network(castle, great_wave, own):
    settings = Settings(
        style_loss="gram",
        size=64,
        steps=2,
        init="content",
        precision="float32",
        network="vgg19",
        weights=own["vgg19"][1],
        content_layer="block3_conv4",  # VGG-16 has none
        style_layers={"block1_conv1": 1, "block2_conv1": 1},
    )
    first, *_, last = stream(castle, great_wave, replace(settings, frame_interval=0))
    assert (first.step, last.step) == (0, 2)
    assert last.done
    assert last.losses["style"] > 0
    with pytest.raises(SettingsError, match=r"content_layer is 'block3_conv4'.*one of: block1"):
        stream(castle, great_wave, replace(settings, network="vgg16", weights=None))


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
    maximum = Extractor(layers, pooling="max")(to_batch(castle))
    average = Extractor(layers, pooling="average")(to_batch(castle))
    np.testing.assert_array_equal(maximum["block1_conv2"], average["block1_conv2"])
    assert not np.allclose(maximum["block2_conv1"], average["block2_conv1"])


@pytest.mark.parametrize("name", POOLINGS)
def test_poolings(name, rng):
    x = rng.random((1, 5, 4, 2)).astype(np.float32)
    blocks = x[:, :4].reshape(1, 2, 2, 2, 2, 2)
    expected = {"max": blocks.max(axis=(2, 4)), "average": blocks.mean(axis=(2, 4))}[name]
    np.testing.assert_allclose(POOLINGS[name](tf.constant(x)), expected, rtol=1e-6)


def test_borders_look_like_the_middle():
    """A flat image has flat features where it is, in the first blocks: the frame of zeros that
    VGG-16 puts around its input stays in the mirrored padding."""
    image = tf.fill([1, 48, 48, 3], 0.8)
    for layer, activation in Extractor(LAYERS[:4])(image).items():
        padding = PADDING // VGG16[layer].stride
        inside = activation[:, padding:-padding, padding:-padding]
        spread = np.ptp(inside.numpy(), axis=(1, 2)).max()
        assert spread < 1e-3 * activation.numpy().max(), layer
    bare = tf.keras.Model(load_model().input, load_model().get_layer("block2_conv2").output)
    spread = np.ptp(bare(VGG16.preprocess(image)).numpy(), axis=(1, 2)).max()
    assert spread > 10, "zero padding no longer shows, so this test tests nothing"


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 100), (63, 31), (40, 77)])
def test_any_shape_down_to_the_smallest(height, width):
    got = Extractor(LAYERS)(tf.zeros([1, height, width, 3]))
    for layer, activation in got.items():
        stride = VGG16[layer].stride
        sides = ((height + 2 * PADDING) // stride, (width + 2 * PADDING) // stride)
        assert activation.shape[1:3] == sides, layer


def test_no_picture_is_accepted_that_is_too_small_to_be_mirrored():
    assert max(network.padding for network in NETWORKS.values()) <= images.MINIMUM_SIDE


def test_a_mask_is_pooled_as_the_picture_is(rng):
    """Against Keras' own average poolings of the padded mask."""
    mask = rng.random([1, 37, 50, 1]).astype(np.float32)
    sides, expected = (PADDING, PADDING), {}
    x = tf.constant(np.pad(mask, [(0, 0), sides, sides, (0, 0)], "symmetric"))
    for stride in (1, 2, 4, 8, 16):
        expected[stride] = x
        x = tf.keras.layers.AveragePooling2D(2)(x)
    names = ("block5_conv1", "block1_conv1", "block3_conv2")
    found = VGG16.at_layers(mask, names)
    assert set(found) == set(names)
    for name, pooled in found.items():
        np.testing.assert_allclose(pooled, expected[VGG16[name].stride], rtol=1e-5)


def test_loading_while_a_graph_is_traced_gives_the_same_features(castle, copied_weights):
    """Once, a model first loaded inside a trace kept its random weights, and nothing said so."""
    fresh = Extractor(("block2_conv1",), weights=str(copied_weights))
    got = tf.function(fresh)(to_batch(castle))["block2_conv1"]
    expected = Extractor(("block2_conv1",))(to_batch(castle))["block2_conv1"]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=0.01)


@pytest.mark.parametrize(("height", "width"), [(16, 40), (23, 16)])
def test_times_seen_counts_the_mirrored_padding(height, width):
    """Against the gradient of the sum over the image with its padding."""
    image = tf.zeros([1, height, width, 3])
    with tf.GradientTape() as tape:
        tape.watch(image)
        total = tf.reduce_sum(VGG16.pad(image))
    counted = np.outer(VGG16.times_seen(height), VGG16.times_seen(width))
    np.testing.assert_array_equal(tape.gradient(total, image)[0, :, :, 0], counted)
