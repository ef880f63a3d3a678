"""Search for the most similar of a painting's features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nst_core.lazy import tf

# Positions whose similarities to all samples of one painting are in memory at once.
ROWS = 4096


class Middle(NamedTuple):
    """Where the features of a layer lie."""

    mean: tf.Tensor  # float32 [N]
    spread: tf.Tensor  # the root of their mean squared distance from it, float32 scalar


def direction(features: tf.Tensor, middle: Middle, softness: float) -> tf.Tensor:
    """Where features [..., N] point from the mean, float32:

        u(F) = (F - f) / sqrt(|F - f|^2 + (softness spread)^2)

    of length 1 where they are far from it, so that distances there are those of the cosine; near to
    it, as in a plain sky, almost 0. Divided by their lengths, these would point anywhere, and be
    nearest to whatever stroke happens to lie there.

    Args:
        softness: the part of the usual distance from the mean below which features count as flat.
    """
    away = tf.cast(features, tf.float32) - middle.mean
    squares = tf.reduce_sum(tf.square(away), -1, keepdims=True)
    return away * tf.math.rsqrt(squares + tf.square(softness * middle.spread) + 1e-8)


def unit(vectors: tf.Tensor) -> tf.Tensor:
    """Vectors [..., N] divided by their lengths; those of length 0 stay 0."""
    return vectors * tf.math.rsqrt(tf.reduce_sum(tf.square(vectors), -1, keepdims=True) + 1e-8)


def nearest_to(directions: tf.Tensor, samples: tf.Tensor) -> tf.Tensor:
    """For each of `directions` [K or 1, P, N] the index of the nearest of `samples` [K, Q, N].

    |u - v|^2 / 2 is least where u v - |v|^2 / 2 is largest. In the precision of the samples, and
    some rows after another: all products at once would take gigabytes for a large picture. Returns
    int32 [K, P].
    """
    queries = tf.cast(directions, samples.dtype)
    halves = tf.reduce_sum(tf.square(samples), axis=-1)[:, tf.newaxis] / 2  # [K, 1, Q]
    paintings, count = tf.shape(samples)[0], tf.shape(queries)[1]
    # Equal blocks, so that what they find has one shape, which XLA asks for.
    blocks = tf.maximum(1, -(-count // tf.maximum(1, ROWS // paintings)))
    rows = -(-count // blocks)
    padded = tf.pad(queries, [[0, 0], [0, blocks * rows - count], [0, 0]])

    def search(block: tf.Tensor) -> tf.Tensor:
        some = padded[:, block * rows : (block + 1) * rows]
        similar = tf.matmul(some, samples, transpose_b=True) - halves
        return tf.argmax(similar, axis=-1, output_type=tf.int32)  # [K, rows]

    found = tf.map_fn(search, tf.range(blocks), fn_output_signature=tf.int32, parallel_iterations=1)
    return tf.reshape(tf.transpose(found, [1, 0, 2]), [paintings, -1])[:, :count]


def sums_of(features: tf.Tensor) -> tf.Tensor:
    """How many positions features [1, H, W, N] have, the sum of their squares, and their sum.

    Float32 [1, 1, 1, 2 + N].
    """
    exact = tf.cast(features, tf.float32)
    count = tf.cast(tf.reduce_prod(tf.shape(features)[:3]), tf.float32)
    first = tf.reshape(tf.stack([count, tf.reduce_sum(tf.square(exact))]), [1, 1, 1, 2])
    return tf.concat([first, tf.reduce_sum(exact, [1, 2], keepdims=True)], axis=-1)


def middle_of(sums: tf.Tensor) -> Middle:
    """The middle of features from `sums_of` all tiles, [1, h, w, 2 + N]."""
    total = tf.reduce_sum(sums, [0, 1, 2])
    mean, mean_square = total[2:] / total[0], total[1] / total[0]
    return Middle(mean, tf.sqrt(tf.nn.relu(mean_square - tf.reduce_sum(tf.square(mean)))))


def moved_to(middle: Middle, samples: tf.Tensor) -> Middle:
    """The same spread about the mean of each of several paintings' samples [K, Q, N]."""
    mean = tf.reduce_mean(tf.cast(samples, tf.float32), axis=1, keepdims=True)
    return Middle(mean, middle.spread)


def stacked(paintings: Sequence[tf.Tensor]) -> tf.Tensor:
    """The samples of several paintings, each [Q_k, N], as [K, Q, N]: repeated up to the most."""
    most = max(own.shape[0] for own in paintings)
    return tf.stack([tf.gather(own, np.arange(most) % own.shape[0]) for own in paintings])
