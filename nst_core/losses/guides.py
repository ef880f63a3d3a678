"""Guidance channels: how features count where a region's mask is not 0.

After Gatys et al., "Controlling Perceptual Factors in Neural Style Transfer" (2017, arXiv
1611.07865), section "Spatial Control".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nst_core.lazy import tf

# Values of a mask below this do not count: they are the far end of a blurred edge.
MIN_SHARE = 0.005


class Guide(NamedTuple):
    """The guidance channel of a region at one layer, for the box where it is not 0."""

    corner: tf.Tensor  # top and left of that box, int32 [2]
    root: tf.Tensor  # sqrt(T / mean T) there, float32 [1, h, w, 1]


def make_guide(mask: np.ndarray) -> Guide:
    """The guide of a region, from its mask T at a layer's positions, [1, H, W, 1] in [0, 1]."""
    shares = np.where(mask < MIN_SHARE, np.float32(0), mask)[0, ..., 0]
    rows, columns = np.nonzero(shares.any(axis=1))[0], np.nonzero(shares.any(axis=0))[0]
    if not len(rows):  # too small for this layer
        return Guide(tf.zeros([2], tf.int32), tf.zeros([1, 1, 1, 1]))
    box = shares[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    root = np.sqrt(box / box.mean())[np.newaxis, :, :, np.newaxis]
    return Guide(tf.constant([rows[0], columns[0]], tf.int32), tf.constant(root))


def guide_signature() -> Guide:
    """The tensor specifications of a guide of any size."""
    return Guide(tf.TensorSpec([2], tf.int32), tf.TensorSpec([1, None, None, 1]))


def guided(features: tf.Tensor, guide: Guide) -> tf.Tensor:
    """Features [1, h, w, N] weighted so that their mean outer product is the guided Gram matrix:

        G_ij = sum_k T_k F_ik F_jk / sum_k T_k                          (Gatys et al. 2017)

    There the squares of T sum to 1; here `make_guide` took the root, and the mean is over the
    positions of the guide's box. Positions outside of it would add 0.
    """
    top, left = tf.unstack(guide.corner)
    size = tf.concat([tf.shape(guide.root)[:3], [-1]], axis=0)
    box = tf.slice(features, [0, top, left, 0], size)
    box = tf.ensure_shape(box, [1, None, None, features.shape[-1]])
    return box * tf.cast(guide.root, features.dtype)


def mask_of(guide: Guide, size: tf.Tensor) -> tf.Tensor:
    """The weights T / mean T at all positions of a layer, float32 [1, H, W]; 0 outside of the box.

    Args:
        size: H and W, int32 [2].
    """
    before = guide.corner
    after = size - before - tf.shape(guide.root)[1:3]
    sides = tf.stack([[0, 0], [before[0], after[0]], [before[1], after[1]], [0, 0]])
    return tf.pad(tf.square(guide.root), sides)[..., 0]


def part_of_guide(guide: Guide, box: tuple[slice, slice]) -> Guide:
    """The guide of the positions in a box alone, counted from its corner; it may be empty."""
    corner = guide.corner.numpy()
    starts, stops = zip(*((side.start, side.stop) for side in box), strict=True)
    begin = np.clip(corner, starts, stops)
    end = np.clip(corner + guide.root.shape[1:3], starts, stops)
    rows, columns = map(slice, begin - corner, end - corner)
    return Guide(tf.constant(begin - starts, tf.int32), guide.root[:, rows, columns])
