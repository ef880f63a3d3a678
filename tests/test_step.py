"""The compiled step: its gradient, its losses, its traces, and a term of somebody else's."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from conftest import Features
from likeness import Likeness

from nst_core import Settings, stylize
from nst_core.engine.objective import Objective
from nst_core.engine.step import (
    Targets,
    compile_step,
    project,
    statistics_of,
    weighted_losses,
)
from nst_core.losses import STYLE_LOSSES, StyleLoss
from nst_core.losses.content import Content, content_loss
from nst_core.losses.gram import GramStyle
from nst_core.losses.term import PaintingPart, Part, RegionMeasures
from nst_core.losses.total_variation import TotalVariation
from nst_core.networks.extractor import Extractor
from nst_core.optimizers import OPTIMIZERS

CONTENT = "block2_conv1"
STYLE = ("block1_conv1", "block2_conv1")
TERMS = (Content(CONTENT), GramStyle(STYLE), TotalVariation())
EXTRACTOR = Extractor(STYLE)


def fitted(name):
    return Objective.of(Settings(style_loss="gram", optimizer=name)).optimizer("full")


def make_weights(content=7e-4, style=1.0, tv=10.0):
    weights = {
        "content": {"alpha": content, "subject": content},
        "style": {"beta": style, STYLE[0]: 0.3, STYLE[1]: 0.7},
        "tv": {"gamma": tv},
    }
    return tf.nest.map_structure(lambda value: tf.constant(value, tf.float32), weights)


def find_targets(terms, extractor, photo, painting):
    """The targets where one painting applies everywhere; pictures are [1, H, W, 3] tensors."""
    features = Features(extractor(photo))
    parts = [PaintingPart(extractor(painting), {}, (64, 64))]
    return Targets(
        {
            term.name: term.target(
                features, [RegionMeasures([(term.measure(iter(parts)), 1.0)], 1.0, {})]
            )
            for term in terms
        }
    )


def losses_at(terms, extractor, image, targets, weights):
    """The losses without the compiled step."""
    statistics = statistics_of(terms, Part(extractor(image), image), targets)
    return weighted_losses(terms, statistics, tf.shape(image)[1:3], targets, weights)


def to_tensor(pixels, height=None, width=None):
    return tf.constant(pixels[np.newaxis, :height, :width] / 255.0, tf.float32)


def make_problem(castle, great_wave, height=48, width=40):
    image = to_tensor(castle, height, width)
    return image, find_targets(TERMS, EXTRACTOR, image, to_tensor(great_wave))


@pytest.fixture(scope="module")
def compiled():
    EXTRACTOR.load()
    return {name: compile_step(EXTRACTOR, TERMS, fitted(name)) for name in OPTIMIZERS}


def assert_gradient_is_the_slope(state, total):
    """Along random directions: the slope of the loss is the gradient times the direction."""
    rng = np.random.default_rng(1)
    for _ in range(4):
        direction = rng.standard_normal(state.image.shape).astype(np.float32)
        direction = 0.7 * direction / np.linalg.norm(direction) + 0.3 * (
            state.gradient.numpy() / np.linalg.norm(state.gradient)
        )
        length = 3e-3
        ahead, behind = (total(state.image + sign * length * direction) for sign in (1, -1))
        expected = float(tf.reduce_sum(state.gradient * direction))
        assert (ahead - behind) / (2 * length) == pytest.approx(expected, rel=5e-3)


def moved_a_little(image):
    noise = np.random.default_rng(1).uniform(-0.05, 0.05, image.shape)
    return tf.clip_by_value(image + noise, 0.1, 0.9)


def test_projection():
    image = tf.constant([-0.5, 0.0, 0.25, 1.0, 7.0])
    np.testing.assert_array_equal(project(image), [0, 0, 0.25, 1, 1])


def test_gradient_of_the_total_against_central_differences(compiled, castle, great_wave):
    image, targets = make_problem(castle, great_wave)
    weights = make_weights()
    state = compiled["lbfgs"].start(moved_a_little(image), targets, weights)
    assert_gradient_is_the_slope(
        state, lambda at: float(losses_at(TERMS, EXTRACTOR, at, targets, weights)["total"])
    )


def test_total_is_the_weighted_sum(compiled, castle, great_wave):
    image, targets = make_problem(castle, great_wave, 32, 64)
    other = tf.reverse(image, axis=[1])
    state = compiled["adam"].start(other, targets, make_weights())
    got = {name: float(loss) for name, loss in state.losses.items()}
    content = float(content_loss(EXTRACTOR(other)[CONTENT], EXTRACTOR(image)[CONTENT]))
    assert got["content"] == pytest.approx(7e-4 * 512**2 / (32 * 64) * content, rel=1e-5)
    assert got["total"] == pytest.approx(got["content"] + got["style"] + got["tv"], rel=1e-6)
    assert list(got) == ["total", *(term.name for term in TERMS)]


def test_bfloat16_gives_the_losses_of_float32_to_one_percent(castle, great_wave):
    """Of the same picture, each against targets of its own precision."""
    found = {}
    for precision in ("float32", "bfloat16"):
        extractor, image = Extractor(STYLE, precision=precision), to_tensor(castle)
        targets = find_targets(TERMS, extractor, image, to_tensor(great_wave))
        other = tf.reverse(image, axis=[1])
        found[precision] = losses_at(TERMS, extractor, other, targets, make_weights())
    for name, exact in found["float32"].items():
        assert float(found["bfloat16"][name]) == pytest.approx(float(exact), rel=0.01), name


def test_one_trace_serves_every_shape_and_every_weight(compiled, castle, great_wave):
    functions = compiled["lbfgs"]
    for height, width in [(48, 40), (32, 64), (64, 17), (48, 40)]:
        for content, rate in [(7e-4, 1.0), (1e-2, 0.5)]:
            image, targets = make_problem(castle, great_wave, height, width)
            state = functions.start(image, targets, make_weights(content))
            for _ in range(2):
                state = functions.step(state, targets, make_weights(content), tf.constant(rate))
            assert state.image.shape == (1, height, width, 3)
    assert functions.start.experimental_get_tracing_count() == 1
    assert functions.step.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_few_steps_lower_the_loss_and_stay_in_range(name, compiled, castle, great_wave):
    image, targets = make_problem(castle, great_wave)
    state = compiled[name].start(image, targets, make_weights())
    first = float(state.losses["total"])
    rate = tf.constant(OPTIMIZERS[name].learning_rate)
    for _ in range(12):
        state = compiled[name].step(state, targets, make_weights(), rate)
    assert float(state.losses["total"]) < 0.9 * first
    assert state.finite
    assert float(tf.reduce_min(state.image)) >= 0
    assert float(tf.reduce_max(state.image)) <= 1


def test_losses_belong_to_the_image_of_the_state(compiled, castle, great_wave):
    image, targets = make_problem(castle, great_wave)
    state = compiled["adam"].start(image, targets, make_weights())
    state = compiled["adam"].step(state, targets, make_weights(), tf.constant(0.02))
    again = losses_at(TERMS, EXTRACTOR, state.image, targets, make_weights())
    for name, value in state.losses.items():
        assert float(value) == pytest.approx(float(again[name]), rel=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_told(bad, compiled, castle, great_wave):
    image, targets = make_problem(castle, great_wave)
    functions = compiled["gradient_descent"]
    state = functions.start(image, targets, make_weights())
    assert state.finite
    assert not functions.step(state, targets, make_weights(), tf.constant(bad)).finite
    assert not functions.start(image, targets, make_weights(style=bad)).finite


@pytest.mark.parametrize("terms", [(), (TotalVariation(),)], ids=["none", "tv"])
def test_terms_that_need_no_features(terms, castle):
    """Without any term nothing moves."""
    functions = compile_step(Extractor(()), terms, fitted("lbfgs"))
    targets, weights = Targets({term.name: () for term in terms}), {}
    if terms:
        weights = {"tv": {"gamma": tf.constant(1.0)}}
    state = functions.start(to_tensor(castle), targets, weights)
    after = functions.step(state, targets, weights, tf.constant(1.0))
    assert after.finite
    if terms:
        assert float(after.losses["total"]) < float(state.losses["total"])
    else:
        np.testing.assert_array_equal(after.image, state.image)


# --- A term of somebody else's ------------------------------------------------------------------


@pytest.fixture
def likeness(monkeypatch) -> None:
    """Enter the term as a style loss."""
    monkeypatch.setitem(
        STYLE_LOSSES, "likeness", StyleLoss("Likeness", lambda layers, _: Likeness(layers[-1]))
    )


def test_another_term_is_minimised_beside_ours(castle, great_wave):
    terms = (Likeness(CONTENT), TotalVariation())
    extractor = Extractor((CONTENT,))
    functions = compile_step(extractor, terms, fitted("lbfgs"))
    image = to_tensor(castle, 48, 40)
    targets = find_targets(terms, extractor, image, to_tensor(great_wave))
    weights = {"style": {"kappa": tf.constant(1e3)}, "tv": {"gamma": tf.constant(0.1)}}
    state = functions.start(moved_a_little(to_tensor(great_wave, 48, 40)), targets, weights)
    # 1 - cosine of what is the same, and of what is not.
    same = functions.start(image, targets, weights)
    assert float(same.losses["style"]) == pytest.approx(0, abs=0.5)
    assert float(state.losses["style"]) > 100
    assert_gradient_is_the_slope(
        state, lambda at: float(losses_at(terms, extractor, at, targets, weights)["total"])
    )
    for _ in range(10):
        after = functions.step(state, targets, weights, tf.constant(1.0))
        assert after.finite
        first, state = state, after
    assert float(state.losses["style"]) < float(first.losses["style"])


def test_the_other_terms_target_can_be_cut(castle):
    term, extractor = Likeness(CONTENT), Extractor((CONTENT,))
    target = term.target(extractor(to_tensor(castle)), [])
    box = slice(3, 9), slice(10, 31)
    cut = term.part_of_target(target, {CONTENT: box}.__getitem__)
    np.testing.assert_array_equal(cut, target[:, 3:9, 10:31])


def test_a_run_with_another_style_loss(likeness, castle, great_wave):
    settings = Settings(
        size=64,
        steps=3,
        init="grey",
        precision="float32",
        style_loss="likeness",
        style_layers={CONTENT: 1},
        style_weight=1e4,
        content_weight=0,
        tv_weight=0,
        frame_interval=0,
    )
    frame = stylize(castle, great_wave, settings)
    assert frame.done
    assert 0 < frame.losses["style"] == frame.losses["total"] < 1e4
    assert frame.losses["content"] == frame.losses["tv"] == 0
