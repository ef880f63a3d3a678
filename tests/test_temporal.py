"""The temporal term: its value against NumPy, its gradient against differences, in the engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from nst_core import Engine, Settings
from nst_core.engine.objective import Objective
from nst_core.losses import make_terms
from nst_core.losses.temporal import SCALE, Temporal, temporal_loss
from nst_core.losses.term import Before, Part
from nst_core.pictures.images import Picture
from nst_core.pictures.regions import everywhere

SETTINGS = Settings(
    style_loss="gram",
    precision="float32",
    content_layer="block1_conv1",
    style_layers={"block1_conv1": 1.0},
)


@pytest.fixture
def case(rng) -> tuple[np.ndarray, Before]:
    picture, before = rng.random([2, 1, 6, 8, 3]).astype(np.float32)
    return picture, Before(before, (rng.random([1, 6, 8, 1]) > 0.4).astype(np.float32))


def loss(picture: np.ndarray, before: Before) -> float:
    term, area = Temporal(), tf.constant(float(picture.shape[1] * picture.shape[2]))
    weights = {name: tf.constant(weight) for name, weight in term.weights(SETTINGS).items()}
    sums = term.statistics(Part({}, tf.constant(picture)), before)
    return float(term.loss(sums, before, weights, area))


def test_the_value_is_that_of_the_equation(case):
    picture, before = case
    by_hand = np.sum(before.known * np.square(picture - before.picture)) / picture.size
    assert loss(picture, before) == pytest.approx(SCALE * by_hand, rel=1e-5)
    assert loss(before.picture, before) == 0
    nothing = before._replace(known=np.zeros_like(before.known))
    assert loss(picture, nothing) == 0


def test_the_gradient_agrees_with_differences(case):
    picture, before = case
    image = tf.constant(picture)
    with tf.GradientTape() as tape:
        tape.watch(image)
        value = temporal_loss(image, tf.constant(before.picture), tf.constant(before.known))
    gradient = tape.gradient(value, image).numpy()
    for place in [(0, 1, 2, 0), (0, 5, 7, 2), (0, 3, 3, 1)]:
        step = np.zeros_like(picture, np.float64)
        step[place] = 1e-3

        def at(x: np.ndarray) -> float:
            return float(np.sum(before.known * np.square(x - before.picture)))

        difference = (at(picture + step) - at(picture - step)) / 2e-3
        assert gradient[place] == pytest.approx(difference, rel=1e-4, abs=1e-6)


def test_only_frames_of_a_film_have_the_term():
    assert "temporal" not in [term.name for term in make_terms(SETTINGS)]
    assert make_terms(SETTINGS, follows=True)[-1] == Temporal()
    assert Objective.of(SETTINGS, follows=True) != Objective.of(SETTINGS)


def test_the_engine_holds_a_picture_where_it_is_known(castle, great_wave):
    photo, painting = (np.float32(pixels[np.newaxis]) / 255 for pixels in (castle, great_wave))
    known = np.zeros([1, *castle.shape[:2], 1], np.float32)
    known[:, :, :48] = 1
    engine = Engine(replace(SETTINGS, content_weight=1e-6), follows=True)
    before = Before(photo, known)
    problem = engine.problem(photo, everywhere(Picture(painting)), before=before)
    state = engine.start(photo, problem)
    for _ in range(6):
        state = engine.step(state, problem)
    moved = np.square(state.image.numpy() - photo)
    assert moved[:, :, :40].mean() < moved[:, :, 56:].mean() / 20
    assert float(state.losses["temporal"]) > 0


def test_without_a_frame_before_nothing_is_held(castle):
    photo = np.float32(castle[np.newaxis]) / 255
    engine = Engine(SETTINGS, follows=True)
    problem = engine.problem(photo, everywhere(Picture(photo)))
    assert float(engine.start(np.zeros_like(photo), problem).losses["temporal"]) == 0
