"""The Wasserstein-2 style loss: the distance against SciPy, its gradient, and whole runs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf

from nst_core import Engine, Settings, Style, stylize
from nst_core.losses.guides import make_guide
from nst_core.losses.term import PaintingPart, Part, RegionMeasures
from nst_core.losses.wasserstein import SCALE, Moments, WassersteinStyle, wasserstein_distance
from nst_core.pictures.images import Picture
from nst_core.pictures.regions import everywhere

LAYER = "block1_conv1"
TERM = WassersteinStyle((LAYER,))
CHEAP = Settings(
    style_loss="wasserstein",
    style_layers={"block1_conv1": 0.5, "block2_conv1": 0.5},
    content_layer="block2_conv2",
    size=64,
    steps=3,
    precision="float32",
)


@pytest.fixture
def features(rng):
    """Features of picture and painting with correlated channels, float32 [1, H, W, 8]."""
    mix = rng.standard_normal((8, 8))
    picture = rng.standard_normal((1, 9, 7, 8)) @ mix + rng.standard_normal(8)
    painting = (rng.standard_normal((1, 6, 11, 8)) * 2 + 1) @ mix.T
    return picture.astype(np.float32), painting.astype(np.float32)


def moments(features, weights=None):
    """Mean and second moment in float64, with weights of the positions."""
    flat = features.reshape(-1, features.shape[-1]).astype(np.float64)
    weights = np.ones(len(flat)) if weights is None else weights.reshape(-1).astype(np.float64)
    weights = weights / weights.sum()
    return weights @ flat, (flat * weights[:, np.newaxis]).T @ flat


def scipys_distance(picture, painting):
    """The formula worked by SciPy's matrix root, per channel; arguments are moments."""
    (mean_s, second_s), (mean_t, second_t) = picture, painting
    s, t = second_s - np.outer(mean_s, mean_s), second_t - np.outer(mean_t, mean_t)
    root = scipy.linalg.sqrtm(t)
    cross = scipy.linalg.sqrtm(root @ s @ root).real
    return (((mean_s - mean_t) ** 2).sum() + np.trace(s + t - 2 * cross)) / len(mean_s)


def target_of(painting, guides=None):
    parts = iter([PaintingPart({LAYER: tf.constant(painting)}, guides or {}, (64, 64))])
    return TERM.target({}, [RegionMeasures([(TERM.measure(parts), 1.0)], 1.0, {})])


def loss_of(picture, target):
    found = TERM.statistics(Part({LAYER: tf.constant(picture)}), target)
    weights = {"beta": tf.constant(1.0), LAYER: tf.constant(1.0)}
    return float(TERM.loss(found, target, weights, tf.constant(16.0)))


def test_the_distance_is_scipys(features):
    picture, painting = features
    expected = SCALE * scipys_distance(moments(picture), moments(painting))
    assert loss_of(picture, target_of(painting)) == pytest.approx(expected, rel=1e-4)


def test_of_one_dimension_it_is_known_in_closed_form():
    """(mu - nu)^2 + (sigma - tau)^2."""
    first, second = tf.constant([3.0]), tf.constant([[3.0**2 + 0.5**2]])
    (target,) = target_of(np.float32([[[[1.0], [5.0]]]]))  # mean 3, deviation 2
    target = target.layers[LAYER]._replace(mean=tf.constant([1.0]))
    found = float(wasserstein_distance(Moments(first, second), target))
    assert found == pytest.approx((3 - 1) ** 2 + (0.5 - 2) ** 2, rel=1e-4)


def test_a_picture_with_the_paintings_moments_has_no_loss(features, rng):
    _, painting = features
    flat = painting.reshape(-1, 8)
    shuffled = flat[rng.permutation(len(flat))].reshape(1, 11, 6, 8)
    other = loss_of(features[0], target_of(painting))
    assert loss_of(shuffled, target_of(painting)) < 1e-3 * other


def test_fewer_positions_than_channels_give_no_nan(rng):
    """A covariance without full rank, as in the deep layers of small pictures."""
    picture, painting = rng.standard_normal((2, 1, 1, 3, 8)).astype(np.float32)
    expected = SCALE * scipys_distance(moments(picture), moments(painting))
    assert loss_of(picture, target_of(painting)) == pytest.approx(expected, rel=0.02)
    flat = np.ones([1, 2, 2, 8], np.float32)
    assert loss_of(flat, target_of(flat)) == pytest.approx(0, abs=1e-2)


def test_guides_weigh_mean_and_covariance(features, rng):
    picture, painting = features
    mask = rng.random((1, 6, 11, 1)).astype(np.float32)
    target = target_of(painting, {LAYER: make_guide(mask)})
    expected = SCALE * scipys_distance(moments(picture), moments(painting, mask))
    assert loss_of(picture, target) == pytest.approx(expected, rel=1e-3)


def test_paintings_are_mixed_by_their_moments(features):
    picture, painting = features
    measured = [
        (TERM.measure(iter([PaintingPart({LAYER: tf.constant(one)}, {}, (64, 64))])), share)
        for one, share in ((picture, 0.25), (painting, 0.75))
    ]
    target = TERM.target({}, [RegionMeasures(measured, 1.0, {})])
    mixed = [0.25 * a + 0.75 * b for a, b in zip(moments(picture), moments(painting), strict=True)]
    expected = SCALE * scipys_distance(moments(picture), mixed)
    assert loss_of(picture, target) == pytest.approx(expected, rel=1e-3)


def test_the_gradient_against_central_differences(castle, great_wave):
    photo, painting = (
        Picture(pixels[np.newaxis, :48, :56].astype(np.float32) / 255)
        for pixels in (castle, great_wave)
    )
    engine = Engine(CHEAP)
    problem = engine.problem(photo.rgb, everywhere(painting))
    rng = np.random.default_rng(3)
    at = np.clip(photo.rgb + rng.uniform(-0.1, 0.1, photo.rgb.shape), 0.1, 0.9).astype(np.float32)
    gradient = engine.start(at, problem).gradient.numpy()
    for _ in range(3):
        direction = rng.standard_normal(at.shape)
        direction = 0.5 * direction / np.linalg.norm(direction)
        direction = (direction + 0.5 * gradient / np.linalg.norm(gradient)).astype(np.float32)
        up, down = (
            float(engine.start(at + sign * 3e-2 * direction, problem).losses["total"])
            for sign in (1, -1)
        )
        # The loss is a small difference of large traces, so shorter moves drown in its rounding.
        assert (up - down) / 6e-2 == pytest.approx((gradient * direction).sum(), rel=1e-2)


def test_a_run_comes_near_to_the_painting(castle, great_wave):
    alone = CHEAP.to_dict() | {"content_weight": 0.0}
    first, last = (
        stylize(castle, great_wave, Settings(**alone | {"steps": steps})).losses["style"]
        for steps in (1, 12)
    )
    assert last < 0.5 * first


def test_regions_mixing_and_tiles(castle, great_wave):
    """In tiles and with masks, the losses and the picture are the whole's."""
    mask = np.zeros([16, 24], np.uint8)
    mask[:, :12] = 255
    styles = [Style(great_wave, 2.0, mask=mask), Style(castle[::-1], 1.0), Style(great_wave, 1.0)]
    whole, tiled = (
        stylize(
            castle,
            styles,
            Settings(**CHEAP.to_dict() | {"size": 160, "enlarge": True, "tile": tile}),
        )
        for tile in (None, 128)
    )
    assert whole.losses["style"] > 0
    assert tiled.losses == pytest.approx(whole.losses, rel=1e-3)
    assert np.abs(whole.image.astype(int) - tiled.image).mean() < 0.2
