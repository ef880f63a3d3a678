"""The equations against an independent computation in NumPy float64, and the terms against them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from conftest import Features

from nst_core import Settings
from nst_core.engine.objective import Objective
from nst_core.losses import completed, make_terms
from nst_core.losses.content import FACE_CONTENT, Content, content_loss
from nst_core.losses.edges import Edges
from nst_core.losses.gram import GramStyle, gram_matrix, style_loss
from nst_core.losses.guides import guided, make_guide, part_of_guide
from nst_core.losses.strictness import STRENGTH_RANGE
from nst_core.losses.term import PaintingPart, Part, RegionMeasures
from nst_core.losses.total_variation import TotalVariation, total_variation
from nst_core.networks.network import PRECISIONS
from nst_core.settings import BRUSHWORK


def numpy_gram(features: np.ndarray) -> np.ndarray:
    """G / M by the sum of outer products over positions."""
    _, height, width, channels = features.shape
    gram = np.zeros((channels, channels))
    for row in range(height):
        for column in range(width):
            vector = features[0, row, column].astype(np.float64)
            gram += np.outer(vector, vector)
    return gram / (height * width)


# --- Equations ----------------------------------------------------------------------------------


@pytest.fixture
def features(rng):
    return (rng.standard_normal((1, 7, 5, 6)) * 30).astype(np.float32)


def test_gram_matrix(features):
    got = gram_matrix(tf.constant(features)).numpy()
    np.testing.assert_allclose(got, numpy_gram(features), rtol=1e-5, atol=1e-4)


def test_gram_matrix_does_not_depend_on_the_size(features):
    tiled = np.tile(features, (1, 3, 2, 1))
    got = gram_matrix(tf.constant(tiled)).numpy()
    np.testing.assert_allclose(got, numpy_gram(features), rtol=1e-5, atol=1e-4)


def test_gradient_of_the_gram_matrix_is_tensorflows_own(features, rng):
    x, upstream = tf.constant(features), tf.constant(rng.standard_normal((6, 6)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        flat = tf.reshape(x, [-1, 6])
        own = tf.reduce_sum(upstream * tf.matmul(flat, flat, transpose_a=True) / 35)
        ours = tf.reduce_sum(upstream * gram_matrix(x))
    np.testing.assert_allclose(tape.gradient(ours, x), tape.gradient(own, x), rtol=1e-4, atol=1e-4)


def test_sums_of_bfloat16_features_are_exact(features, rng):
    """Only the features are rounded, not what is computed from them."""
    rounded = tf.cast(features, tf.bfloat16)
    values = tf.cast(rounded, tf.float32).numpy()
    gram = gram_matrix(rounded)
    assert gram.dtype == tf.float32
    np.testing.assert_allclose(gram, numpy_gram(values), rtol=1e-5, atol=1e-4)
    target = rng.standard_normal(features.shape).astype(np.float32)
    expected = 0.5 * ((values.astype(np.float64) - target) ** 2).sum()
    assert float(content_loss(rounded, target)) == pytest.approx(expected, rel=1e-5)


def test_content_loss(features, rng):
    target = (rng.standard_normal(features.shape) * 30).astype(np.float32)
    expected = 0.5 * ((features.astype(np.float64) - target) ** 2).sum()
    got = float(content_loss(tf.constant(features), tf.constant(target)))
    assert got == pytest.approx(expected, rel=1e-5)


def test_style_loss(features, rng):
    other = (rng.standard_normal((1, 4, 9, 3)) * 20).astype(np.float32)
    picture = {"block1_conv1": features, "block2_conv1": other, "block3_conv1": features}
    painting = {
        "block1_conv1": rng.standard_normal((1, 11, 3, 6)) * 25,
        "block2_conv1": rng.standard_normal((1, 2, 8, 3)) * 25,
    }
    weights = {"block1_conv1": 0.75, "block2_conv1": 0.1}
    expected = 0.0
    for layer, weight in weights.items():
        channels = picture[layer].shape[-1]
        difference = numpy_gram(picture[layer]) - numpy_gram(painting[layer])
        expected += weight / (4 * channels**2) * (difference**2).sum()
    got = style_loss(
        {layer: tf.constant(value) for layer, value in picture.items()},
        {layer: tf.constant(numpy_gram(value), tf.float32) for layer, value in painting.items()},
        {layer: tf.constant(weight) for layer, weight in weights.items()},
    )
    assert float(got) == pytest.approx(expected, rel=1e-5)


def test_for_equal_sizes_the_style_loss_is_the_papers(features, rng):
    """Equation 4 as printed: Gram matrices not divided, 1 / (4 N^2 M^2) in front."""
    painting = (rng.standard_normal(features.shape) * 30).astype(np.float32)
    positions, channels = features.shape[1] * features.shape[2], features.shape[3]
    gram, target = numpy_gram(features) * positions, numpy_gram(painting) * positions
    expected = ((gram - target) ** 2).sum() / (4 * channels**2 * positions**2)
    got = style_loss(
        {"layer": tf.constant(features)},
        {"layer": gram_matrix(tf.constant(painting))},
        {"layer": 1.0},
    )
    assert float(got) == pytest.approx(expected, rel=1e-5)


def test_total_variation_of_a_checkerboard():
    """4 x 6 pixels of 0 and 1: every one of the 3 * 6 + 4 * 5 neighbours differs by 1."""
    board = (np.indices((4, 6)).sum(axis=0) % 2).astype(np.float32)
    image = np.repeat(board[np.newaxis, :, :, np.newaxis], 3, axis=3)
    assert float(total_variation(tf.constant(image))) == pytest.approx(3 * (18 + 20))


def test_total_variation(rng):
    image = rng.random((1, 9, 5, 3)).astype(np.float32)
    exact = image.astype(np.float64)
    expected = np.abs(np.diff(exact, axis=1)).sum() + np.abs(np.diff(exact, axis=2)).sum()
    got = float(total_variation(tf.constant(image)))
    assert got == pytest.approx(expected, rel=1e-5)


def test_total_variation_of_a_flat_image_is_zero():
    assert float(total_variation(tf.fill([1, 8, 8, 3], 0.3))) == 0


# --- Guides -------------------------------------------------------------------------------------


def test_guided_gram_against_its_definition(rng):
    """sum_k T_k F_ik F_jk / sum_k T_k."""
    features = rng.random([1, 5, 7, 4]).astype(np.float32)
    place = rng.random([1, 5, 7, 1]).astype(np.float32)
    place[:, :2] = place[:, :, 6:] = 0
    flat, shares = features.reshape(-1, 4), place.reshape(-1, 1)
    expected = (flat * shares).T @ flat / shares.sum()
    got = gram_matrix(guided(tf.constant(features), make_guide(place)))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_a_guide_that_is_even_changes_nothing_and_an_empty_one_gives_zero(rng):
    features = tf.constant(rng.random([1, 5, 7, 4]).astype(np.float32))
    even, empty = (make_guide(np.full([1, 5, 7, 1], value, np.float32)) for value in (0.3, 0.0))
    np.testing.assert_allclose(
        gram_matrix(guided(features, even)), gram_matrix(features), rtol=1e-5
    )
    assert not gram_matrix(guided(features, empty)).numpy().any()


@pytest.mark.parametrize("rows", [(0, 4, 11), (0, 1, 2, 9, 11)])
@pytest.mark.parametrize("columns", [(0, 13), (0, 3, 8, 13)])
def test_the_parts_of_a_guide_cover_it_once(rows, columns, rng):
    """Parts outside of its box are empty, and none of them fails."""
    mask = np.zeros([1, 11, 13, 1], np.float32)
    mask[:, 2:9, 5:8] = rng.random([1, 7, 3, 1])
    features = tf.constant(rng.random([1, 11, 13, 4]).astype(np.float32))
    guide = make_guide(mask)
    whole = guided(features, guide)
    found, positions = np.zeros([4]), 0
    for box in boxes(rows, columns):
        part = guided(features[:, *box], part_of_guide(guide, box))
        found += part.numpy().sum(axis=(0, 1, 2))
        positions += part.shape[1] * part.shape[2]
    assert positions == whole.shape[1] * whole.shape[2]
    np.testing.assert_allclose(found, whole.numpy().sum(axis=(0, 1, 2)), rtol=1e-5)


# --- Terms --------------------------------------------------------------------------------------

LAYERS = ("block1_conv1", "block2_conv1")
GRAM = Settings(style_loss="gram")
ONES = {name: tf.constant(1.0) for name in ("alpha", "beta", "gamma", *LAYERS)}
AREA = tf.constant(22.0 * 26.0)


def boxes(rows, columns):
    """The boxes that these borders make."""
    for sides in itertools.product(itertools.pairwise(rows), itertools.pairwise(columns)):
        yield tuple(slice(*side) for side in sides)


@pytest.fixture
def picture(rng) -> Part:
    """22 x 26 pixels with made-up features at two layers, of strides 1 and 2."""
    return Part(
        {
            "block1_conv1": tf.constant(rng.random([1, 22, 26, 5]) * 30, tf.float32),
            "block2_conv1": tf.constant(rng.random([1, 11, 13, 4]) * 20, tf.float32),
        },
        tf.constant(rng.random([1, 22, 26, 3]), tf.float32),
    )


def halves(picture: Part):
    """Four parts of a picture with the boxes of each layer."""
    for rows, columns in boxes((0, 6, 11), (0, 9, 13)):
        at = {
            "block2_conv1": (rows, columns),
            "block1_conv1": tuple(slice(2 * side.start, 2 * side.stop) for side in (rows, columns)),
        }
        yield Part({name: found[:, *at[name]] for name, found in picture.features.items()}), at


def added_up(term, picture, target):
    """The statistics of the parts of a picture, summed."""
    parts = [
        term.statistics(part, term.part_of_target(target, at.__getitem__))
        for part, at in halves(picture)
    ]
    return tf.nest.map_structure(lambda *found: tf.add_n(found), *parts)


def assert_nests_close(found, expected, rtol=1e-5):
    tf.nest.assert_same_structure(found, expected)
    for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol)


def test_content_as_a_term(picture, rng):
    """alpha s L_content, s being 1 at 512 x 512 pixels."""
    term = Content("block2_conv1")
    photo = Features(block2_conv1=tf.constant(rng.random([1, 11, 13, 4]) * 20, tf.float32))
    target = term.target(photo, [])
    statistics = term.statistics(picture, target)
    expected = float(content_loss(picture.features["block2_conv1"], photo["block2_conv1"]))
    got = term.loss(
        statistics, target, {"alpha": tf.constant(0.5), "subject": tf.constant(9.0)}, AREA
    )
    assert float(got) == pytest.approx(0.5 * 512**2 / (22 * 26) * expected, rel=1e-5)
    assert_nests_close(added_up(term, picture, target), statistics)


def test_faces_count_more_in_the_content(picture, rng):
    """Each position by its share of subject, which has a weight of its own; in tiles as well."""
    term = Content("block2_conv1")
    photo = Features(block2_conv1=tf.constant(rng.random([1, 11, 13, 4]) * 20, tf.float32))
    photo.subject = np.zeros([1, 22, 26, 1], np.float32)
    photo.subject[:, 2:14, 2:20] = 1
    target = term.target(photo, [])
    subject = target.subject.numpy()
    np.testing.assert_allclose(subject[:, 3:5, 4:7], 1, rtol=0.05)
    np.testing.assert_allclose(subject[:, 9:], 0, atol=0.05)
    squares = np.square(picture.features["block2_conv1"].numpy() - photo["block2_conv1"].numpy())
    statistics = term.statistics(picture, target)
    weights = {"alpha": tf.constant(0.1), "subject": tf.constant(0.5)}
    strictness = 0.1 * (1 - subject) + 0.5 * FACE_CONTENT * subject
    expected = 512**2 / (22 * 26) * (strictness * squares).sum() / 2
    got = term.loss(statistics, target, weights, AREA)
    assert float(got) == pytest.approx(expected, rel=1e-4)
    assert_nests_close(added_up(term, picture, target), statistics)


def test_total_variation_as_a_term(picture):
    """gamma TV, of the whole picture."""
    term = TotalVariation()
    target = term.target({}, [])
    statistics = term.statistics(picture, target)
    got = term.loss(statistics, target, {"gamma": tf.constant(0.5)}, AREA)
    assert float(got) == pytest.approx(0.5 * float(total_variation(picture.pixels)), rel=1e-5)


def measures_of(term, rng, count=1):
    """Paintings with made-up features, and their measures."""
    paintings = [
        {
            "block1_conv1": tf.constant(rng.random([1, 7, 9, 5]) * 30, tf.float32),
            "block2_conv1": tf.constant(rng.random([1, 3, 4, 4]) * 20, tf.float32),
        }
        for _ in range(count)
    ]
    return paintings, [term.measure(iter([PaintingPart(one, {}, (64, 64))])) for one in paintings]


def test_the_style_as_a_term(picture, rng):
    """beta L_style: two paintings, mixed 3 to 1, apply everywhere."""
    term = GramStyle(LAYERS)
    paintings, measures = measures_of(term, rng, 2)
    shares = 0.75, 0.25
    target = term.target({}, [RegionMeasures(list(zip(measures, shares, strict=True)), 1.0, {})])
    grams = {
        layer: sum(s * gram_matrix(one[layer]) for one, s in zip(paintings, shares, strict=True))
        for layer in LAYERS
    }
    weights = {"beta": tf.constant(0.5), LAYERS[0]: tf.constant(0.3), LAYERS[1]: tf.constant(2.0)}
    expected = 0.5 * style_loss(picture.features, grams, {k: weights[k] for k in LAYERS})
    statistics = term.statistics(picture, target)
    got = term.loss(statistics, target, weights, AREA)
    assert float(got) == pytest.approx(float(expected), rel=1e-5)
    assert_nests_close(added_up(term, picture, target), statistics)


def test_the_style_of_regions_counts_by_their_share_of_the_picture(picture, rng):
    """sum_r share_r L_r, each region with its own painting and its guided Gram matrices."""
    term = GramStyle(LAYERS)
    paintings, measures = measures_of(term, rng, 2)
    places = np.zeros([2, 1, 11, 13, 1], np.float32)
    places[0, :, :5], places[1, :, 5:, 2:12] = 1, 0.7
    guides = [
        {
            "block2_conv1": make_guide(place),
            "block1_conv1": make_guide(place.repeat(2, axis=1).repeat(2, axis=2)),
        }
        for place in places
    ]
    shares = 0.4, 0.5
    target = term.target(
        {},
        [
            RegionMeasures([(measured, 1.0)], share, there)
            for measured, share, there in zip(measures, shares, guides, strict=True)
        ],
    )
    expected = sum(
        share
        * style_loss(
            {layer: guided(picture.features[layer], there[layer]) for layer in LAYERS},
            {layer: gram_matrix(painting[layer]) for layer in LAYERS},
            dict.fromkeys(LAYERS, 1.0),
        )
        for share, there, painting in zip(shares, guides, paintings, strict=True)
    )
    statistics = term.statistics(picture, target)
    got = term.loss(statistics, target, ONES, AREA)
    assert float(got) == pytest.approx(float(expected), rel=1e-5)
    assert_nests_close(added_up(term, picture, target), statistics)


def test_a_painting_is_measured_in_parts(picture):
    term = GramStyle(LAYERS)
    whole = term.measure(iter([PaintingPart(picture.features, {}, (64, 64))]))
    parts = term.measure(PaintingPart(part.features, {}, (64, 64)) for part, _ in halves(picture))
    assert_nests_close(parts, whole)


@pytest.mark.parametrize("regions", [0, 2])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_targets_are_as_their_signatures_say(regions, precision, picture, rng):
    terms = (Content("block2_conv1"), GramStyle(LAYERS), TotalVariation())
    photo = Features(block2_conv1=tf.cast(picture.features["block2_conv1"], precision))
    for term in terms:
        guides = {}
        if regions:
            even = np.ones([1, 11, 13, 1], np.float32)
            guides = {layer: make_guide(even) for layer in term.painting_layers}
        measured = measures_of(term, rng)[1][0] if term.painting_layers else ()
        region = RegionMeasures([(measured, 1.0)], 1.0, guides)
        target = term.target(photo, [region] * max(1, regions))
        signature = term.target_signature(regions, precision)
        tf.nest.assert_same_structure(target, signature)
        for one, wanted in zip(tf.nest.flatten(target), tf.nest.flatten(signature), strict=True):
            assert wanted.is_compatible_with(one), term


# --- The terms of a run -------------------------------------------------------------------------


def test_the_terms_and_weights_of_the_defaults():
    settings = completed(GRAM)
    assert settings.style_layers == BRUSHWORK["balanced"]
    terms = make_terms(settings)
    assert terms == make_terms(GRAM)
    assert tuple(term.name for term in terms) == ("content", "style", "tv")
    for term in terms:
        assert set(term.weights(settings)) == set(term.weight_names)
    content, style, tv = (term.weights(settings) for term in terms)
    assert content == dict.fromkeys(("alpha", "subject"), settings.content_weight)
    assert style == {"beta": settings.style_weight, **dict(settings.style_layers)}
    assert tv == {"gamma": settings.tv_weight}


def test_the_terms_of_nearest_features():
    settings = Settings(style_loss="nearest")
    terms = make_terms(settings)
    assert tuple(term.name for term in terms) == ("content", "style", "edges", "tv")
    coarser = make_terms(settings, is_finest=False)
    assert tuple(term.name for term in coarser) == ("content", "style", "edges", "gram", "tv")
    for term in terms:
        assert set(term.weights(completed(settings))) == set(term.weight_names)
    without = make_terms(Settings(style_loss="nearest", edge_weight=0, gram_weight=0))
    assert tuple(term.name for term in without) == ("content", "style", "tv")
    assert make_terms(replace(GRAM, edge_weight=0.5))[2].name == "edges"
    beside = replace(GRAM, gram_weight=0.5)
    assert make_terms(beside, is_finest=False)[2].name == "gram"
    assert "gram" not in [term.name for term in make_terms(beside)]


@pytest.mark.parametrize(
    ("changes", "names", "layers"),
    [
        ({"content_weight": 0}, ("style", "tv"), [f"block{k}_conv1" for k in range(1, 6)]),
        ({"style_weight": 0}, ("content", "tv"), ["block4_conv2"]),
        ({"style_layers": {"block5_conv1": 0}}, ("content", "tv"), ["block4_conv2"]),
        ({"tv_weight": 0, "style_weight": 0}, ("content",), ["block4_conv2"]),
        ({"content_weight": 0, "style_weight": 0}, ("tv",), []),
        (
            {"style_layers": BRUSHWORK["fine texture"]},  # block4_conv1 and block5_conv1 have 0
            ("content", "style", "tv"),
            ["block1_conv1", "block2_conv1", "block3_conv1", "block4_conv2"],
        ),
        (
            {"style_layers": {"block3_conv1": 1, "block5_conv3": 0}, "content_weight": 0},
            ("style", "tv"),
            ["block3_conv1"],
        ),
    ],
)
def test_what_has_no_weight_is_not_computed(changes, names, layers):
    objective = Objective.of(replace(GRAM, **changes))
    assert tuple(term.name for term in objective.terms) == names
    assert list(objective.layers) == layers
    assert list(objective.extractor("float32").layers) == layers
    computed = objective.network.up_to(objective.layers)
    assert computed[-1:] == tuple(objective.network[name] for name in layers[-1:])


def test_only_what_a_term_is_made_of_makes_another_term():
    """Weights are not in it: runs that differ in them share what is compiled."""
    terms = make_terms(GRAM)
    other = replace(GRAM, content_weight=1, style_weight=2, tv_weight=3, strength=1)
    assert terms == make_terms(other)
    assert hash(terms) == hash(make_terms(GRAM))
    assert terms != make_terms(replace(GRAM, content_layer="block3_conv1"))
    assert terms != make_terms(replace(GRAM, style_layers=BRUSHWORK["fine texture"]))


@pytest.mark.parametrize(
    ("strength", "factor", "on_subject"),
    [
        (0, STRENGTH_RANGE, STRENGTH_RANGE),
        (0.5, 1, 1),
        (0.75, STRENGTH_RANGE**-0.5, STRENGTH_RANGE**-0.25),
        (1, 1 / STRENGTH_RANGE, STRENGTH_RANGE**-0.5),
    ],
)
@pytest.mark.parametrize(
    ("term", "name", "weight"),
    [(Content("block4_conv2"), "alpha", "content_weight"), (Edges(), "edges", "edge_weight")],
)
def test_the_strength_weighs_what_keeps_the_photo(term, name, weight, strength, factor, on_subject):
    """Above 0.5 the subject is given up less readily than the rest."""
    settings = completed(Settings(strength=strength))
    own = getattr(settings, weight)
    expected = {name: own * factor, "subject": own * on_subject}
    assert term.weights(settings) == pytest.approx(expected)
