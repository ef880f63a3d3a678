"""The content loss of Gatys et al.: the picture's features beside the photo's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nst_core.lazy import tf
from nst_core.losses.strictness import Split, split, strictness
from nst_core.losses.term import Box, Part, Photo, RegionMeasures, Term
from nst_core.pictures.pyramid import resize
from nst_core.settings import Settings

REFERENCE_AREA = 512.0**2  # pixels

FACE_CONTENT = 8.5  # times as strictly as the rest are faces kept


class ContentTarget(NamedTuple):
    features: tf.Tensor  # P, [1, H, W, N]
    subject: tf.Tensor  # a mask of whom the photo shows, float32 [1, H, W, 1] in [0, 1]


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


def size_factor(area: Any) -> Any:
    """s = 512^2 / (H W), by which alpha is multiplied in a picture of H W pixels."""
    return REFERENCE_AREA / area


def _at_layer(subject: np.ndarray | None, size: Sequence[int]) -> tf.Tensor:
    """A mask of the subject, or of nobody, at a layer's positions, float32 [1, h, w, 1]."""
    if subject is None:
        return tf.zeros([1, *size, 1])
    return tf.constant(resize(subject, *size).clip(0, 1), tf.float32)


@dataclass(frozen=True)
class Content(Term):
    """`content_loss` as a term of the engine: alpha s L_content, stricter on the subject.

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
        return ("alpha", "subject")

    def weights(self, settings: Settings) -> dict[str, float]:
        k = strictness(settings)
        alpha = settings.content_weight
        return {"alpha": alpha * k.rest, "subject": alpha * k.subject}

    def target(self, photo: Photo, regions: Sequence[RegionMeasures]) -> ContentTarget:
        features = photo[self.layer]
        return ContentTarget(features, _at_layer(photo.subject, features.shape[1:3]))

    def target_signature(self, regions: int, precision: str) -> ContentTarget:
        positions = [1, None, None]
        return ContentTarget(
            tf.TensorSpec([*positions, None], precision), tf.TensorSpec([*positions, 1])
        )

    def part_of_target(self, target: ContentTarget, box_at: Callable[[str], Box]) -> ContentTarget:
        box = box_at(self.layer)
        return ContentTarget(target.features[:, *box], target.subject[:, *box])

    def statistics(self, part: Part, target: ContentTarget) -> Split:
        emphases = split(1.0, target.subject, FACE_CONTENT)
        features = part.features[self.layer]
        return Split(*(content_loss(features, target.features, one) for one in emphases))

    def loss(
        self, statistics: Any, target: Any, weights: Mapping[str, tf.Tensor], area: tf.Tensor
    ) -> tf.Tensor:
        weighted = weights["alpha"] * statistics.rest + weights["subject"] * statistics.subject
        return size_factor(area) * weighted
