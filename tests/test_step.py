"""Optimizers against SciPy and known answers, the compiled step, its gradient and its traces."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from nst_core import step
from nst_core.features import Extractor, load_vgg16
from nst_core.losses import gram_matrix
from nst_core.step import (
    OPTIMIZERS,
    Optimizer,
    StyleTargets,
    Targets,
    Weights,
    compile_step,
    loss_terms,
    project,
)

CONTENT = "block2_conv1"
STYLE = ("block1_conv1", "block2_conv1")


# As in the textbook: on vectors there are no scales to spread a step over.
PLAIN_LBFGS = Optimizer(step.lbfgs_init, step.lbfgs_update, 1.0)


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


# --- Optimizers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rate"), [("lbfgs", 1.0), ("adam", 0.05), ("gradient_descent", 0.1)]
)
def test_every_optimizer_moves_toward_the_target(name, rate, rng):
    assert set(OPTIMIZERS) == {"lbfgs", "adam", "gradient_descent"}
    target = rng.random((1, 4, 5, 3)).astype(np.float32)
    start = np.zeros_like(target)
    runs = [
        minimize(OPTIMIZERS[name], lambda x: 2 * (x - target), start, 60, rate) for _ in range(2)
    ]
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
        options={"maxcor": step.LBFGS_MEMORY, "ftol": 0, "gtol": 1e-6},
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
    bends = moves * rng.uniform(0.5, 2, 6)
    rho = 1 / (moves * bends).sum(axis=1)
    gradient = rng.standard_normal(6)
    scale = 1 / (rho[-1] * bends[-1] @ bends[-1])
    # SciPy starts from the identity; scaling the space gives it our scaled start.
    matrix = scipy.optimize.LbfgsInvHessProduct(
        moves / np.sqrt(scale), bends * np.sqrt(scale)
    ).todense()
    memory = [np.zeros((step.LBFGS_MEMORY, 6)), np.zeros((step.LBFGS_MEMORY, 6))]
    memory[0][:4], memory[1][:4] = moves[::-1], bends[::-1]
    slots = np.zeros(step.LBFGS_MEMORY)
    slots[:4] = rho[::-1]
    vectors = (tf.unstack(tf.constant(v, tf.float32)) for v in (*memory, slots))
    got = step._quasi_newton(tf.constant(gradient, tf.float32), *vectors, spread=lambda x: x)
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

    found = minimize(OPTIMIZERS["lbfgs"], gradient, np.zeros((1, 5, 7, 3)), 400)
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


def test_projection():
    image = tf.constant([-0.5, 0.0, 0.25, 1.0, 7.0])
    np.testing.assert_array_equal(project(image), [0, 0, 0.25, 1, 1])


# --- The compiled step --------------------------------------------------------------------------


def scalars(*values):
    return [tf.constant(value, tf.float32) for value in values]


def make_weights(content=7e-4, style=1.0, tv=10.0):
    return Weights(*scalars(content, style, tv), dict(zip(STYLE, scalars(0.3, 0.7), strict=True)))


@pytest.fixture(scope="module")
def extract():
    load_vgg16(None)
    return Extractor(STYLE)


@pytest.fixture(scope="module")
def compiled(extract):
    return {name: compile_step(extract, CONTENT, STYLE, o) for name, o in OPTIMIZERS.items()}


def make_problem(extract, castle, great_wave, height=48, width=40):
    image = tf.constant(castle[np.newaxis, :height, :width] / 255.0, tf.float32)
    painting = extract(tf.constant(great_wave[np.newaxis] / 255.0, tf.float32))
    grams = {name: gram_matrix(painting[name]) for name in STYLE}
    return image, Targets(extract(image)[CONTENT], (StyleTargets(grams, tf.constant(1.0), {}),))


def test_gradient_of_the_total_against_central_differences(extract, compiled, castle, great_wave):
    """Along random directions: the slope of the loss is the gradient times the direction."""
    image, targets = make_problem(extract, castle, great_wave)
    rng = np.random.default_rng(1)
    start = tf.clip_by_value(image + rng.uniform(-0.05, 0.05, image.shape), 0.1, 0.9)
    weights = make_weights()
    state = compiled["lbfgs"].start(start, targets, weights)

    def total(at):
        return float(loss_terms(at, extract(at), CONTENT, targets, weights)["total"])

    for _ in range(4):
        direction = rng.standard_normal(image.shape).astype(np.float32)
        direction = 0.7 * direction / np.linalg.norm(direction) + 0.3 * (
            state.gradient.numpy() / np.linalg.norm(state.gradient)
        )
        reach = 3e-3
        slope = (total(start + reach * direction) - total(start - reach * direction)) / (2 * reach)
        expected = float(tf.reduce_sum(state.gradient * direction))
        assert slope == pytest.approx(expected, rel=5e-3)


def test_total_is_the_weighted_sum(extract, castle, great_wave):
    image, targets = make_problem(extract, castle, great_wave, 32, 64)
    other = tf.reverse(image, axis=[1])
    features = extract(other)
    got = {
        k: float(v)
        for k, v in loss_terms(other, features, CONTENT, targets, make_weights()).items()
    }
    content = float(tf.reduce_sum((features[CONTENT] - targets.content) ** 2)) / 2
    assert got["content"] == pytest.approx(7e-4 * 512**2 / (32 * 64) * content, rel=1e-5)
    assert got["total"] == pytest.approx(got["content"] + got["style"] + got["tv"], rel=1e-6)


def test_bfloat16_gives_the_losses_of_float32_to_one_percent(castle, great_wave):
    """Of the same picture, each against targets of its own precision."""
    terms = {}
    for precision in ("float32", "bfloat16"):
        extract = Extractor(STYLE, precision=precision)
        image, targets = make_problem(extract, castle, great_wave, 64, 96)
        targets = targets._replace(content=tf.cast(targets.content, tf.float32))
        other = tf.reverse(image, axis=[1])
        terms[precision] = loss_terms(other, extract(other), CONTENT, targets, make_weights())
    for name, exact in terms["float32"].items():
        assert float(terms["bfloat16"][name]) == pytest.approx(float(exact), rel=0.01), name


def test_one_trace_serves_every_shape_and_every_weight(extract, compiled, castle, great_wave):
    functions = compiled["lbfgs"]
    for height, width in [(48, 40), (32, 64), (64, 17), (48, 40)]:
        for content, rate in [(7e-4, 1.0), (1e-2, 0.5)]:
            image, targets = make_problem(extract, castle, great_wave, height, width)
            state = functions.start(image, targets, make_weights(content))
            for _ in range(2):
                state = functions.step(state, targets, make_weights(content), tf.constant(rate))
            assert state.image.shape == (1, height, width, 3)
    assert functions.start.experimental_get_tracing_count() == 1
    assert functions.step.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_few_steps_lower_the_loss_and_stay_in_range(name, extract, compiled, castle, great_wave):
    image, targets = make_problem(extract, castle, great_wave)
    state = compiled[name].start(image, targets, make_weights())
    first = float(state.losses["total"])
    rate = tf.constant(OPTIMIZERS[name].learning_rate)
    for _ in range(12):
        state = compiled[name].step(state, targets, make_weights(), rate)
    assert float(state.losses["total"]) < 0.9 * first
    assert state.finite
    assert float(tf.reduce_min(state.image)) >= 0
    assert float(tf.reduce_max(state.image)) <= 1


def test_losses_belong_to_the_image_of_the_state(extract, compiled, castle, great_wave):
    image, targets = make_problem(extract, castle, great_wave)
    state = compiled["adam"].start(image, targets, make_weights())
    state = compiled["adam"].step(state, targets, make_weights(), tf.constant(0.02))
    again = loss_terms(state.image, extract(state.image), CONTENT, targets, make_weights())
    for name, value in state.losses.items():
        assert float(value) == pytest.approx(float(again[name]), rel=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_told(bad, extract, compiled, castle, great_wave):
    image, targets = make_problem(extract, castle, great_wave)
    functions = compiled["gradient_descent"]
    state = functions.start(image, targets, make_weights())
    assert state.finite
    assert not functions.step(state, targets, make_weights(), tf.constant(bad)).finite
    assert not functions.start(image, targets, make_weights(style=bad)).finite
