"""The engine: what it keeps between runs, what it measures again, and its steps."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import tensorflow as tf

from nst_core import Engine, Settings
from nst_core.engine import tiles
from nst_core.engine.engine import compiled_step, forget_pictures
from nst_core.engine.objective import Objective
from nst_core.pictures import images
from nst_core.pictures.images import Picture
from nst_core.pictures.regions import Layout, Region, everywhere

QUICK = {
    "content_layer": "block2_conv1",
    "style_layers": {"block1_conv1": 0.5, "block2_conv1": 0.25},
    "optimizer": "adam",
}


@pytest.fixture
def rng(request) -> np.random.Generator:
    """Pictures that no other test has, so that nothing of them is cached yet."""
    return np.random.default_rng(zlib.crc32(request.node.name.encode()))


@pytest.fixture
def photo(rng) -> np.ndarray:
    return rng.random([1, 32, 48, 3], dtype=np.float32)


@pytest.fixture
def painting(rng) -> Picture:
    return Picture(rng.random([1, 40, 36, 3], dtype=np.float32))


@pytest.fixture
def looked_at(monkeypatch) -> list[tuple[int, ...]]:
    """A list that grows with every picture whose features are computed: its shape."""
    shapes, features_by_tile = [], tiles.features_by_tile

    def counted(extractor, image, side):
        shapes.append(image.shape)
        return features_by_tile(extractor, image, side)

    monkeypatch.setattr(tiles, "features_by_tile", counted)
    return shapes


# --- Caches -------------------------------------------------------------------------------------


def test_what_is_forgotten_is_found_again(photo, painting, looked_at):
    engine, layout = Engine(Settings(style_loss="gram", **QUICK)), everywhere(painting)
    engine.problem(photo, layout)
    first = len(looked_at)
    engine.problem(photo, layout)
    assert len(looked_at) == first
    forget_pictures()
    engine.problem(photo, layout)
    assert len(looked_at) == 2 * first


def test_a_second_photo_does_not_measure_the_painting_again(photo, painting, looked_at):
    engine, layout = Engine(Settings(style_loss="gram", **QUICK)), everywhere(painting)
    engine.problem(photo, layout)
    assert sorted(looked_at) == [photo.shape, painting.rgb.shape]
    looked_at.clear()
    engine.problem(1 - photo, layout)
    assert looked_at == [photo.shape]
    looked_at.clear()
    # The same pixels, as another run loads them.
    again = everywhere(Picture(painting.rgb.copy()))
    Engine(Settings(style_loss="gram", **QUICK, steps=3)).problem(photo.copy(), again)
    assert looked_at == []


def test_a_second_painting_does_not_look_at_the_photo_again(photo, painting, looked_at):
    engine = Engine(Settings(style_loss="gram", **QUICK))
    engine.problem(photo, everywhere(painting))
    looked_at.clear()
    other = Picture(np.ascontiguousarray(painting.rgb[:, ::-1]))
    found = engine.problem(photo, everywhere(other))
    assert looked_at == [painting.rgb.shape]
    # One that was seen, in a mix with another.
    engine.problem(photo, Layout((Region(((painting, 0.5), (other, 0.5))),)))
    assert looked_at == [painting.rgb.shape]
    assert set(found.targets.terms) == {"content", "style", "tv"}


def test_weights_and_colours_of_the_settings_measure_nothing_again(photo, painting, looked_at):
    Engine(Settings(style_loss="gram", **QUICK)).problem(photo, everywhere(painting))
    looked_at.clear()
    changed = Settings(
        style_loss="gram",
        **QUICK,
        content_weight=1,
        style_weight=2,
        strength=0.7,
        learning_rate=0.1,
    )
    Engine(changed).problem(photo, everywhere(painting))
    layers = {"block1_conv1": 3, "block2_conv1": 4}
    Engine(Settings(style_loss="gram", **QUICK | {"style_layers": layers})).problem(
        photo, everywhere(painting)
    )
    assert looked_at == []


@pytest.mark.parametrize(
    ("changes", "precision"),
    [
        ({"pooling": "average"}, "float32"),
        ({"content_layer": "block1_conv2", "style_layers": {"block1_conv2": 1}}, "float32"),
        ({}, "bfloat16"),
    ],
    ids=["pooling", "layers", "precision"],
)
def test_other_features_are_computed_again(changes, precision, photo, painting, looked_at):
    layout = everywhere(painting)
    before = Engine(Settings(style_loss="gram", **QUICK)).problem(photo, layout)
    looked_at.clear()
    after = Engine(Settings(style_loss="gram", **QUICK | changes), precision).problem(photo, layout)
    assert sorted(looked_at) == [photo.shape, painting.rgb.shape]
    contents = [found.targets.terms["content"].features for found in (before, after)]
    assert contents[1].dtype == precision
    values = [tf.cast(content, tf.float32).numpy() for content in contents]
    assert not np.array_equal(*values)


def test_another_size_or_transparency_is_measured_again(photo, painting, looked_at):
    engine = Engine(Settings(style_loss="gram", **QUICK))
    engine.problem(photo, everywhere(painting))
    looked_at.clear()
    alpha = np.full([40, 36], 255, np.uint8)
    alpha[:20] = 0
    pictures = Picture(painting.rgb[:, :30]), Picture(painting.rgb, alpha)
    found = [engine.problem(photo, everywhere(one)).targets.terms["style"] for one in pictures]
    assert looked_at == [(1, 30, 36, 3), (1, 40, 36, 3)]
    grams = [target[0].layers["block1_conv1"] for target in found]
    assert np.any(grams[0] != grams[1])
    engine.problem(photo[:, :20], everywhere(painting))
    assert looked_at[2:] == [(1, 20, 48, 3)]


# --- Problems -----------------------------------------------------------------------------------


def test_a_problem_without_masks_has_no_guides(photo, painting):
    problem = Engine(Settings(style_loss="gram", **QUICK)).problem(photo, everywhere(painting))
    (region,) = problem.targets.terms["style"]
    assert problem.regions == 0
    assert (region.guides, float(region.share), problem.targets.kept) == ({}, 1, ())


def test_a_problem_with_masks_has_a_guide_for_each_region_and_layer(photo, painting):
    mask = np.zeros([1, 32, 48, 1], np.float32)
    mask[:, :, :12] = 1
    layout = Layout((Region(((painting, 1.0),), mask), Region(((painting, 1.0),), 1 - mask)))
    problem = Engine(Settings(style_loss="gram", **QUICK)).problem(photo, layout)
    assert problem.regions == 2
    left, right = problem.targets.terms["style"]
    assert (float(left.share), float(right.share)) == (0.25, 0.75)
    assert set(left.guides) == set(left.layers) == set(dict(QUICK["style_layers"]))
    assert not problem.targets.kept.mask.numpy().any(), "nothing is kept if no mask says so"
    np.testing.assert_array_equal(problem.targets.kept.photo, photo)


# --- Steps --------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_steps_lower_the_loss(optimizer, castle, great_wave):
    engine = Engine(Settings(style_loss="gram", **QUICK | {"optimizer": optimizer}))
    photo = images.load(castle, 64).rgb
    problem = engine.problem(photo, everywhere(images.load(great_wave, 64)))
    state = engine.start(photo, problem)
    assert float(state.losses["content"]) == pytest.approx(0, abs=1e-3)
    losses = [float(state.losses["total"])]
    for _ in range(5):
        state = engine.step(state, problem)
        assert state.finite
        losses.append(float(state.losses["total"]))
    assert losses[-1] < 0.7 * losses[0]


def test_the_settings_learning_rate_and_weights_are_used(photo, painting):
    layout, moves = everywhere(painting), []
    for rate in (None, 0.0, 0.002):
        engine = Engine(Settings(style_loss="gram", **QUICK, learning_rate=rate))
        problem = engine.problem(photo, layout)
        state = engine.start(np.full_like(photo, 0.5), problem)
        moves.append(float(tf.reduce_max(tf.abs(engine.step(state, problem).image - 0.5))))
    assert moves == pytest.approx([0.02, 0, 0.002], rel=1e-2)
    strict = Engine(
        Settings(
            style_loss="gram",
            **QUICK,
            content_weight=Settings(style_loss="gram").content_weight * 10,
        )
    )
    plain = Engine(Settings(style_loss="gram", **QUICK))
    problem = plain.problem(photo, layout)
    ours, others = (engine.start(1 - photo, problem).losses for engine in (plain, strict))
    assert float(others["content"]) == pytest.approx(10 * float(ours["content"]), rel=1e-5)
    assert float(others["style"]) == pytest.approx(float(ours["style"]), rel=1e-5)


def test_other_sizes_and_weights_trace_nothing_new(rng):
    """Neither do other photos and paintings, nor another engine."""
    objective = Objective.of(Settings(style_loss="gram", **QUICK))
    compiled = compiled_step(objective, "float32", "full", 0, None)
    for height, width, weight in [(32, 48, 1e-3), (17, 60, 1e-2), (64, 33, 0.1)]:
        engine = Engine(
            Settings(style_loss="gram", **QUICK, content_weight=weight, learning_rate=weight)
        )
        painting = Picture(rng.random([1, height + 5, width, 3], dtype=np.float32))
        photo = rng.random([1, height, width, 3], dtype=np.float32)
        problem = engine.problem(photo, everywhere(painting))
        state = engine.step(engine.start(photo, problem), problem)
        assert state.image.shape == photo.shape
    assert compiled_step(objective, "float32", "full", 0, None) is compiled
    assert compiled.start.experimental_get_tracing_count() == 1
    assert compiled.step.experimental_get_tracing_count() == 1


def test_a_prepared_engine_traces_nothing_at_its_first_step(photo, painting):
    settings = Settings(style_loss="gram", **QUICK | {"content_layer": "block1_conv2"})
    engine = Engine(settings)
    engine.prepare()
    before = compiled_step.cache_info().misses
    problem = engine.problem(photo, everywhere(painting))
    engine.step(engine.start(photo, problem), problem)
    assert compiled_step.cache_info().misses == before
    compiled = compiled_step(engine.objective, "float32", "full", 0, None)
    assert compiled.step.experimental_get_tracing_count() == 1


def test_a_picture_as_small_as_a_tile_is_painted_as_a_whole(photo, painting, looked_at):
    engine = Engine(Settings(style_loss="gram", **QUICK), tile=48)
    problem = engine.problem(photo, everywhere(painting))
    before = compiled_step.cache_info().misses
    state = engine.step(engine.start(photo, problem), problem)
    whole = Engine(Settings(style_loss="gram", **QUICK))
    again = whole.step(whole.start(photo, problem), problem)
    assert compiled_step.cache_info().misses <= before + 1, "one step for both"
    np.testing.assert_array_equal(state.image, again.image)
