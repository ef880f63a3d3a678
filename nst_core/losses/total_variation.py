"""Total variation: how much neighbouring pixels differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nst_core.lazy import tf
from nst_core.losses.term import Part, Term
from nst_core.settings import Settings


def total_variation(image: tf.Tensor) -> tf.Tensor:
    """Sum of the differences between neighbouring pixels of `image`, [1, H, W, 3].

        TV = sum_ij |x_{i+1,j} - x_{i,j}| + |x_{i,j+1} - x_{i,j}|

    The anisotropic form of Rudin, Osher and Fatemi (1992), without the corner cases: each
    direction is summed wherever both neighbours exist.
    """

    @tf.custom_gradient
    def variation(image: tf.Tensor) -> tuple[tf.Tensor, Any]:
        # By hand, because TensorFlow's own keeps ten arrays as large as the picture.
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            total = tf.zeros_like(image)
            for axis in (1, 2):
                before, after = np.zeros([2, 4, 2], int)
                before[axis, 0] = after[axis, 1] = 1
                sign = tf.sign(_differences(image, axis))
                total += tf.pad(sign, before) - tf.pad(sign, after)
            return upstream * total

        return tf.add_n([tf.reduce_sum(tf.abs(_differences(image, k))) for k in (1, 2)]), gradient

    return variation(image)


def _differences(image: tf.Tensor, axis: int) -> tf.Tensor:
    """Each row's, or column's, from the one before."""
    return image[:, 1:] - image[:, :-1] if axis == 1 else image[:, :, 1:] - image[:, :, :-1]


@dataclass(frozen=True)
class TotalVariation(Term):
    """`total_variation` as a term of the engine: gamma TV.

    A plain sum, as usual; so at larger sizes it counts more beside the style loss, which is made of
    means, and calms the grain that there is more of.
    """

    name = "tv"

    @property
    def weight_names(self) -> tuple[str, ...]:
        return ("gamma",)

    def weights(self, settings: Settings) -> dict[str, float]:
        return {"gamma": settings.tv_weight}

    def statistics(self, part: Part, target: Any) -> tf.Tensor:
        assert part.pixels is not None  # a term without layers sees the whole picture
        return total_variation(part.pixels)

    def loss(
        self, statistics: Any, target: Any, weights: Mapping[str, tf.Tensor], area: tf.Tensor
    ) -> tf.Tensor:
        return weights["gamma"] * statistics
