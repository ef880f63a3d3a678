"""Gradient descent: the course paper's update of the pixels."""

from __future__ import annotations

from dataclasses import dataclass

from nst_core.lazy import tf
from nst_core.optimizers.optimizer import Optimizer


@dataclass(frozen=True)
class GradientDescent(Optimizer):
    """x - learning_rate * gradient."""

    label = "Gradient descent"
    learning_rate = 1e-8  # safe with the default layer weights; the paper's bear 1.5e-7

    def init(self, x: tf.Tensor) -> tuple[()]:
        return ()

    def update(
        self, x: tf.Tensor, gradient: tf.Tensor, state: tuple[()], learning_rate: tf.Tensor
    ) -> tuple[tf.Tensor, tuple[()]]:
        return x - learning_rate * gradient, state
