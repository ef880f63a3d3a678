"""Adam on the coefficients of a Laplacian pyramid, as Kolkin et al. (2022) run it.

A picture is the sum of its pyramid's levels, each enlarged to the next (Burt and Adelson 1983), and
Adam moves every coefficient of every level: so whole areas change as fast as pixels do. The sum is
linear. So the gradient of a level is what that sum's adjoint makes of the picture's, and the move
of the picture is the sum of the levels' moves: the picture itself never has to be taken apart.

An `Optimizer` of the engine, for the races alone: enter it in `OPTIMIZERS` under `NAME`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nst_core.lazy import tf
from nst_core.optimizers.adam import Adam, AdamState
from nst_core.optimizers.optimizer import Optimizer

NAME = "adam on the pyramid"
HALVINGS = 8  # at most, as published; no more than leave the short side a pixel
ADAM = Adam()


@dataclass(frozen=True)
class PyramidAdam(Optimizer):
    """`ADAM` for each level."""

    label = "Adam on a Laplacian pyramid"
    learning_rate = 2e-3  # as published

    @property
    def bytes_per_pixel(self) -> float:
        return ADAM.bytes_per_pixel * 4 / 3  # levels of 1, 1/4, 1/16 ... of the pixels

    def init(self, x: tf.Tensor) -> tuple[AdamState, ...]:
        return tuple(map(ADAM.init, _zeros(x)))

    def update(
        self,
        x: tf.Tensor,
        gradient: tf.Tensor,
        state: tuple[AdamState, ...],
        learning_rate: tf.Tensor,
    ) -> tuple[tf.Tensor, tuple[AdamState, ...]]:
        moved = [
            ADAM.update(tf.zeros_like(own), own, memory, learning_rate)
            for own, memory in zip(levels_of_gradient(gradient), state, strict=True)
        ]
        return x + summed([move for move, _ in moved]), tuple(memory for _, memory in moved)


def summed(levels: Sequence[tf.Tensor]) -> tf.Tensor:
    """The picture of a pyramid's levels [1, h, w, 3], finest first."""
    picture = levels[-1]
    for level in reversed(levels[:-1]):
        picture = level + tf.image.resize(picture, tf.shape(level)[1:3])
    return picture


def levels_of_gradient(gradient: tf.Tensor) -> list[tf.Tensor]:
    """The gradient of each level, given the picture's; 0 for levels that a small one has not."""
    levels = _zeros(gradient)
    with tf.GradientTape() as tape:
        tape.watch(levels)
        picture = summed(levels)
    found = tape.gradient(picture, levels, output_gradients=gradient)
    sides = [tf.reduce_min(tf.shape(level)[1:3]) for level in levels]
    exist = [True, *(side > 1 for side in sides[:-1])]  # whether what is above can be halved
    return [tf.cast(one, tf.float32) * own for one, own in zip(exist, found, strict=True)]


def _zeros(x: Any) -> list[tf.Tensor]:
    """Levels of zeros for pictures like `x`: always as many, the last ones of one pixel."""
    sizes = [tf.shape(x)[1:3]]
    for _ in range(HALVINGS):
        sizes.append(tf.maximum(1, sizes[-1] // 2))
    return [tf.zeros([1, size[0], size[1], 3]) for size in sizes]
