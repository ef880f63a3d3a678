"""The temporal loss: a frame of a film beside the one before, moved to where things are now.

After Ruder, Dosovitskiy and Brox, "Artistic Style Transfer for Videos" (2016, arXiv 1604.08610):
with w the frame before, warped along the motion, and c_k 1 where that is known and 0 where nothing
of it can be seen any more,

    L_temporal = 1/D sum_k c_k (x_k - w_k)^2,   D = 3 H W                             (eq. 7)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nst_core.lazy import tf
from nst_core.losses.term import Before, Part, Photo, RegionMeasures, Term
from nst_core.settings import Settings

# Brings the loss to the size of the others. On a moving photo of 192 px, 8 steps change what is
# known by 1.7e-4 in mean square, and by 2.2e-4 with a hundredth of it; with ten times as much, 8
# steps do not suffice for L-BFGS, and the style loss rises.
SCALE = 1.5e10


def temporal_loss(picture: tf.Tensor, before: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    """The sum of eq. 7, not yet divided by D; float32 scalar.

    Args:
        picture, before: [1, H, W, 3].
        known: c, [1, H, W, 1] in [0, 1].
    """
    return tf.reduce_sum(known * tf.square(picture - before))


@dataclass(frozen=True)
class Temporal(Term):
    """`temporal_loss` as a term of the engine, on the pixels of the whole picture."""

    name = "temporal"

    @property
    def weight_names(self) -> tuple[str, ...]:
        return ("temporal",)

    def weights(self, settings: Settings) -> dict[str, float]:
        return {"temporal": 1.0}

    def target(self, photo: Photo, regions: Sequence[RegionMeasures]) -> Before:
        before = photo.before
        if before is None:
            before = Before(photo.pixels, np.zeros_like(photo.pixels[..., :1]))
        return tf.nest.map_structure(lambda part: tf.constant(part, tf.float32), before)

    def target_signature(self, regions: int, precision: str) -> Before:
        return Before(tf.TensorSpec([1, None, None, 3]), tf.TensorSpec([1, None, None, 1]))

    def statistics(self, part: Part, target: Before) -> tf.Tensor:
        assert part.pixels is not None  # a term without layers sees the whole picture
        return temporal_loss(part.pixels, target.picture, target.known)

    def loss(
        self, statistics: Any, target: Any, weights: Mapping[str, tf.Tensor], area: tf.Tensor
    ) -> tf.Tensor:
        return SCALE * weights["temporal"] * statistics / (3 * area)
