"""The content loss of Gatys et al.: the picture's features beside the photo's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nst_core.lazy import tf
from nst_core.losses.term import Box, Part, Photo, RegionMeasures, Term
from nst_core.settings import Settings

# What keeps the photo is multiplied by this at strength 0, and divided by it at strength 1.
STRENGTH_RANGE = 30.0

REFERENCE_AREA = 512.0**2  # pixels


def content_loss(features: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """How far the picture's features F are from the photo's P, both [1, H, W, N], any precision.

    L_content = 1/2 sum_ij (F_ij - P_ij)^2                      (Gatys et al. 2015, eq. 1)
    """
    difference = tf.cast(features, tf.float32) - tf.cast(target, tf.float32)
    return tf.reduce_sum(tf.square(difference)) / 2


def strength_factor(settings: Settings) -> float:
    """How much stricter the photo is kept: `STRENGTH_RANGE` times at strength 0, 1 at 0.5."""
    return float(STRENGTH_RANGE ** (1 - 2 * settings.strength))


@dataclass(frozen=True)
class Content(Term):
    """`content_loss` as a term of the engine: alpha s L_content.

    s = 512^2 / (H W) is ours: it keeps one alpha meaning one look at every size, because L_content
    grows with the number of positions while L_style does not. At 512 x 512 it is 1.
    """

    name = "content"
    layer: str

    @property
    def photo_layers(self) -> tuple[str, ...]:
        return (self.layer,)

    @property
    def weight_names(self) -> tuple[str, ...]:
        return ("alpha",)

    def weights(self, settings: Settings) -> dict[str, float]:
        return {"alpha": settings.content_weight * strength_factor(settings)}

    def target(self, photo: Photo, regions: Sequence[RegionMeasures]) -> tf.Tensor:
        return photo[self.layer]

    def target_signature(self, regions: int, precision: str) -> tf.TensorSpec:
        return tf.TensorSpec([1, None, None, None], precision)

    def part_of_target(self, target: tf.Tensor, box_at: Callable[[str], Box]) -> tf.Tensor:
        return target[:, *box_at(self.layer)]

    def statistics(self, part: Part, target: tf.Tensor) -> tf.Tensor:
        return content_loss(part.features[self.layer], target)

    def loss(
        self, statistics: Any, target: Any, weights: Mapping[str, tf.Tensor], area: tf.Tensor
    ) -> tf.Tensor:
        return weights["alpha"] * REFERENCE_AREA / area * statistics
