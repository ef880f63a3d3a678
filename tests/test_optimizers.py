"""The optimizers against SciPy, NumPy and known answers, and how much they remember."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from nst_core import Settings
from nst_core.engine.objective import Objective
from nst_core.optimizers import OPTIMIZERS
from nst_core.optimizers.lbfgs import MAX_MOVE, Lbfgs, identity, inverse_hessian_product
from nst_core.optimizers.optimizer import MEMORIES

# As in the textbook: on vectors there are no scales to spread a step over.
PLAIN_LBFGS = Lbfgs()
PAIRS = PLAIN_LBFGS.memory.pairs


def fitted(name, memory="full"):
    """An optimizer as runs use it: for images."""
    return Objective.of(Settings(style_loss="gram", optimizer=name)).optimizer(memory)


def minimize(optimizer, gradient_of, start, steps, learning_rate=None):
    """Run an optimizer on a plain function; returns the last x."""
    x = tf.constant(start, tf.float32)
    rate = tf.constant(learning_rate or optimizer.learning_rate)

    @tf.function
    def advance(x, state):
        return optimizer.update(x, gradient_of(x), state, rate)

    state = optimizer.init(x)
    for _ in range(steps):
        x, state = advance(x, state)
    return x.numpy()


def rosenbrock_gradient(x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    return tape.gradient(value, x)


RATES = {"lbfgs": 1.0, "adam": 0.05, "gradient_descent": 0.1}  # for the square of a distance


def test_every_optimizer_is_tested():
    assert set(OPTIMIZERS) == set(RATES)


@pytest.mark.parametrize(("name", "rate"), RATES.items())
def test_every_optimizer_moves_toward_the_target(name, rate, rng):
    target = rng.random((1, 4, 5, 3)).astype(np.float32)
    start = np.zeros_like(target)
    runs = [minimize(fitted(name), lambda x: 2 * (x - target), start, 60, rate) for _ in range(2)]
    assert np.abs(runs[0] - target).mean() < 0.05 * np.abs(target).mean()
    np.testing.assert_array_equal(runs[0], runs[1])


def test_gradient_descent_is_the_papers_update():
    x, gradient = tf.constant([1.0, -2.0]), tf.constant([0.5, 3.0])
    moved, _ = OPTIMIZERS["gradient_descent"].update(x, gradient, (), tf.constant(0.1))
    np.testing.assert_allclose(moved, [0.95, -2.3], rtol=1e-6)


def test_adam_against_numpy(rng):
    """Algorithm 1 of Kingma and Ba (2015), worked in float64."""
    x = rng.random(6)
    mean = square = np.zeros(6)
    state = OPTIMIZERS["adam"].init(tf.constant(x, tf.float32))
    got = tf.constant(x, tf.float32)
    for t in range(1, 8):
        gradient = rng.standard_normal(6)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        x = x - 0.02 * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
        got, state = OPTIMIZERS["adam"].update(
            got, tf.constant(gradient, tf.float32), state, tf.constant(0.02)
        )
    np.testing.assert_allclose(got, x, rtol=1e-5)


def test_lbfgs_on_a_convex_quadratic_finds_what_scipy_finds(rng):
    """Condition number 1000, which gradient descent would need thousands of steps for."""
    basis, _ = np.linalg.qr(rng.standard_normal((20, 20)))
    matrix = basis @ np.diag(np.logspace(0, 3, 20)) @ basis.T
    offset = rng.standard_normal(20)
    scipys = scipy.optimize.minimize(
        lambda x: (x @ matrix @ x / 2 - offset @ x, matrix @ x - offset),
        np.zeros(20),
        jac=True,
        method="L-BFGS-B",
        options={"maxcor": PAIRS, "ftol": 0, "gtol": 1e-6},
    )
    hessian, shift = tf.constant(matrix, tf.float32), tf.constant(offset, tf.float32)
    ours = minimize(PLAIN_LBFGS, lambda x: tf.linalg.matvec(hessian, x) - shift, np.zeros(20), 120)
    np.testing.assert_allclose(ours, scipys.x, atol=2e-4)


@pytest.mark.parametrize("start", [[-1.2, 1.0], [0.0, 0.0], [2.0, -1.0, 0.5, 1.5]])
def test_lbfgs_on_rosenbrock_finds_what_scipy_finds(start):
    scipys = scipy.optimize.minimize(
        scipy.optimize.rosen, start, jac=scipy.optimize.rosen_der, method="L-BFGS-B"
    )
    ours = minimize(PLAIN_LBFGS, rosenbrock_gradient, start, 300)
    np.testing.assert_allclose(ours, scipys.x, atol=2e-3)


def test_lbfgs_direction_is_scipys_inverse_hessian_times_the_gradient(rng):
    """The two-loop recursion against SciPy's own matrix from the same pairs."""
    moves = rng.standard_normal((4, 6))
    changes = moves * rng.uniform(0.5, 2, 6)
    rho = 1 / (moves * changes).sum(axis=1)
    gradient = rng.standard_normal(6)
    scale = 1 / (rho[-1] * changes[-1] @ changes[-1])
    # SciPy starts from the identity; scaling the space gives it our scaled start.
    matrix = scipy.optimize.LbfgsInvHessProduct(
        moves / np.sqrt(scale), changes * np.sqrt(scale)
    ).todense()
    memory = [np.zeros((PAIRS, 6)), np.zeros((PAIRS, 6))]
    memory[0][:4], memory[1][:4] = moves[::-1], changes[::-1]
    slots = np.zeros(PAIRS)
    slots[:4] = rho[::-1]
    vectors = (tf.unstack(tf.constant(v, tf.float32)) for v in (*memory, slots))
    got = inverse_hessian_product(tf.constant(gradient, tf.float32), *vectors, first_guess=identity)
    np.testing.assert_allclose(got, scale * matrix @ gradient, rtol=1e-4)


