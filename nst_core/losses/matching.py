"""Search for the most similar of a painting's features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nst_core.lazy import tf

# Positions whose similarities to all samples of one painting are in memory at once.
ROWS = 4096


def unit(vectors: tf.Tensor) -> tf.Tensor:
    """Vectors [..., N] divided by their lengths; those of length 0 stay 0."""
    return vectors * tf.math.rsqrt(tf.reduce_sum(tf.square(vectors), -1, keepdims=True) + 1e-8)


def nearest_to(directions: tf.Tensor, samples: tf.Tensor) -> tf.Tensor:
    """For each of `directions` [K or 1, P, N] the index of the most similar of `samples` [K, Q, N].

    In the precision of the samples, and some rows after another: all similarities at once would
    take gigabytes for a large picture. Returns int32 [K, P].
    """
    queries = tf.cast(directions, samples.dtype)
    paintings, count = tf.shape(samples)[0], tf.shape(queries)[1]
    # Equal blocks, so that what they find has one shape, which XLA asks for.
    blocks = tf.maximum(1, -(-count // tf.maximum(1, ROWS // paintings)))
    rows = -(-count // blocks)
    padded = tf.pad(queries, [[0, 0], [0, blocks * rows - count], [0, 0]])

    def search(block: tf.Tensor) -> tf.Tensor:
        similar = tf.matmul(padded[:, block * rows : (block + 1) * rows], samples, transpose_b=True)
        return tf.argmax(similar, axis=-1, output_type=tf.int32)  # [K, rows]

    found = tf.map_fn(search, tf.range(blocks), fn_output_signature=tf.int32, parallel_iterations=1)
    return tf.reshape(tf.transpose(found, [1, 0, 2]), [paintings, -1])[:, :count]


def sums_of(features: tf.Tensor) -> tf.Tensor:
    """How many positions features [1, H, W, N] have, and their sum, float32 [1, 1, 1, 1 + N]."""
    count = tf.cast(tf.reduce_prod(tf.shape(features)[:3]), tf.float32)
    total = tf.reduce_sum(tf.cast(features, tf.float32), [1, 2], keepdims=True)
    return tf.concat([tf.reshape(count, [1, 1, 1, 1]), total], axis=-1)


def mean_of(sums: tf.Tensor) -> tf.Tensor:
    """The mean of features [N] from `sums_of` all tiles, [1, h, w, 1 + N]."""
    return tf.reduce_sum(sums[..., 1:], [0, 1, 2]) / tf.reduce_sum(sums[..., 0])


def stacked(paintings: Sequence[tf.Tensor]) -> tf.Tensor:
    """The samples of several paintings, each [Q_k, N], as [K, Q, N]: repeated up to the most."""
    most = max(own.shape[0] for own in paintings)
    return tf.stack([tf.gather(own, np.arange(most) % own.shape[0]) for own in paintings])
