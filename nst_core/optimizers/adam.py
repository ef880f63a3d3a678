"""Adam (Kingma and Ba 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from nst_core.lazy import tf
from nst_core.optimizers.optimizer import Optimizer


class AdamState(NamedTuple):
    step: tf.Tensor  # steps done, float32
    mean: tf.Tensor  # of the gradients, like x
    square: tf.Tensor  # mean of the squared gradients, like x


@dataclass(frozen=True)
class Adam(Optimizer):
    """Algorithm 1 of Kingma and Ba (2015), epsilon outside the root as there."""

    label = "Adam"
    learning_rate = 0.02
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    @property
    def bytes_per_pixel(self) -> float:
        return 2 * 3 * 4  # two float32 images

    def init(self, x: tf.Tensor) -> AdamState:
        return AdamState(tf.zeros([]), tf.zeros_like(x), tf.zeros_like(x))

    def update(
        self, x: tf.Tensor, gradient: tf.Tensor, state: AdamState, learning_rate: tf.Tensor
    ) -> tuple[tf.Tensor, AdamState]:
        step = state.step + 1
        mean = self.beta1 * state.mean + (1 - self.beta1) * gradient
        square = self.beta2 * state.square + (1 - self.beta2) * tf.square(gradient)
        unbiased_mean = mean / (1 - self.beta1**step)
        unbiased_square = square / (1 - self.beta2**step)
        move = learning_rate * unbiased_mean / (tf.sqrt(unbiased_square) + self.epsilon)
        return x - move, AdamState(step, mean, square)
