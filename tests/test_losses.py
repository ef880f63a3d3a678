"""The equations against an independent computation in NumPy float64, and against differences."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from nst_core import losses


def numpy_gram(features: np.ndarray) -> np.ndarray:
    """G / M by the sum of outer products over positions."""
    _, height, width, channels = features.shape
    gram = np.zeros((channels, channels))
    for row in range(height):
        for column in range(width):
            vector = features[0, row, column].astype(np.float64)
            gram += np.outer(vector, vector)
    return gram / (height * width)


@pytest.fixture
def features(rng):
    return (rng.standard_normal((1, 7, 5, 6)) * 30).astype(np.float32)


def test_gram_matrix(features):
    got = losses.gram_matrix(tf.constant(features)).numpy()
    np.testing.assert_allclose(got, numpy_gram(features), rtol=1e-5, atol=1e-4)


def test_gram_matrix_does_not_depend_on_the_size(features):
    tiled = np.tile(features, (1, 3, 2, 1))
    got = losses.gram_matrix(tf.constant(tiled)).numpy()
    np.testing.assert_allclose(got, numpy_gram(features), rtol=1e-5, atol=1e-4)


def test_gradient_of_the_gram_matrix_is_tensorflows_own(features, rng):
    x, upstream = tf.constant(features), tf.constant(rng.standard_normal((6, 6)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        flat = tf.reshape(x, [-1, 6])
        own = tf.reduce_sum(upstream * tf.matmul(flat, flat, transpose_a=True) / 35)
        ours = tf.reduce_sum(upstream * losses.gram_matrix(x))
    np.testing.assert_allclose(tape.gradient(ours, x), tape.gradient(own, x), rtol=1e-4, atol=1e-4)


def test_sums_of_bfloat16_features_are_exact(features, rng):
    """Only the features are rounded, not what is computed from them."""
    rounded = tf.cast(features, tf.bfloat16)
    values = tf.cast(rounded, tf.float32).numpy()
    gram = losses.gram_matrix(rounded)
    assert gram.dtype == tf.float32
    np.testing.assert_allclose(gram, numpy_gram(values), rtol=1e-5, atol=1e-4)
    target = rng.standard_normal(features.shape).astype(np.float32)
    expected = 0.5 * ((values.astype(np.float64) - target) ** 2).sum()
    assert float(losses.content_loss(rounded, target)) == pytest.approx(expected, rel=1e-5)


def test_content_loss(features, rng):
    target = (rng.standard_normal(features.shape) * 30).astype(np.float32)
    expected = 0.5 * ((features.astype(np.float64) - target) ** 2).sum()
    got = float(losses.content_loss(tf.constant(features), tf.constant(target)))
    assert got == pytest.approx(expected, rel=1e-5)


def test_style_loss(features, rng):
    other = (rng.standard_normal((1, 4, 9, 3)) * 20).astype(np.float32)
    picture = {"block1_conv1": features, "block2_conv1": other, "block3_conv1": features}
    painting = {
        "block1_conv1": rng.standard_normal((1, 11, 3, 6)) * 25,
        "block2_conv1": rng.standard_normal((1, 2, 8, 3)) * 25,
    }
    weights = {"block1_conv1": 0.75, "block2_conv1": 0.1}
    expected = 0.0
    for layer, weight in weights.items():
        channels = picture[layer].shape[-1]
        difference = numpy_gram(picture[layer]) - numpy_gram(painting[layer])
        expected += weight / (4 * channels**2) * (difference**2).sum()
    got = losses.style_loss(
        {layer: tf.constant(value) for layer, value in picture.items()},
        {layer: tf.constant(numpy_gram(value), tf.float32) for layer, value in painting.items()},
        {layer: tf.constant(weight) for layer, weight in weights.items()},
    )
    assert float(got) == pytest.approx(expected, rel=1e-5)


def test_for_equal_sizes_the_style_loss_is_the_papers(features, rng):
    """Equation 4 as printed: Gram matrices not divided, 1 / (4 N^2 M^2) in front."""
    painting = (rng.standard_normal(features.shape) * 30).astype(np.float32)
    positions, channels = features.shape[1] * features.shape[2], features.shape[3]
    gram, target = numpy_gram(features) * positions, numpy_gram(painting) * positions
    expected = ((gram - target) ** 2).sum() / (4 * channels**2 * positions**2)
    got = losses.style_loss(
        {"layer": tf.constant(features)},
        {"layer": losses.gram_matrix(tf.constant(painting))},
        {"layer": 1.0},
    )
    assert float(got) == pytest.approx(expected, rel=1e-5)


def test_total_variation_of_a_checkerboard():
    """4 x 6 pixels of 0 and 1: every one of the 3 * 6 + 4 * 5 neighbours differs by 1."""
    board = (np.indices((4, 6)).sum(axis=0) % 2).astype(np.float32)
    image = np.repeat(board[np.newaxis, :, :, np.newaxis], 3, axis=3)
    assert float(losses.total_variation(tf.constant(image))) == pytest.approx(3 * (18 + 20))


def test_total_variation(rng):
    image = rng.random((1, 9, 5, 3)).astype(np.float32)
    exact = image.astype(np.float64)
    expected = np.abs(np.diff(exact, axis=1)).sum() + np.abs(np.diff(exact, axis=2)).sum()
    got = float(losses.total_variation(tf.constant(image)))
    assert got == pytest.approx(expected, rel=1e-5)


def test_total_variation_of_a_flat_image_is_zero():
    assert float(losses.total_variation(tf.fill([1, 8, 8, 3], 0.3))) == 0


def test_guided_gram_against_its_definition(rng):
    """sum_k T_k F_ik F_jk / sum_k T_k."""
    features = rng.random([1, 5, 7, 4]).astype(np.float32)
    place = rng.random([1, 5, 7, 1]).astype(np.float32)
    place[:, :2] = place[:, :, 6:] = 0
    flat, shares = features.reshape(-1, 4), place.reshape(-1, 1)
    expected = (flat * shares).T @ flat / shares.sum()
    got = losses.gram_matrix(losses.guided(tf.constant(features), losses.make_guide(place)))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_a_guide_that_is_even_changes_nothing_and_an_empty_one_gives_zero(rng):
    features = tf.constant(rng.random([1, 5, 7, 4]).astype(np.float32))
    even, empty = (
        losses.make_guide(np.full([1, 5, 7, 1], value, np.float32)) for value in (0.3, 0.0)
    )
    np.testing.assert_allclose(
        losses.gram_matrix(losses.guided(features, even)), losses.gram_matrix(features), rtol=1e-5
    )
    assert not losses.gram_matrix(losses.guided(features, empty)).numpy().any()