def test_lbfgs_on_an_image_finds_the_exact_minimum_of_a_quadratic(rng):
    """Of 1/2 |blur x - target|^2, whose minimum linear algebra knows."""
    blur = np.eye(35) + 0.6 * rng.standard_normal((35, 35)) / 35**0.5
    target = rng.standard_normal((35, 3))
    exact = np.linalg.solve(blur, target)
    matrix, goal = tf.constant(blur, tf.float32), tf.constant(target, tf.float32)

    def gradient(x):
        flat = tf.reshape(x, [35, 3])
        return tf.reshape(tf.transpose(matrix) @ (matrix @ flat - goal), x.shape)

    found = minimize(fitted("lbfgs"), gradient, np.zeros((1, 5, 7, 3)), 400)
    np.testing.assert_allclose(found.reshape(35, 3), exact, atol=0.02 * np.abs(exact).max())


def test_lbfgs_leaves_out_pairs_of_negative_curvature():
    x = tf.constant([1.0, 1.0])
    state = PLAIN_LBFGS.init(x)
    _, state = PLAIN_LBFGS.update(x, tf.constant([1.0, 1.0]), state, tf.constant(1.0))
    assert not np.any(state.rho)
    moved = x + 0.5
    _, state = PLAIN_LBFGS.update(moved, tf.constant([0.5, 0.5]), state, tf.constant(1.0))
    assert not np.any(state.rho)
    _, state = PLAIN_LBFGS.update(x, tf.constant([0.1, 0.1]), state, tf.constant(1.0))
    np.testing.assert_allclose(state.rho[0], 1 / (2 * 0.5 * 0.4), rtol=1e-5)


# --- Memory -------------------------------------------------------------------------------------


def test_the_state_is_what_the_optimizer_says(rng):
    """Bytes of what is remembered between steps, beside the picture and its gradient."""
    x = tf.constant(rng.random((1, 8, 6, 3)), tf.float32)
    state = fitted("adam").init(x)
    assert state.mean.dtype.size * 6 + 0.0 == fitted("adam").bytes_per_pixel
    assert fitted("gradient_descent").bytes_per_pixel == 0
    for name, memory in MEMORIES.items():
        state = fitted("lbfgs", name).init(x)
        remembered = [*state.moves, *state.changes]
        assert {slot.dtype.name for slot in remembered} == {memory.dtype}
        assert {tuple(slot.shape) for slot in remembered} == {tuple(x.shape)}
        assert len(state.moves) == len(state.changes) == len(state.rho) == memory.pairs
        size = sum(slot.dtype.size * 3 for slot in remembered)
        assert size == fitted("lbfgs", name).bytes_per_pixel


def test_the_short_memory_has_a_quarter_of_the_bytes():
    full, short = (fitted("lbfgs", name).bytes_per_pixel for name in ("full", "short"))
    assert short == full / 4


def test_only_lbfgs_has_a_memory_to_be_fitted():
    for name in ("adam", "gradient_descent"):
        assert fitted(name, "short") == fitted(name, "full") == OPTIMIZERS[name]
    assert fitted("lbfgs", "short") != fitted("lbfgs", "full")


def test_the_oldest_pair_is_dropped(rng):
    """Of a quadratic, whose changes are twice the moves."""
    optimizer = fitted("lbfgs", "short")
    x = tf.constant(rng.random((1, 4, 6, 3)), tf.float32)
    state, xs = optimizer.init(x), []
    for _ in range(MEMORIES["short"].pairs + 3):
        xs.append(x)
        x, state = optimizer.update(x, 2 * x, state, tf.constant(0.1))
    moves = [after - before for before, after in itertools.pairwise(xs)]
    for move, change, expected in zip(state.moves, state.changes, moves[::-1], strict=False):
        rounded = tf.cast(expected, tf.bfloat16)
        np.testing.assert_array_equal(move, rounded)
        # The gradients' difference is rounded twice: 2^-8 each.
        np.testing.assert_allclose(tf.cast(change, tf.float32), 2 * expected, rtol=2**-7, atol=1e-5)
    for move, change, rho in zip(state.moves, state.changes, state.rho, strict=True):
        dot = tf.reduce_sum(tf.cast(move, tf.float32) * tf.cast(change, tf.float32))
        assert float(rho) == pytest.approx(1 / float(dot), rel=1e-4), "rho is the rounded pair's"


def test_the_short_memory_finds_the_minimum_too(rng):
    target = rng.random((1, 4, 5, 3)).astype(np.float32)
    scale = np.logspace(0, 1.5, 60).reshape(target.shape).astype(np.float32)
    found = minimize(
        fitted("lbfgs", "short"), lambda x: scale * (x - target), np.zeros_like(target), 150
    )
    np.testing.assert_allclose(found, target, atol=0.02)


def test_no_step_of_lbfgs_is_longer_than_the_longest(rng):
    optimizer = fitted("lbfgs")
    x = tf.constant(rng.random((1, 6, 5, 3)), tf.float32)
    state = optimizer.init(x)
    for _ in range(5):
        moved, state = optimizer.update(x, x - 100, state, tf.constant(50.0))
        assert float(tf.reduce_mean(tf.abs(moved - x))) <= MAX_MOVE * (1 + 1e-5)
        x = moved
