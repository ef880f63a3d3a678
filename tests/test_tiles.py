"""The step in tiles: where the tiles are, and that nothing differs from the step on the whole."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_core import Settings, Style, step, stylize, tiles
from nst_core.features import LAYERS, Extractor, at_layers, reach, stride
from nst_core.losses import gram_matrix, guided, make_guide
from nst_core.step import OPTIMIZERS, Kept, StyleTargets, Targets, Weights

CONTENT, STYLE = "block4_conv2", ("block1_conv1", "block3_conv1", "block5_conv1")
EXTRACTOR = Extractor(tuple(sorted({CONTENT, *STYLE})))
WEIGHTS = Weights(
    *map(tf.constant, (7e-4, 1.0, 100.0)), {layer: tf.constant(0.2) for layer in STYLE}
)


def noisy(rng, height, width, octaves=4):
    """A picture with structure at several sizes, float32 [1, H, W, 3] in [0, 1]."""
    parts = [
        rng.random((1, *(-(-side >> k) or 1 for side in (height, width)), 3))
        for k in range(octaves)
    ]
    return np.mean([tf.image.resize(part, [height, width]) for part in parts], axis=0).astype("f")


def relative(found, expected):
    return float(tf.norm(found - expected) / tf.norm(expected))


# --- Where the tiles are ------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(33, 900), st.integers(33, 900), st.integers(16, 700), st.sampled_from(LAYERS))
def test_every_position_belongs_to_one_tile(height, width, side, deepest):
    found = tiles.split(height, width, side, (LAYERS[0], deepest))
    for step_ in {stride(LAYERS[0]), stride(deepest)}:
        counts = np.zeros([height // step_, width // step_], int)
        for tile in found:
            counts[tile.own(step_)] += 1
        assert (counts == 1).all()


@settings(deadline=None)
@given(st.integers(33, 900), st.integers(16, 700), st.sampled_from(LAYERS))
def test_a_tile_sees_all_that_its_positions_do(length, side, deepest):
    for span in {tile.rows for tile in tiles.split(length, 40, side, (deepest,))}:
        assert span.seen_from % 16 == 0
        assert span.seen_from <= max(0, span.start - reach(deepest))
        assert span.seen_to >= min(length, span.stop + reach(deepest))
        assert span.stop - span.start <= max(16, -(-side // 16) * 16)


@pytest.mark.parametrize("layer", ["block1_conv2", "block2_conv1", "block3_conv3", "block5_conv1"])
def test_reach_is_how_far_a_change_spreads(layer, rng):
    """A pixel changes just the positions that see it, by the real network."""
    image = tf.constant(noisy(rng, 288, 288))
    spot = np.zeros([1, 288, 288, 3], "f")
    spot[0, 144, 144] = 1
    extractor = Extractor((layer,), pooling="average")
    before, after = (extractor.of_continued(x)[layer] for x in (image, image + spot))
    changed = np.flatnonzero(np.any(before != after, axis=(0, 2, 3)))
    step_ = stride(layer)
    assert changed.min() * step_ + step_ - 1 + reach(layer) >= 144
    assert changed.max() * step_ - reach(layer) <= 144
    assert changed.min() * step_ - step_ - reach(layer) <= 144 - reach(layer)  # it is no farther


# --- Features -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "side"), [((90, 131), 48), ((64, 64), 16), ((97, 50), 400)])
def test_features_and_gram_matrices_are_the_wholes(shape, side, rng):
    image = noisy(rng, *shape)
    whole = EXTRACTOR(tf.constant(image))
    np.testing.assert_allclose(
        tiles.features_of(EXTRACTOR, image, CONTENT, side), whole[CONTENT], rtol=1e-4, atol=1e-2
    )
    place = np.zeros([1, *shape, 1], "f")
    place[:, 20:70, 5:33] = 1
    guides = {layer: make_guide(part) for layer, part in at_layers(place, STYLE).items()}
    plain = tiles.gram_matrices(EXTRACTOR, image, STYLE, {}, side)
    masked = tiles.gram_matrices(EXTRACTOR, image, STYLE, guides, side)
    for layer in STYLE:
        assert relative(plain[layer], gram_matrix(whole[layer])) < 1e-5
        assert relative(masked[layer], gram_matrix(guided(whole[layer], guides[layer]))) < 1e-5


# --- The gradient -------------------------------------------------------------------------------


def targets_for(rng, height, width, regions):
    """Random paintings' Gram matrices, and half of the picture for each of two `regions`."""
    photo, painting = noisy(rng, height, width), noisy(rng, 60, 75)
    content = EXTRACTOR(tf.constant(photo))[CONTENT]
    grams = [
        tiles.gram_matrices(EXTRACTOR, painting * share, STYLE, {}, None) for share in (1.0, 0.5)
    ]
    if not regions:
        return Targets(content, (StyleTargets(grams[0], tf.constant(1.0), {}),))
    place = np.zeros([1, height, width, 1], "f")
    place[:, : height // 2, width // 3 :] = 1
    places = [place, (1 - place) * np.linspace(0, 1, width, dtype="f")[:, None]]
    styles = tuple(
        StyleTargets(
            gram,
            tf.constant(part.mean()),
            {layer: make_guide(there) for layer, there in at_layers(part, STYLE).items()},
        )
        for gram, part in zip(grams, places, strict=True)
    )
    kept = np.zeros_like(place)
    kept[:, -20:, :30] = 0.7
    return Targets(content, styles, Kept(tf.constant(photo), tf.constant(kept)))


@pytest.fixture(scope="module")
def compiled():
    """The step on the whole, and in tiles of two sides, for no and for two regions."""
    choices = EXTRACTOR, CONTENT, STYLE, OPTIMIZERS["lbfgs"]
    return {
        regions: (
            step.compile_step(*choices, regions=regions),
            [tiles.compile_step(*choices, regions=regions, side=side) for side in (48, 112)],
        )
        for regions in (0, 2)
    }


@pytest.mark.parametrize("most_kept", [0, tiles.MOST_KEPT])
@pytest.mark.parametrize("regions", [0, 2])
@pytest.mark.parametrize("shape", [(131, 203), (96, 64)])
def test_the_gradient_is_the_wholes(shape, regions, most_kept, compiled, rng, monkeypatch):
    """To 1e-3, in float32: sides that the tiles do not divide, kept activations and new ones."""
    monkeypatch.setattr(tiles, "MOST_KEPT", most_kept)
    targets = targets_for(rng, *shape, regions)
    image = tf.constant(noisy(rng, *shape))
    whole, tiled = compiled[regions]
    expected = whole.start(image, targets, WEIGHTS)
    for one in tiled:
        found = one.start(image, targets, WEIGHTS)
        assert relative(found.gradient, expected.gradient) < 1e-4
        for name, loss in expected.losses.items():
            assert float(found.losses[name]) == pytest.approx(float(loss), rel=1e-5), name


def test_the_gradient_does_not_jump_where_tiles_meet(compiled, rng):
    """Its error there is no larger than elsewhere: no seams."""
    targets, image = targets_for(rng, 176, 240, 0), tf.constant(noisy(rng, 176, 240))
    whole, (tiled, _) = compiled[0]
    expected = whole.start(image, targets, WEIGHTS).gradient
    error = np.abs(tiled.start(image, targets, WEIGHTS).gradient - expected)[0].sum(axis=-1)
    border = np.zeros(error.shape, bool)
    for tile in tiles.split(192, 256, 48, EXTRACTOR.layers):
        for axis, span in enumerate((tile.rows, tile.columns)):
            at = span.start - 8  # without the margin
            if at > 0:
                np.moveaxis(border, axis, 0)[at - 1 : at + 1] = True
    assert error[border].mean() < 3 * error[~border].mean()


def test_steps_go_where_the_wholes_go(compiled, rng):
    targets, image = targets_for(rng, 100, 130, 0), tf.constant(noisy(rng, 100, 130))
    states = []
    for one in (compiled[0][0], compiled[0][1][1]):
        state = one.start(image, targets, WEIGHTS)
        for _ in range(4):
            state = one.step(state, targets, WEIGHTS, tf.constant(1.0))
        states.append(state)
    assert bool(states[1].finite)
    np.testing.assert_allclose(states[0].image, states[1].image, atol=2e-3)


def test_a_gradient_of_nan_is_noticed(compiled, rng):
    targets, image = targets_for(rng, 64, 80, 0), tf.constant(noisy(rng, 64, 80))
    state = compiled[0][1][0].start(image, targets, WEIGHTS)
    state = state._replace(gradient=state.gradient * np.nan)
    assert not compiled[0][1][0].step(state, targets, WEIGHTS, tf.constant(1.0)).finite


# --- Whole runs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mix", "masks"])
def test_a_run_in_tiles_paints_the_same_picture(kind, castle_512, great_wave):
    mask = np.zeros([40, 60], np.uint8)
    mask[:, :30] = 255
    styles = {
        "mix": [(great_wave, 2.0), (castle_512[::-1], 1.0)],
        "masks": [Style(great_wave, mask=mask), Style(castle_512[::-1])],
    }[kind]
    chosen = {"size": 320, "steps": 2, "init": "content", "precision": "float32"}
    whole = stylize(castle_512, styles, Settings(**chosen))
    tiled = stylize(castle_512, styles, Settings(**chosen, tile=192))
    difference = np.abs(whole.image.astype(int) - tiled.image)
    assert difference.mean() < 0.05
    assert tiled.losses["total"] == pytest.approx(whole.losses["total"], rel=1e-3)
