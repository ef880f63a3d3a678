"""The content loss of Gatys et al.: the picture's features beside the photo's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nst_core.lazy import tf
from nst_core.losses.term import Box, Part, Photo, RegionMeasures, Term
from nst_core.pictures.pyramid import resize
from nst_core.settings import Settings

# What keeps the photo is multiplied by this at strength 0, and divided by it at strength 1.
STRENGTH_RANGE = 30.0

REFERENCE_AREA = 512.0**2  # pixels

FACE_CONTENT = 7.0  # times as strictly as the rest are faces kept


class ContentTarget(NamedTuple):
    features: tf.Tensor  # P, [1, H, W, N]
    emphasis: tf.Tensor  # how much each position counts, float32 [1, H, W, 1]


def content_loss(
    features: tf.Tensor, target: tf.Tensor, emphasis: tf.Tensor | float = 1.0
) -> tf.Tensor:
    """How far the picture's features F are from the photo's P, both [1, H, W, N], any precision.

    L_content = 1/2 sum_ij (F_ij - P_ij)^2                      (Gatys et al. 2015, eq. 1)

    Args:
        emphasis: what each position is multiplied by; 1 everywhere for the equation as it stands.
    """
    difference = tf.cast(features, tf.float32) - tf.cast(target, tf.float32)
    return tf.reduce_sum(emphasis * tf.square(difference)) / 2


def emphasized(subject: np.ndarray, factor: float) -> np.ndarray:
    """1 outside of a mask of the subject, `factor` where it is 1."""
    return 1 + (factor - 1) * subject


def _emphasis(subject: np.ndarray | None, size: Sequence[int]) -> tf.Tensor:
    """How much a layer's positions count, float32 [1, h, w, 1]."""
    if subject is None:
        return tf.ones([1, *size, 1])
    at_layer = resize(subject, *size).clip(0, 1)
    return tf.constant(emphasized(at_layer, FACE_CONTENT), tf.float32)


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

    def target(self, photo: Photo, regions: Sequence[RegionMeasures]) -> ContentTarget:
        features = photo[self.layer]
        return ContentTarget(features, _emphasis(photo.subject, features.shape[1:3]))

    def target_signature(self, regions: int, precision: str) -> ContentTarget:
        positions = [1, None, None]
        return ContentTarget(
            tf.TensorSpec([*positions, None], precision), tf.TensorSpec([*positions, 1])
        )

    def part_of_target(self, target: ContentTarget, box_at: Callable[[str], Box]) -> ContentTarget:
        box = box_at(self.layer)
        return ContentTarget(target.features[:, *box], target.emphasis[:, *box])

    def statistics(self, part: Part, target: ContentTarget) -> tf.Tensor:
        return content_loss(part.features[self.layer], target.features, target.emphasis)

    def loss(
        self, statistics: Any, target: Any, weights: Mapping[str, tf.Tensor], area: tf.Tensor
    ) -> tf.Tensor:
        return weights["alpha"] * REFERENCE_AREA / area * statistics
