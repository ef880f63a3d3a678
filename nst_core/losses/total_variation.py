"""Total variation: how much neighbouring pixels differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nst_core.lazy import tf
from nst_core.losses.term import Part, Term
from nst_core.settings import Settings


def total_variation(image: tf.Tensor) -> tf.Tensor:
    """Sum of the differences between neighbouring pixels of `image`, [1, H, W, 3].

        TV = sum_ij |x_{i+1,j} - x_{i,j}| + |x_{i,j+1} - x_{i,j}|

    The anisotropic form of Rudin, Osher and Fatemi (1992), without the corner cases: each
    direction is summed wherever both neighbours exist.
    """
    vertical = tf.abs(image[:, 1:, :, :] - image[:, :-1, :, :])
    horizontal = tf.abs(image[:, :, 1:, :] - image[:, :, :-1, :])
    return tf.reduce_sum(vertical) + tf.reduce_sum(horizontal)


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
        """Of the pairs that begin with one of the part's own pixels.

        The next row and column are there for these pairs; pairs within them belong to other parts.
        """
        height, width = part.size[0], part.size[1]
        next_row, next_column = part.pixels[:, height:], part.pixels[:, :, width:]
        return (
            total_variation(part.pixels) - total_variation(next_row) - total_variation(next_column)
        )

    def loss(
        self, statistics: Any, target: Any, weights: Mapping[str, tf.Tensor], area: tf.Tensor
    ) -> tf.Tensor:
        return weights["gamma"] * statistics
