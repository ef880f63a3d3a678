"""L-BFGS (Liu and Nocedal 1989), the optimizer of Gatys et al., without a line search.

A line search would cost whole evaluations of the network. Instead each step is limited in length,
and the curvature pairs are taken between points whose gradients were really measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from nst_core.lazy import tf
from nst_core.optimizers.optimizer import MEMORIES, CurvatureMemory, LinearMap, Optimizer

# Mean |change| of a value in [0, 1]: of the first step, when no curvature is known yet, and the
# largest that a step may have; 0.1 overshot on some pairs.
FIRST_MOVE, MAX_MOVE = 0.02, 0.03


class LbfgsState(NamedTuple):
    x: tf.Tensor  # at the last update, like x
    gradient: tf.Tensor  # the gradient there, like x
    moves: tuple[tf.Tensor, ...]  # s_k = x_{k+1} - x_k, newest first, like x
    changes: tuple[tf.Tensor, ...]  # y_k = g_{k+1} - g_k, changes of the gradient, like x
    rho: tuple[tf.Tensor, ...]  # 1 / (s_k . y_k), scalars; 0 marks an empty slot


def identity(x: tf.Tensor) -> tf.Tensor:
    """The textbook's first guess."""
    return x


@dataclass(frozen=True)
class Lbfgs(Optimizer):
    """Nocedal and Wright, "Numerical Optimization", algorithm 7.4.

    Each step is learning_rate times the quasi-Newton direction, limited to a mean move of
    `MAX_MOVE`. A curvature pair without positive curvature is left out.
    """

    label = "L-BFGS"
    learning_rate = 1.0
    first_guess: LinearMap = identity
    memory: CurvatureMemory = MEMORIES["full"]

    def fitted(self, first_guess: LinearMap, memory: CurvatureMemory) -> Lbfgs:
        return replace(self, first_guess=first_guess, memory=memory)

    @property
    def bytes_per_pixel(self) -> float:
        number = 2 if self.memory.dtype == "bfloat16" else 4
        return self.memory.pairs * 2 * 3 * number  # two images for each pair

    def init(self, x: tf.Tensor) -> LbfgsState:
        empty = tf.zeros_like(x, self.memory.dtype)  # one tensor in all slots takes no memory
        slots = (empty,) * self.memory.pairs
        return LbfgsState(x, tf.zeros_like(x), slots, slots, (tf.zeros([]),) * self.memory.pairs)

    def update(
        self, x: tf.Tensor, gradient: tf.Tensor, state: LbfgsState, learning_rate: tf.Tensor
    ) -> tuple[tf.Tensor, LbfgsState]:
        moves, changes, rho = _with_newest_pair(x, gradient, state)
        direction = inverse_hessian_product(gradient, moves, changes, rho, self.first_guess)
        step = -learning_rate * direction
        mean_move = tf.reduce_mean(tf.abs(step))
        step *= tf.minimum(1.0, tf.math.divide_no_nan(MAX_MOVE, mean_move))
        return x + step, LbfgsState(x, gradient, moves, changes, rho)


def _with_newest_pair(
    x: tf.Tensor, gradient: tf.Tensor, state: LbfgsState
) -> tuple[tuple[tf.Tensor, ...], tuple[tf.Tensor, ...], tuple[tf.Tensor, ...]]:
    """The memory with the pair of the last move, or as it was if that has no positive curvature."""
    dtype = state.moves[0].dtype
    # Rounded as they will be remembered, so that rho is that of the rounded pair.
    move, change = _rounded(x - state.x, dtype), _rounded(gradient - state.gradient, dtype)
    curvature = _dot(move, change)
    # The very first call has no move; its curvature is 0 and no pair is stored.
    is_sound = curvature > 1e-10 * tf.norm(move) * tf.norm(change)
    return tf.cond(
        is_sound,
        lambda: (
            _push(state.moves, tf.cast(move, dtype)),
            _push(state.changes, tf.cast(change, dtype)),
            _push(state.rho, 1 / curvature),
        ),
        lambda: (state.moves, state.changes, state.rho),
    )


def inverse_hessian_product(
    gradient: tf.Tensor,
    moves: Sequence[tf.Tensor],
    changes: Sequence[tf.Tensor],
    rho: Sequence[tf.Tensor],
    first_guess: LinearMap,
) -> tf.Tensor:
    """The two-loop recursion: the estimate of the inverse Hessian times the gradient.

    An empty slot has rho = 0, so that it changes nothing and needs no branch.
    """
    direction, alphas = gradient, []
    for k in range(len(rho)):  # newest first
        alphas.append(rho[k] * _dot(moves[k], direction))
        direction -= alphas[k] * _in_full_precision(changes[k], direction)
    direction = first_guess(direction)
    newest = _in_full_precision(changes[0], direction)
    direction *= _first_scale(direction, _dot(newest, first_guess(newest)), rho[0])
    for k in reversed(range(len(rho))):
        beta = rho[k] * _dot(changes[k], direction)
        direction += (alphas[k] - beta) * _in_full_precision(moves[k], direction)
    return direction


def _first_scale(direction: tf.Tensor, change_square: tf.Tensor, rho: tf.Tensor) -> tf.Tensor:
    """Size of the initial inverse Hessian: s.y / y.Py, or without a pair a small first move."""
    small = tf.math.divide_no_nan(FIRST_MOVE, tf.reduce_mean(tf.abs(direction)))
    return tf.where(rho > 0, tf.math.divide_no_nan(1.0, rho * change_square), small)


def _dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Scalar product; `a` may be in the memory's precision, `b` is in full precision."""
    return tf.reduce_sum(_in_full_precision(a, b) * b)


def _in_full_precision(remembered: tf.Tensor, beside: tf.Tensor) -> tf.Tensor:
    """In the precision of `beside`, and not converted before that is there.

    The executor would otherwise convert all pairs up front, and hold them all in full precision.
    """
    with tf.control_dependencies([beside]):
        return tf.cast(remembered, beside.dtype)


def _rounded(x: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """`x` with the digits that another dtype leaves."""
    return tf.cast(tf.cast(x, dtype), x.dtype)


def _push(slots: tuple[tf.Tensor, ...], newest: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Put `newest` in front and drop the oldest; nothing is copied."""
    return (newest, *slots[:-1])
