"""The first guess of the inverse Hessian: what a map of pictures must be to stand in for one."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from nst_core.engine.first_guess import LEVELS, first_guess_for, over_scales
from nst_core.networks import NETWORKS


@pytest.mark.parametrize(("height", "width"), [(16, 32), (7, 13), (1, 5)])
def test_over_scales_is_symmetric_and_positive(height, width, rng):
    """At odd sizes, too; and it makes nothing smaller."""
    a, b = (rng.standard_normal((1, height, width, 3)).astype(np.float32) for _ in range(2))
    pa, pb = (over_scales(x, LEVELS).numpy() for x in (a, b))
    tolerance = 1e-4 * np.linalg.norm(a) * np.linalg.norm(pb)
    np.testing.assert_allclose(np.sum(a * pb), np.sum(pa * b), rtol=0, atol=tolerance)
    assert np.sum(a * pa) >= np.sum(a * a)


def test_over_scales_adds_up_the_levels_of_what_is_large_and_leaves_what_is_small():
    flat = np.full((1, 128, 128, 3), 0.25, np.float32)
    inside = (slice(None), slice(48, 80), slice(48, 80))
    np.testing.assert_allclose(over_scales(flat, 3).numpy()[inside], 4 * 0.25, rtol=1e-5)
    checkers = 0.25 * (-1.0) ** np.add.outer(np.arange(128), np.arange(128))
    checkers = np.float32(np.broadcast_to(checkers[np.newaxis, :, :, np.newaxis], flat.shape))
    np.testing.assert_allclose(
        over_scales(checkers, 3).numpy()[inside], checkers[inside], atol=1e-6
    )


@pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))
def test_the_first_guess_is_symmetric_and_positive(network, rng):
    first_guess = first_guess_for(network)
    a, b = (rng.standard_normal((1, 19, 34, 3)).astype(np.float32) for _ in range(2))
    pa, pb = (first_guess(tf.constant(x)).numpy() for x in (a, b))
    tolerance = 1e-4 * np.linalg.norm(a) * np.linalg.norm(pb)
    np.testing.assert_allclose(np.sum(a * pb), np.sum(pa * b), rtol=0, atol=tolerance)
    assert np.sum(a * pa) > 0


def test_the_first_guess_moves_less_what_the_network_sees_more_often():
    """Of a checkerboard, which has no scales: a half at the borders, a quarter in the corners."""
    network = NETWORKS["vgg16"]
    checkers = (-1.0) ** np.add.outer(np.arange(96), np.arange(96))
    checkers = np.float32(np.broadcast_to(checkers[np.newaxis, :, :, np.newaxis], [1, 96, 96, 3]))
    ratio = (first_guess_for(network)(tf.constant(checkers)).numpy() / checkers)[0, ..., 0]
    middle, border = 48, network.padding // 2
    assert ratio[middle, middle] == pytest.approx(1, abs=1e-5)
    assert ratio[border, middle] == pytest.approx(1 / 2, abs=0.01)
    assert ratio[border, border] == pytest.approx(1 / 4, abs=0.01)
