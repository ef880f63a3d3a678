"""The style loss of nearest features: both terms against NumPy, their gradients, whole runs."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from conftest import example

from nst_core import Engine, Settings, StopToken, Style, stylize
from nst_core.losses import NEAREST_LAYERS, hypercolumns, make_terms, matching, nearest
from nst_core.losses.guides import make_guide
from nst_core.losses.hypercolumns import HypercolumnStyle
from nst_core.losses.nearest import (
    SCALE,
    NearestStyle,
    painting_spacing,
    picture_spacing,
    spacing_of,
)
from nst_core.losses.term import PaintingPart, Part, RegionMeasures
from nst_core.networks import NETWORKS
from nst_core.pictures import images
from nst_core.pictures.images import LUMA
from nst_core.pictures.regions import Layout, Region, everywhere
from nst_core.stop import StoppedError

VGG16 = NETWORKS["vgg16"]
LAYERS = ("block1_conv2", "block3_conv1", "block4_conv1")
SIDES = 24, 40  # of the picture in pixels
THREE_LAYERS = Settings(
    style_loss="nearest",
    style_layers=dict.fromkeys(LAYERS, 0.3),
    content_layer="block3_conv1",
    size=64,
    steps=3,
    precision="float32",
)


class FakePhoto(dict):
    """Features of a photo, as the targets ask about it; in one part, or in several."""

    def __init__(self, features, size, cuts=((), ())):
        super().__init__(features)
        self.size, self._cuts = size, cuts

    def mapped(self, layers, function):
        rows, columns = self._cuts
        found = [[function(cut(self, layers, r, c)) for c in spans(columns)] for r in spans(rows)]
        wide = [tf.nest.map_structure(lambda *own: tf.concat(own, 2), *row) for row in found]
        return tf.nest.map_structure(lambda *own: tf.concat(own, 1), *wide)

    def check(self):
        pass


def spans(cuts):
    """Pieces of a side, in pixels; None at the ends."""
    return list(itertools.pairwise((None, *cuts, None)))


def cut(features, layers, rows, columns):
    return {layer: features[layer][:, *box_of(layer, rows, columns)] for layer in layers}


def box_of(layer, rows, columns):
    stride = VGG16[layer].stride
    return tuple(
        slice(*(None if end is None else end // stride for end in span)) for span in (rows, columns)
    )


def random_features(rng, height, width):
    """Like a network's: not negative, every layer in a range of its own."""
    found = {}
    for scale, name in enumerate(LAYERS, start=1):
        layer = VGG16[name]
        shape = [1, height // layer.stride, width // layer.stride, layer.channels]
        values = np.maximum(rng.standard_normal(shape) * 20 * scale, 0)
        found[name] = tf.constant(values, tf.float32)
    return found


def weights_of(term):
    return dict.fromkeys(term.weight_names, tf.constant(1.0))


def directions(rows, soft=0.0):
    """Rows / sqrt(|row|^2 + soft)."""
    return rows / np.sqrt(np.maximum((rows**2).sum(axis=-1, keepdims=True) + soft, 1e-24))


def half_squares(asked, known, softness):
    """|u - v|^2 / 2 of all rows of one and all of the other, about their own means; softened by the
    spread of `asked`, whose rows come with the mean that they have."""
    (rows, centre, spread), away = asked, known - known.mean(axis=0)
    soft = (softness * spread) ** 2
    own, other = directions(rows - centre, soft), directions(away, soft)
    return ((own[:, np.newaxis] - other) ** 2).sum(axis=-1) / 2


def middle(rows):
    centre = rows.mean(axis=0)
    return centre, np.sqrt(((rows - centre) ** 2).sum(axis=-1).mean())


def loss_of(term, features, target):
    found = term.statistics(Part(features), target)
    return float(term.loss(found, target, weights_of(term), tf.constant(1.0)))


# --- Each layer by itself -----------------------------------------------------------------------


def grid(features, size):
    """What of a layer is compared, [1, h, w, N]: the middle of each cell of the grid."""

    def spread(name, found):
        every = max(1, painting_spacing(*size) // VGG16[name].stride)
        return found.numpy()[:, every // 2 :: every, every // 2 :: every]

    return {name: spread(name, found) for name, found in features.items()}


def numpys_nearest(picture, photo, painting, mask=None):
    """sum_p T_p min_q |u - v|^2 / 2 / sum_p T_p of one layer; the photo with all positions."""
    known = painting.reshape(-1, painting.shape[-1]).astype(np.float64)
    own = picture.reshape(-1, picture.shape[-1]).astype(np.float64)
    seen = photo.numpy().astype(np.float64).reshape(-1, photo.shape[-1])
    each = half_squares((own, *middle(seen)), known, nearest.SOFTNESS).min(axis=1)
    return np.average(each, weights=None if mask is None else mask.reshape(-1))


@pytest.mark.parametrize("painting_size", [SIDES, (32, 16), (160, 96)])
def test_each_layer_is_compared_with_its_nearest(painting_size, rng):
    picture, photo = random_features(rng, *SIDES), random_features(rng, *SIDES)
    painting = random_features(rng, *painting_size)
    term = NearestStyle(LAYERS)
    measured = term.measure(iter([PaintingPart(painting, {}, painting_size)]))
    region = RegionMeasures([(measured, 1.0)], 1.0, {})
    target = term.target(FakePhoto(photo, SIDES), [region])
    own, known = grid(picture, SIDES), grid(painting, painting_size)
    each = [numpys_nearest(own[layer], photo[layer], known[layer]) for layer in LAYERS]
    expected = SCALE * sum(each)
    assert loss_of(term, picture, target) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("size", "spacing"),
    [((16, 64), 1), ((64, 16), 1), ((1, 1), 1), ((128, 90), 2), ((256, 256), 4), ((512, 342), 8),
     ((500, 333), 8), ((1024, 700), 16), ((4096, 4096), 64), ((16, 4096), 16), ((4096, 1), 1)],
)  # fmt: skip
def test_the_grid_grows_with_the_picture(size, spacing):
    assert painting_spacing(*size) == spacing
    assert picture_spacing(*size) == min(8, spacing)


def test_shallow_layers_are_compared_at_more_positions():
    for name, at_most in (("block1_conv2", 4), ("block2_conv1", 4), ("block4_conv1", 8)):
        assert spacing_of(VGG16[name], 8) == at_most
        assert spacing_of(VGG16[name], 4) == max(4, VGG16[name].stride)
        assert spacing_of(VGG16[name], 1) == VGG16[name].stride


def test_layers_are_compared_in_different_quarters_of_the_cells():
    """So that every second position of those with the smallest strides has its turn."""
    features = tf.reshape(tf.range(64.0), [1, 8, 8, 1])
    seen = {
        (down, right): nearest.on_grid(features, None, nearest.at_quarters(4, down, right))[0]
        for down, right in nearest.SHIFTS
    }
    for (down, right), found in seen.items():
        rows, columns = 1 + 2 * down, 1 + 2 * right
        expected = [8 * y + x for y in (rows, rows + 4) for x in (columns, columns + 4)]
        assert found.numpy().ravel().tolist() == expected
    assert len(set(nearest.SHIFTS)) == 4
    assert nearest.at_quarters(1, 1, 1) == nearest.at_centres(1) == (1, 0, 0)


def masked_target(term, mask, share, measured, photo):
    at_layers = {
        name: mask.reshape(
            1, SIDES[0] // VGG16[name].stride, VGG16[name].stride,
            SIDES[1] // VGG16[name].stride, VGG16[name].stride, 1,
        ).mean(axis=(2, 4))
        for name in LAYERS
    }  # fmt: skip
    guides = {name: make_guide(there.astype(np.float32)) for name, there in at_layers.items()}
    return term.target(photo, [RegionMeasures(measured, share, guides)]), at_layers


@pytest.mark.parametrize("make", [NearestStyle, HypercolumnStyle])
def test_regions_mixing_and_parts(make, rng):
    """Two paintings, 3 to 1, where a mask is: as NumPy has it, and the same from four parts."""
    term = make(LAYERS)
    picture = random_features(rng, *SIDES)
    paintings = [random_features(rng, *size) for size in ((24, 32), (16, 48))]
    sizes = (24, 32), (16, 48)
    mask = np.zeros([1, *SIDES, 1], np.float32)
    mask[:, 4:20, 10:] = 1
    measured = [
        (term.measure(iter([PaintingPart(one, {}, size)])), share)
        for one, size, share in zip(paintings, sizes, (0.75, 0.25), strict=True)
    ]
    cuts = (16,), (16, 32)
    photo = random_features(rng, *SIDES)
    target, at_layers = masked_target(term, mask, 0.4, measured, FakePhoto(photo, SIDES))
    in_parts, _ = masked_target(term, mask, 0.4, measured, FakePhoto(photo, SIDES, cuts))
    tf.nest.map_structure(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5), target, in_parts
    )

    known = list(paintings)
    if make is NearestStyle:
        own = grid(picture, SIDES)
        there = grid({name: tf.constant(one) for name, one in at_layers.items()}, SIDES)
        expected = sum(
            share * numpys_nearest(own[name], photo[name], grid(one, size)[name], there[name])
            for name in LAYERS
            for one, size, share in zip(known, sizes, (0.75, 0.25), strict=True)
        )
    else:
        expected = sum(
            share * numpys_matched(picture, photo, one, at_layers["block3_conv1"])
            for one, share in zip(known, (0.75, 0.25), strict=True)
        )
    found = loss_of(term, picture, target)
    assert found == pytest.approx(0.4 * SCALE * expected, rel=1e-4)

    total = None
    for rows in spans(cuts[0]):
        for columns in spans(cuts[1]):
            own_target = term.part_of_target(
                target, lambda name, box=(rows, columns): whole_box(name, *box)
            )
            one = term.statistics(Part(cut(picture, LAYERS, rows, columns)), own_target)
            total = one if total is None else tf.nest.map_structure(tf.add, total, one)
    added = term.loss(total, target, weights_of(term), tf.constant(1.0))
    assert float(added) == pytest.approx(found, rel=1e-5)


def whole_box(layer, rows, columns):
    """`box_of` with numbers at both ends."""
    sides = (side // VGG16[layer].stride for side in SIDES)
    boxes = zip(box_of(layer, rows, columns), sides, strict=True)
    return tuple(slice(*box.indices(side)[:2]) for box, side in boxes)


@pytest.mark.parametrize("make", [NearestStyle, HypercolumnStyle])
def test_what_is_transparent_of_a_painting_is_never_found(make, rng):
    """Half of it is the picture itself, and hidden."""
    term, picture = make(LAYERS), random_features(rng, *SIDES)
    other = random_features(rng, *SIDES)
    both = {name: tf.concat([picture[name], other[name]], axis=1) for name in LAYERS}
    guides = {}
    for name in LAYERS:
        height, width = both[name].shape[1:3]
        mask = np.zeros([1, height, width, 1], np.float32)
        mask[:, height // 2 :] = 1
        guides[name] = make_guide(mask)
    size = 2 * SIDES[0], SIDES[1]
    assert painting_spacing(*size) == painting_spacing(*SIDES)
    losses = []
    for part in (PaintingPart(both, guides, size), PaintingPart(other, {}, SIDES)):
        region = RegionMeasures([(term.measure(iter([part])), 1.0)], 1.0, {})
        losses.append(loss_of(term, picture, term.target(FakePhoto(picture, SIDES), [region])))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("make", [NearestStyle, HypercolumnStyle])
def test_of_a_painting_that_is_nowhere_visible_on_the_grid_all_is_searched(make, rng):
    """What is visible of it lies between the grid's positions."""
    term, painting = make(LAYERS), random_features(rng, 128, 96)
    guides = {}
    for name in LAYERS:
        mask = np.zeros([1, *painting[name].shape[1:3], 1], np.float32)
        mask[:, 0, 0] = 1
        guides[name] = make_guide(mask)
    hidden, shown = (
        term.measure(iter([PaintingPart(painting, there, (128, 96))])) for there in (guides, {})
    )
    tf.nest.map_structure(
        lambda one, other: np.testing.assert_array_equal(one, other) if len(one) > 1 else None,
        hidden,
        shown,
    )
    assert all(len(one) for one in tf.nest.flatten(hidden))


@pytest.mark.parametrize("rows", [1, 8])  # fewer than there are paintings, and more
@pytest.mark.parametrize("count", [0, 1, 7, 8, 30])
def test_the_nearest_is_found_some_rows_after_another(count, rows, monkeypatch, rng):
    monkeypatch.setattr(matching, "ROWS", rows)
    queries, samples = rng.standard_normal((2, count, 5)), rng.standard_normal((2, 6, 5))
    found = matching.nearest_to(
        tf.constant(queries, tf.float32), tf.constant(samples, tf.float32)
    ).numpy()
    away = queries[:, :, np.newaxis] - samples[:, np.newaxis]
    expected = (away**2).sum(-1).argmin(-1)
    np.testing.assert_array_equal(found, expected)


def test_directions_are_the_cosines_but_near_to_the_mean(rng):
    """Of length 1 far from it; a thousandth of the usual distance from it, nearly none."""
    rows = rng.standard_normal((400, 16)) + 5
    sums = matching.sums_of(tf.constant(rows[np.newaxis, np.newaxis], tf.float32))
    found = matching.middle_of(sums)
    centre, spread = middle(rows)
    np.testing.assert_allclose(found.mean, centre, rtol=1e-5)
    assert float(found.spread) == pytest.approx(spread, rel=1e-4)
    away = directions(rng.standard_normal((5, 16)))
    for far, length in ((1000, 1), (0.5, 0.5**0.5), (0.001, 0.002)):
        own = tf.constant(centre + far * spread * away, tf.float32)
        np.testing.assert_allclose(
            matching.direction(own, found, 0.5), length * away, atol=2e-3 * length
        )


def test_what_is_plain_finds_what_is_plain(rng):
    """Among strokes, one of which points just where the small rest of a plain place does."""
    strokes = 10 * directions(rng.standard_normal((50, 8)))
    plain = 0.01 * strokes[:1]
    painting = np.concatenate([strokes, np.zeros([1, 8])])[np.newaxis]
    around = matching.Middle(tf.zeros([8]), tf.constant(10.0))
    asked, known = (
        matching.direction(tf.constant(one, tf.float32), around, 0.35)
        for one in (np.concatenate([plain, strokes[:1]])[np.newaxis], painting)
    )
    assert matching.nearest_to(asked, known).numpy().tolist() == [[50, 0]]


# --- Hypercolumns -------------------------------------------------------------------------------


def numpys_columns(features):
    """The hypercolumns at block3's positions, float64 [P, sum N]."""
    height, width = features["block3_conv1"].shape[1:3]
    joined = []
    for name in LAYERS:
        layer, own = VGG16[name], features[name].numpy()[0].astype(np.float64)
        if layer.stride < 4:
            cell = 4 // layer.stride
            own = own.reshape(height, cell, width, cell, -1).mean(axis=(1, 3))
        elif layer.stride > 4:
            own = own.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
        joined.append(own.reshape(height * width, -1) / layer.channels)
    return np.concatenate(joined, axis=1)


def numpys_matched(picture, photo, painting, mask=None):
    query, known, own = map(numpys_columns, (photo, painting, picture))
    far = half_squares((query, *middle(query)), known, hypercolumns.SOFTNESS)
    found = known[far.argmin(axis=1)]
    each = 1 - (directions(own) * directions(found)).sum(axis=1)
    return np.average(each, weights=None if mask is None else mask.reshape(-1))


def test_hypercolumns_are_compared_with_the_photos_matches(rng):
    picture, photo = random_features(rng, *SIDES), random_features(rng, *SIDES)
    painting = random_features(rng, 32, 24)
    term = HypercolumnStyle(LAYERS)
    measured = term.measure(iter([PaintingPart(painting, {}, (32, 24))]))
    region = RegionMeasures([(measured, 1.0)], 1.0, {})
    target = term.target(FakePhoto(photo, SIDES), [region])
    expected = SCALE * numpys_matched(picture, photo, painting)
    assert loss_of(term, picture, target) == pytest.approx(expected, rel=1e-4)


def test_the_reference_is_the_deepest_layer_that_is_fine_enough():
    assert HypercolumnStyle(LAYERS).reference == "block3_conv1"
    assert HypercolumnStyle(("block1_conv1",)).reference == "block1_conv1"
    assert HypercolumnStyle(("block4_conv1", "block5_conv1")).reference == "block4_conv1"


def test_the_reference_is_the_same_in_whatever_order_the_layers_are_named():
    assert HypercolumnStyle(LAYERS[::-1]).reference == HypercolumnStyle(LAYERS).reference


# --- The gradient, and whole runs ---------------------------------------------------------------


@pytest.mark.parametrize("is_finest", [False, True])
def test_the_gradient_against_central_differences(is_finest, castle, great_wave):
    """Along the gradient: elsewhere the difference would drown in the rounding of the loss."""
    photo, painting = (images.load(one, side).rgb for one, side in ((castle, 40), (great_wave, 48)))
    settings = replace(THREE_LAYERS, content_weight=0, tv_weight=0)
    engine = Engine(settings, is_finest=is_finest)
    problem = engine.problem(photo, everywhere(images.Picture(painting)))
    start = engine.start(photo, problem)
    assert bool(start.finite)
    way = start.gradient * 1e-4 / tf.reduce_mean(tf.abs(start.gradient))
    ahead, behind = (
        float(engine.start(photo + sign * way, problem).losses["total"]) for sign in (1, -1)
    )
    slope = float(tf.reduce_sum(start.gradient * way))
    assert (ahead - behind) / 2 == pytest.approx(slope, rel=0.02)


@pytest.mark.parametrize("is_finest", [False, True])
def test_the_gradient_in_tiles_is_the_wholes(is_finest, castle, great_wave):
    photo = images.load(castle).rgb
    mask = np.zeros([1, *photo.shape[1:3], 1], np.float32)
    mask[:, :, 37:] = 1
    paintings = images.load(great_wave), images.load(great_wave[::-1, :60])
    regions = zip(paintings, (mask, 1 - mask), strict=True)
    layout = Layout(tuple(Region(((one, 1.0),), place) for one, place in regions), None)
    found = []
    for tile in (None, 48):
        engine = Engine(THREE_LAYERS, "float32", tile, is_finest=is_finest)
        problem = engine.problem(photo, layout)
        found.append(engine.start(photo * 0.9, problem))
    whole, tiled = found
    for name, loss in whole.losses.items():
        assert float(tiled.losses[name]) == pytest.approx(float(loss), rel=1e-4), name
    difference = tf.norm(tiled.gradient - whole.gradient) / tf.norm(whole.gradient)
    assert float(difference) < 1e-3


def test_a_stop_ends_the_search_for_matches(castle, great_wave, monkeypatch):
    token, searched = StopToken(), []

    def counted(*given):
        searched.append(1)
        if len(searched) == 3:
            token.stop()
        return matching.nearest_to(*given)

    monkeypatch.setattr(hypercolumns, "ROWS", 8)  # of the many positions
    monkeypatch.setattr(hypercolumns, "nearest_to", counted)
    engine = Engine(THREE_LAYERS, is_finest=False)
    with pytest.raises(StoppedError):
        engine.problem(images.load(castle).rgb, everywhere(images.load(great_wave)), stop=token)
    assert len(searched) == 3


def test_each_scale_has_its_term_and_the_losses_own_layers():
    settings = Settings(style_loss="nearest")
    coarser, finest = (make_terms(settings, is_finest=is_finest) for is_finest in (False, True))
    assert [type(term) for term in (coarser[1], finest[1])] == [HypercolumnStyle, NearestStyle]
    assert finest[1].style_layers == tuple(name for name, _ in NEAREST_LAYERS)


def test_a_run_from_coarse_to_fine_comes_near_to_the_painting():
    pair = example("content/castle"), example("style/great-wave")
    frame = stylize(*pair, replace(THREE_LAYERS, size=128, steps=12))
    assert frame.done
    assert [max(one.height, one.width) for one in frame.plan.scales] == [32, 64, 128]
    hue, wanted, before = (
        (mean - mean @ LUMA)
        for mean in (
            image.mean(axis=(0, 1))
            for image in (
                frame.image,
                *(images.to_uint8(images.load(one, 128).rgb) for one in pair[::-1]),
            )
        )
    )
    assert np.abs(hue - wanted).max() < 0.5 * np.abs(before - wanted).max()


def test_what_is_kept_stays_the_photo_in_its_own_colours(castle, great_wave):
    keep = np.zeros(castle.shape[:2], np.uint8)
    keep[:, :30] = 255
    frame = stylize(castle, [Style(great_wave)], THREE_LAYERS, keep)
    photo = images.to_uint8(images.load(castle, 64).rgb)
    kept = images.load_mask(keep, photo.shape[1::-1]) > 0.99
    np.testing.assert_array_equal(frame.image[kept], photo[kept])
    assert np.abs(frame.image[~kept].astype(float) - photo[~kept]).mean() > 5
