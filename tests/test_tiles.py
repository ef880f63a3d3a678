"""Where the tiles of a picture are, and the features that are computed in them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_core import Engine, Settings
from nst_core.engine import tiles
from nst_core.engine.objective import Objective
from nst_core.losses.gram import GramStyle, gram_matrix
from nst_core.losses.guides import guided, make_guide
from nst_core.networks.vgg import VGG16
from nst_core.pictures.images import Picture

CONTENT, STYLE = "block4_conv2", ("block1_conv1", "block3_conv1", "block5_conv1")
SETTINGS = Settings(
    style_loss="gram", content_layer=CONTENT, style_layers=dict.fromkeys(STYLE, 0.2)
)

# --- Where the tiles are ------------------------------------------------------------------------

SIDES, LAYERS = st.integers(33, 900), st.sampled_from(VGG16.names)


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(16, 700), LAYERS)
def test_every_position_belongs_to_one_tile(height, width, side, deepest):
    found = tiles.split(height, width, side, VGG16, (VGG16.names[0], deepest))
    for stride in {1, VGG16[deepest].stride}:
        counts = np.zeros([height // stride, width // stride], int)
        for tile in found:
            counts[tile.own(stride)] += 1
        assert (counts == 1).all()


@settings(deadline=None)
@given(SIDES, st.integers(16, 700), LAYERS)
def test_a_tile_sees_all_that_its_positions_do(length, side, deepest):
    halo = VGG16[deepest].halo
    for span in {tile.rows for tile in tiles.split(length, 40, side, VGG16, (deepest,))}:
        assert span.seen_from % 16 == 0
        assert span.seen_from <= max(0, span.start - halo)
        assert span.seen_to >= min(length, span.stop + halo)
        assert span.stop - span.start <= max(16, -(-side // 16) * 16)


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(16, 700), LAYERS)
def test_no_tile_has_more_pixels_than_the_forecast_says(height, width, side, deepest):
    found = tiles.split(height, width, side, VGG16, (deepest,))
    assert max(tile.pixels for tile in found) <= tiles.largest(side, VGG16, (deepest,))


# --- Features -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "side"), [((50, 70), 48), ((41, 40), 32), ((60, 50), 400)])
def test_features_and_measures_are_the_wholes(shape, side, rng):
    """A painting's are measured tile by tile, with what is transparent of it."""
    extractor = Objective.of(SETTINGS).extractor("float32")
    image = rng.random([1, *shape, 3], dtype=np.float32)
    whole = extractor(tf.constant(image))
    found = tiles.features_of(extractor, image, side)
    assert list(found) == list(whole)
    for layer, features in found.items():
        np.testing.assert_allclose(features, whole[layer], rtol=1e-4, atol=1e-2)
    alpha = np.zeros(shape, np.uint8)
    alpha[20:70, 5:33] = 255
    mask = alpha[np.newaxis, :, :, np.newaxis] / np.float32(255)
    guides = {layer: make_guide(part) for layer, part in VGG16.at_layers(mask, STYLE).items()}
    engine, term = Engine(SETTINGS), GramStyle(STYLE)
    plain = engine.measure(Picture(image), term, side)
    masked = engine.measure(Picture(image, alpha), term, side)
    for layer in STYLE:
        expected = gram_matrix(whole[layer]), gram_matrix(guided(whole[layer], guides[layer]))
        for gram, other in zip((plain[layer], masked[layer]), expected, strict=True):
            assert float(tf.norm(gram - other)) < 1e-5 * float(tf.norm(other))
