"""The style loss that compares mean and covariance of features: Gaussian Wasserstein-2 distance.

If the features of each layer were normally distributed, this would be the cost of moving those of
the picture to those of the painting (Olkin and Pukelsheim 1982, "The Distance Between Two Random
Vectors with Given Dispersion Matrices"). Used for style by crowsonkb/style-transfer-pytorch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nst_core.lazy import tf
from nst_core.losses.gram import correlations
from nst_core.losses.style import StyleTerm

# Brings the distance to the size of the Gram loss, so that `style_weight`, `strength` and the named
# brushwork mean about the same look: see docs/choices.md.
SCALE = 6000.0

# Added to the eigenvalues, relative to their mean: keeps the gradient of the root finite where an
# eigenvalue is 0.
RELATIVE_EPSILON = 1e-6


class Moments(NamedTuple):
    """Sums over the positions of a layer, or means."""

    first: tf.Tensor  # of F, float32 [N]
    second: tf.Tensor  # of F F^T, float32 [N, N]


class Gaussian(NamedTuple):
    """A painting's features at one layer, as a normal distribution."""

    mean: tf.Tensor  # mu_T, float32 [N]
    root: tf.Tensor  # T^1/2 of its covariance T, float32 [N, N]


def wasserstein_distance(moments: Moments, target: Gaussian) -> tf.Tensor:
    """The squared distance of two normal distributions per channel, float32 scalar.

        W_2^2 / N = 1/N (|mu_S - mu_T|^2 + tr(S + T - 2 (T^1/2 S T^1/2)^1/2))

    with mean mu_S and covariance S of the picture's features, N channels.
    """
    covariance = covariance_of(moments)
    product = target.root @ covariance @ target.root
    trace = tf.linalg.trace(covariance) + tf.reduce_sum(tf.square(target.root))
    distance = (
        tf.reduce_sum(tf.square(moments.first - target.mean))
        + trace
        - 2 * trace_of_root((product + tf.transpose(product)) / 2)
    )
    return distance / tf.cast(tf.shape(target.mean)[0], tf.float32)


def covariance_of(moments: Moments) -> Any:
    """E[F F^T] - E[F] E[F]^T, [N, N], of tensors or arrays."""
    return moments.second - moments.first[:, np.newaxis] * moments.first[np.newaxis, :]


def trace_of_root(matrix: tf.Tensor) -> tf.Tensor:
    """tr((A + epsilon I)^1/2) of a positive semidefinite A, [N, N], with its gradient.

    The gradient is 1/2 (A + epsilon I)^-1/2.

    By hand, because TensorFlow's own gradient of eigenvectors is not finite where eigenvalues are
    equal.
    """

    @tf.custom_gradient
    def trace(matrix: tf.Tensor) -> tuple[tf.Tensor, Any]:
        values, vectors = tf.linalg.eigh(matrix)
        values = tf.maximum(values, 0.0)
        roots = tf.sqrt(values + RELATIVE_EPSILON * tf.reduce_mean(values))

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            inverse = tf.math.divide_no_nan(0.5, roots)
            return upstream * tf.matmul(vectors * inverse, vectors, transpose_b=True)

        return tf.reduce_sum(roots), gradient

    return trace(matrix)


@dataclass(frozen=True)
class WassersteinStyle(StyleTerm):
    """`wasserstein_distance` as a term of the engine, with regions, mixing and tiles."""

    def sums(self, features: tf.Tensor, root: tf.Tensor | float) -> Moments:
        weighted = tf.cast(features, tf.float32) * root
        return Moments(tf.reduce_sum(weighted, [0, 1, 2]), correlations(features))

    def layer_target(self, means: Moments) -> Gaussian:
        moments = Moments(*(np.asarray(part, np.float64) for part in means))
        values, vectors = np.linalg.eigh(covariance_of(moments))
        root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
        return Gaussian(tf.constant(moments.first, tf.float32), tf.constant(root, tf.float32))

    def layer_signature(self) -> Gaussian:
        return Gaussian(tf.TensorSpec([None]), tf.TensorSpec([None, None]))

    def distance(self, means: Moments, target: Gaussian) -> tf.Tensor:
        return SCALE * wasserstein_distance(means, target)
