"""A term of somebody else's: one whose parts do not add up, with a target for each position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nst_core import Settings
from nst_core.lazy import tf
from nst_core.losses.term import Part, Term


@dataclass(frozen=True)
class Likeness(Term):
    """How far the picture's features point elsewhere than the photo's, both centred: the mean of
    1 - cosine over positions. The centre is the whole picture's, so parts do not add up."""

    layer: str
    name = "style"
    adds_up = False

    @property
    def photo_layers(self) -> tuple[str, ...]:
        return (self.layer,)

    @property
    def weight_names(self) -> tuple[str, ...]:
        return ("kappa",)

    def weights(self, settings: Settings) -> dict[str, float]:
        return {"kappa": settings.style_weight}

    def target(self, photo, regions) -> tf.Tensor:
        return _directions(photo[self.layer])

    def target_signature(self, regions: int, precision: str) -> tf.TensorSpec:
        return tf.TensorSpec([1, None, None, None])

    def part_of_target(self, target, box_at) -> tf.Tensor:
        return target[:, *box_at(self.layer)]

    def statistics(self, part: Part, target) -> tf.Tensor:
        return tf.cast(part.features[self.layer], tf.float32)

    def loss(self, statistics, target, weights: Mapping[str, tf.Tensor], area: Any) -> tf.Tensor:
        cosines = tf.reduce_sum(_directions(statistics) * target, axis=-1)
        return weights["kappa"] * tf.reduce_mean(1 - cosines)


def _directions(features: tf.Tensor) -> tf.Tensor:
    features = tf.cast(features, tf.float32)
    centred = features - tf.reduce_mean(features, axis=(0, 1, 2))
    return tf.math.l2_normalize(centred, axis=-1, epsilon=1e-6)
