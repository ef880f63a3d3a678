"""The step in tiles: nothing differs from the step on the whole."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from conftest import Features

from nst_core import Engine, Settings, Style, stylize
from nst_core.engine import tiles
from nst_core.engine.objective import Objective
from nst_core.engine.step import Kept, Targets, compile_step
from nst_core.engine.tiled_step import compile_tiled_step
from nst_core.losses.guides import make_guide
from nst_core.losses.term import PaintingPart, RegionMeasures
from nst_core.networks.vgg import VGG16
from nst_core.pictures import images
from nst_core.pictures.images import Picture
from nst_core.pictures.regions import everywhere

CONTENT, STYLE = "block4_conv2", ("block1_conv1", "block3_conv1", "block5_conv1")
SETTINGS = Settings(
    style_loss="gram", content_layer=CONTENT, style_layers=dict.fromkeys(STYLE, 0.2)
)
OBJECTIVE = Objective.of(SETTINGS)
EXTRACTOR = OBJECTIVE.extractor("float32")
SIDE = 48  # of the tiles
WEIGHTS = {
    term.name: {name: tf.constant(value) for name, value in term.weights(SETTINGS).items()}
    for term in OBJECTIVE.terms
}


def noisy(rng, height, width, octaves=4):
    """A picture with structure at several sizes, float32 [1, H, W, 3] in [0, 1]."""
    parts = [
        rng.random((1, *(-(-side >> k) or 1 for side in (height, width)), 3))
        for k in range(octaves)
    ]
    return np.mean([tf.image.resize(part, [height, width]) for part in parts], axis=0).astype("f")


def relative(found, expected):
    return float(tf.norm(found - expected) / tf.norm(expected))


# --- The gradient -------------------------------------------------------------------------------


def targets_for(rng, height, width, regions):
    """Random paintings, and half of the picture for each of two `regions`."""
    photo, painting = noisy(rng, height, width), noisy(rng, 60, 75)
    features = EXTRACTOR(tf.constant(photo))
    paintings = [
        PaintingPart(EXTRACTOR(tf.constant(painting * share)), {}, (64, 64)) for share in (1.0, 0.5)
    ]
    places, kept = [None], ()
    if regions:
        place = np.zeros([1, height, width, 1], "f")
        place[:, : height // 2, width // 3 :] = 1
        places = [place, (1 - place) * np.linspace(0, 1, width, dtype="f")[:, None]]
        mask = np.zeros_like(place)
        mask[:, -20:, :30] = 0.7
        kept = Kept(tf.constant(photo), tf.constant(mask))
    targets = {}
    for term in OBJECTIVE.terms:
        measures = [term.measure(iter([part])) for part in paintings]
        found = []
        for measured, place in zip(measures, places, strict=False):
            share, guides = 1.0, {}
            if place is not None:
                share, at_layers = float(place.mean()), VGG16.at_layers(place, STYLE)
                guides = {layer: make_guide(there) for layer, there in at_layers.items()}
            found.append(RegionMeasures([(measured, 1.0)], share, guides))
        targets[term.name] = term.target(Features(features), found)
    return Targets(targets, kept)


@pytest.fixture(scope="module")
def compiled():
    """The step on the whole and in tiles, for no and for two regions."""
    EXTRACTOR.load()
    choices = EXTRACTOR, OBJECTIVE.terms, OBJECTIVE.optimizer("full")
    return {
        regions: (
            compile_step(*choices, regions=regions),
            compile_tiled_step(*choices, regions=regions, side=SIDE),
        )
        for regions in (0, 2)
    }


@pytest.mark.parametrize(
    ("shape", "regions", "max_kept"),
    [
        ((50, 70), 0, 0),
        ((50, 70), 0, tiles.MAX_KEPT),
        ((50, 70), 2, 0),
        ((50, 70), 2, tiles.MAX_KEPT),
        ((90, 30), 2, tiles.MAX_KEPT),
    ],
)
def test_the_gradient_is_the_wholes(shape, regions, max_kept, compiled, rng, monkeypatch):
    """To 1e-4, in float32: sides that the tiles do not divide, kept activations and new ones."""
    monkeypatch.setattr(tiles, "MAX_KEPT", max_kept)
    targets = targets_for(rng, *shape, regions)
    image = tf.constant(noisy(rng, *shape))
    expected, found = (one.start(image, targets, WEIGHTS) for one in compiled[regions])
    assert relative(found.gradient, expected.gradient) < 1e-4
    for name, loss in expected.losses.items():
        assert float(found.losses[name]) == pytest.approx(float(loss), rel=1e-5), name


def test_the_gradient_does_not_jump_where_tiles_meet(compiled, rng):
    """Its error there is no larger than elsewhere: no seams."""
    targets, image = targets_for(rng, 50, 70, 0), tf.constant(noisy(rng, 50, 70))
    whole, tiled = (one.start(image, targets, WEIGHTS).gradient for one in compiled[0])
    error = np.abs(tiled - whole)[0].sum(axis=-1)
    border, padding = np.zeros(error.shape, bool), VGG16.padding
    for tile in tiles.split(50 + 2 * padding, 70 + 2 * padding, SIDE, VGG16, EXTRACTOR.layers):
        for axis, span in enumerate((tile.rows, tile.columns)):
            at = span.start - padding
            if at > 0:
                np.moveaxis(border, axis, 0)[at - 1 : at + 1] = True
    assert 0.05 < border.mean() < 0.2
    assert error[border].mean() < 3 * error[~border].mean()


def test_a_gradient_of_nan_is_noticed(compiled, rng):
    targets, image = targets_for(rng, 50, 40, 0), tf.constant(noisy(rng, 50, 40))
    _, tiled = compiled[0]
    state = tiled.start(image, targets, WEIGHTS)
    assert state.finite
    state = state._replace(gradient=state.gradient * np.nan)
    assert not tiled.step(state, targets, WEIGHTS, tf.constant(1.0)).finite


@pytest.mark.parametrize(
    "changes",
    [
        {"content_weight": 0, "style_weight": 0},  # no layers
        {"content_weight": 0, "style_weight": 0, "tv_weight": 0},  # no terms
    ],
    ids=["tv", "nothing"],
)
def test_terms_without_weight_are_left_out_in_tiles_too(changes, rng):
    photo, painting = noisy(rng, 70, 52), Picture(noisy(rng, 40, 40))
    states = []
    for tile in (None, 32):
        engine = Engine(Settings(style_loss="gram", **changes), tile=tile)
        problem = engine.problem(photo, everywhere(painting))
        states.append(engine.step(engine.start(0.5 * photo, problem), problem))
    whole, tiled = states
    assert bool(tiled.finite)
    np.testing.assert_allclose(tiled.image, whole.image, atol=1e-5)
    assert set(tiled.losses) == set(whole.losses)


# --- Many steps ---------------------------------------------------------------------------------


SHALLOW = {
    "content_layer": "block2_conv2",
    "style_layers": {"block1_conv1": 0.5, "block2_conv1": 0.25},
    "precision": "float32",
}


def steps_from(start, photo, painting, tile):
    """The states of 60 steps, the first one before them."""
    engine = Engine(Settings(style_loss="gram", **SHALLOW), "float32", tile, "full")
    problem = engine.problem(photo, everywhere(painting))
    states = [engine.start(start, problem)]
    for _ in range(60):
        states.append(engine.step(states[-1], problem))
    return states


def grey_levels(one, other):
    """The mean difference of two states' pictures."""
    return float(tf.reduce_mean(tf.abs(one.image - other.image))) * 255


