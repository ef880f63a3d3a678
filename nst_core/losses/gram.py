"""The style loss of Gatys et al.: correlations between the channels of each layer.

Symbols are those of Gatys, Ecker and Bethge, "A Neural Algorithm of Artistic Style" (2015,
arXiv 1508.06576), which section 3.4 of the course paper "Neural Style Transfer" (B. Caruntu)
follows. For one layer, F are the features of the picture being painted, G and A the Gram matrices
of the picture and of the painting, N the number of channels and M the number of positions.
Features are [1, H, W, N], so M = H * W, in float32 or bfloat16; sums are float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nst_core.lazy import tf
from nst_core.losses.style import StyleTerm, count_positions
from nst_core.settings import BRUSHWORK, Settings


def gram_matrix(features: tf.Tensor) -> tf.Tensor:
    """Correlations between a layer's channels, per position: G / M, float32 [N, N].

        G_ij / M = 1/M sum_k F_ik F_jk                              (Gatys et al. 2015, eq. 3)

    Divided by the number of positions, which the paper does inside the loss (eq. 4): so pictures
    and paintings of different sizes can be compared.
    """
    return correlations(features) / count_positions(features)


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


def layer_loss(gram: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """How far one layer's correlations are from the painting's, both [N, N] and per position.

        E_l = 1 / (4 N_l^2) sum_ij (G_ij / M_l - A_ij / M'_l)^2     (Gatys et al. 2015, eq. 4)

    The paper has one M_l, since picture and painting have one size there; here the painting has
    its own M'_l, and for equal sizes this is the paper's equation.
    """
    difference = gram - target
    channels = tf.cast(tf.shape(difference)[0], tf.float32)
    return tf.reduce_sum(tf.square(difference)) / (4 * channels**2)


def style_loss(
    features: Mapping[str, tf.Tensor],
    target_grams: Mapping[str, tf.Tensor],
    layer_weights: Mapping[str, tf.Tensor | float],
) -> tf.Tensor:
    """How far the picture's channel correlations are from the painting's.

        L_style = sum_l w_l E_l                                     (Gatys et al. 2015, eq. 5)

    Args:
        features: layer name -> the picture's features [1, H_l, W_l, N_l]; others are ignored.
        target_grams: layer name -> `gram_matrix` of the painting's features [N_l, N_l].
        layer_weights: layer name -> w_l; these are the layers that count.
    """
    return tf.add_n(
        [
            weight * layer_loss(gram_matrix(features[layer]), target_grams[layer])
            for layer, weight in layer_weights.items()
        ]
    )


@dataclass(frozen=True)
class GramStyle(StyleTerm):
    """The equations of `style_loss` as a term of the engine, with regions and tiles."""

    def sums(self, features: tf.Tensor, root: tf.Tensor | float) -> tf.Tensor:
        return correlations(features)

    def layer_target(self, means: tf.Tensor) -> tf.Tensor:
        return means

    def layer_signature(self) -> tf.TensorSpec:
        return tf.TensorSpec([None, None])

    def distance(self, means: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        return layer_loss(means, target)


# All of the usual layers but the deepest, which nearest features do not compute; and what brings
# the loss to the size that it has beside them.
LAYERS_BESIDE = {name: weight for name, weight in BRUSHWORK["balanced"] if "block5" not in name}
SCALE_BESIDE = 10.0


@dataclass(frozen=True)
class GramBeside(GramStyle):
    """Gram matrices beside another style loss, at the scales before the finest:

        L_gram = SCALE_BESIDE sum_l w_l E_l

    Nearest features do not see how often a painting's place is taken: plain paper is near to
    everything, and nothing of an abstract painting would come into a photo of walls. Averages see
    it. At the finest scale they would show as grain in skies.
    """

    name = "gram"
    style_layers: tuple[str, ...] = tuple(LAYERS_BESIDE)

    def weights(self, settings: Settings) -> dict[str, float]:
        weight = settings.style_weight * (settings.gram_weight or 0.0)
        return {"beta": SCALE_BESIDE * weight, **LAYERS_BESIDE}
