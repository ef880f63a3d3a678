"""The equations: Gram matrix, content loss, style loss and total variation.

Symbols are those of Gatys, Ecker and Bethge, "A Neural Algorithm of Artistic Style" (2015,
arXiv 1508.06576), which section 3.4 of the course paper "Neural Style Transfer" (B. Caruntu)
follows. For one layer of VGG-16, F and P are the features of the picture being painted and of the
photo, G and A the Gram matrices of the picture and of the painting, N the number of channels and
M the number of positions. Features are [1, H, W, N], so M = H * W, in float32 or bfloat16; sums are
float32. All functions are pure and differentiable; those named after a loss return scalars.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from nst_core.lazy import tf

# Shares of a region below this do not count: they are the far end of a blurred edge.
LEAST_SHARE = 0.005


def gram_matrix(features: tf.Tensor) -> tf.Tensor:
    """Correlations between a layer's channels, per position: G / M, float32 [N, N].

        G_ij / M = 1/M sum_k F_ik F_jk                              (Gatys et al. 2015, eq. 3)

    Divided by the number of positions, which the paper does inside the loss (eq. 4): so pictures
    and paintings of different sizes can be compared.
    """
    return correlations(features) / positions(features)


def positions(features: tf.Tensor) -> tf.Tensor:
    """M = H W of features [1, H, W, N], float32 scalar."""
    return tf.cast(tf.reduce_prod(tf.shape(features)[:3]), tf.float32)


def correlations(features: tf.Tensor) -> tf.Tensor:
    """G_ij = sum_k F_ik F_jk, float32 [N, N]; those of the parts of a picture add up to its own.

    With its gradient by hand: F (U + U^T), which eq. 6 of the paper uses. It takes one product, in
    the precision of F; TensorFlow's own takes two in float32.
    """
    flat = tf.reshape(features, [-1, features.shape[-1]])  # [M, N]

    @tf.custom_gradient
    def product(flat: tf.Tensor) -> tuple[tf.Tensor, Any]:
        exact = tf.cast(flat, tf.float32)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return tf.matmul(flat, tf.cast(upstream + tf.transpose(upstream), flat.dtype))

        return tf.matmul(exact, exact, transpose_a=True), gradient

    return product(flat)


class Guide(NamedTuple):
    """The guidance channel of a region at one layer, for the part of it where it is not 0."""

    corner: tf.Tensor  # top and left of that part, int32 [2]
    root: tf.Tensor  # sqrt(T / mean T) there, float32 [1, h, w, 1]


def make_guide(place: np.ndarray) -> Guide:
    """The guide of a region, from its shares T of a layer's positions, [1, H, W, 1] in [0, 1]."""
    shares = np.where(place < LEAST_SHARE, np.float32(0), place)[0, ..., 0]
    rows, columns = np.nonzero(shares.any(axis=1))[0], np.nonzero(shares.any(axis=0))[0]
    if not len(rows):  # too small for this layer
        return Guide(tf.zeros([2], tf.int32), tf.zeros([1, 1, 1, 1]))
    part = shares[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    root = np.sqrt(part / part.mean())[np.newaxis, :, :, np.newaxis]
    return Guide(tf.constant([rows[0], columns[0]], tf.int32), tf.constant(root))


def guided(features: tf.Tensor, guide: Guide) -> tf.Tensor:
    """Features [1, h, w, N] that count as the guide says; their `gram_matrix` is the guided one:

        G_ij = sum_k T_k F_ik F_jk / sum_k T_k                          (Gatys et al. 2017)

    from "Controlling Perceptual Factors in Neural Style Transfer" (arXiv 1611.07865), section
    "Spatial Control". There the squares of T sum to 1; here `make_guide` took the root, and
    `gram_matrix` divides by the positions. Those outside of the guide's part would add 0.
    """
    top, left = tf.unstack(guide.corner)
    size = tf.concat([tf.shape(guide.root)[:3], [-1]], axis=0)
    part = tf.slice(features, [0, top, left, 0], size)
    part = tf.ensure_shape(part, [1, None, None, features.shape[-1]])
    return part * tf.cast(guide.root, features.dtype)


def content_loss(features: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """How far the picture's features are from the photo's, both [1, H, W, N] in any precision.

    L_content = 1/2 sum_ij (F_ij - P_ij)^2                      (Gatys et al. 2015, eq. 1)
    """
    difference = tf.cast(features, tf.float32) - tf.cast(target, tf.float32)
    return tf.reduce_sum(tf.square(difference)) / 2


def style_loss(
    features: Mapping[str, tf.Tensor],
    target_grams: Mapping[str, tf.Tensor],
    layer_weights: Mapping[str, tf.Tensor | float],
) -> tf.Tensor:
    """How far the picture's channel correlations are from the painting's.

        E_l = 1 / (4 N_l^2) sum_ij (G_ij / M_l - A_ij / M'_l)^2     (Gatys et al. 2015, eq. 4)
        L_style = sum_l w_l E_l                                     (eq. 5)

    The paper has one M_l, since picture and painting have one size there; here the painting has
    its own M'_l, and for equal sizes this is the paper's equation.

    Args:
        features: layer name -> the picture's features [1, H_l, W_l, N_l]; others are ignored.
        target_grams: layer name -> `gram_matrix` of the painting's features [N_l, N_l].
        layer_weights: layer name -> w_l; these are the layers that count.
    """
    grams = {layer: gram_matrix(features[layer]) for layer in layer_weights}
    return gram_loss(grams, target_grams, layer_weights)


def gram_loss(
    grams: Mapping[str, tf.Tensor],
    target_grams: Mapping[str, tf.Tensor],
    layer_weights: Mapping[str, tf.Tensor | float],
) -> tf.Tensor:
    """`style_loss` of a picture whose Gram matrices are known already: layer name -> [N_l, N_l]."""
    terms = []
    for layer, weight in layer_weights.items():
        difference = grams[layer] - target_grams[layer]
        channels = tf.cast(tf.shape(difference)[0], tf.float32)
        terms.append(weight * tf.reduce_sum(tf.square(difference)) / (4 * channels**2))
    return tf.add_n(terms)


def total_variation(image: tf.Tensor) -> tf.Tensor:
    """Sum of the differences between neighbouring pixels of `image`, [1, H, W, 3].

        TV = sum_ij |x_{i+1,j} - x_{i,j}| + |x_{i,j+1} - x_{i,j}|

    The anisotropic form of Rudin, Osher and Fatemi (1992), without the corner cases: each
    direction is summed wherever both neighbours exist.
    """
    vertical = tf.abs(image[:, 1:, :, :] - image[:, :-1, :, :])
    horizontal = tf.abs(image[:, :, 1:, :] - image[:, :, :-1, :])
    return tf.reduce_sum(vertical) + tf.reduce_sum(horizontal)
