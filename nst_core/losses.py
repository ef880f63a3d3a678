"""The equations: Gram matrix, content loss, style loss and total variation.

Symbols are those of Gatys, Ecker and Bethge, "A Neural Algorithm of Artistic Style" (2015,
arXiv 1508.06576), which section 3.4 of the course paper "Neural Style Transfer" (B. Caruntu)
follows. For one layer of VGG-16, F and P are the features of the picture being painted and of the
photo, G and A the Gram matrices of the picture and of the painting, N the number of channels and
M the number of positions. Features are [1, H, W, N], so M = H * W, in float32 or bfloat16; sums are
float32. All functions are pure, differentiable, and return scalars except `gram_matrix`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nst_core.lazy import tf


def gram_matrix(features: tf.Tensor) -> tf.Tensor:
    """Correlations between a layer's channels, per position: G / M, float32 [N, N].

        G_ij / M = 1/M sum_k F_ik F_jk                              (Gatys et al. 2015, eq. 3)

    Divided by the number of positions, which the paper does inside the loss (eq. 4): so pictures
    and paintings of different sizes can be compared.
    """
    flat = tf.reshape(features, [-1, features.shape[-1]])  # [M, N]
    return _correlations(flat) / tf.cast(tf.shape(flat)[0], tf.float32)


def _correlations(flat: tf.Tensor) -> tf.Tensor:
    """F^T F in float32, with its gradient by hand: F (U + U^T), which eq. 6 of the paper uses.

    It takes one product, in the precision of F; TensorFlow's own takes two in float32.
    """

    @tf.custom_gradient
    def product(flat: tf.Tensor) -> tuple[tf.Tensor, Any]:
        exact = tf.cast(flat, tf.float32)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return tf.matmul(flat, tf.cast(upstream + tf.transpose(upstream), flat.dtype))

        return tf.matmul(exact, exact, transpose_a=True), gradient

    return product(flat)


def content_loss(features: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """How far the picture's features are from the photo's, both [1, H, W, N].

    L_content = 1/2 sum_ij (F_ij - P_ij)^2                      (Gatys et al. 2015, eq. 1)
    """
    difference = tf.cast(features, tf.float32) - target
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
    terms = []
    for layer, weight in layer_weights.items():
        difference = gram_matrix(features[layer]) - target_grams[layer]
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