def test_many_steps_go_where_the_wholes_go(castle, great_wave):
    """As far as any two runs do that are rounded otherwise.

    Up to rounding the gradients are equal, and so are ten steps. From there on L-BFGS multiplies
    the difference, as it does for two runs on the whole whose first pictures differ by a millionth:
    0.2 to 0.5 grey levels after 60 steps.
    """
    photo, painting = images.load(castle[:48]).rgb, images.load(great_wave, 96)
    whole, tiled = (steps_from(photo, photo, painting, tile) for tile in (None, 56))
    assert tiled[-1].finite
    assert float(whole[-1].losses["style"]) < 0.6 * float(whole[0].losses["style"])
    # Seen were 0.0001 grey levels and 1e-6 of a loss after 10 steps, 0.2 and 0.5 % after 60.
    for step, levels, tolerance in [(10, 0.02, 1e-4), (60, 1.0, 0.02)]:
        assert grey_levels(tiled[step], whole[step]) < levels
        for name, loss in whole[step].losses.items():
            found = float(tiled[step].losses[name])
            assert found == pytest.approx(float(loss), rel=tolerance), name


def test_a_run_in_tiles_paints_the_same_picture(castle_512, great_wave):
    """With a mask, and a mix of paintings where it is not."""
    mask = np.zeros([40, 60], np.uint8)
    mask[:, :30] = 255
    styles = [Style(great_wave, mask=mask), Style(castle_512[::-1], 2), Style(great_wave[::-1])]
    chosen = {"size": 160, "steps": 2, "init": "content", **SHALLOW}
    whole = stylize(castle_512, styles, Settings(style_loss="gram", **chosen))
    tiled = stylize(castle_512, styles, Settings(style_loss="gram", **chosen, tile=128))
    assert tiled.plan.tile == 128
    difference = np.abs(whole.image.astype(int) - tiled.image)
    assert difference.mean() < 0.05
    assert tiled.losses["total"] == pytest.approx(whole.losses["total"], rel=1e-3)
