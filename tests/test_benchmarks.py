"""What the benchmarks' verdicts rest on: the judge, the arithmetic, the curves, the tables."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from benchmarks import (
    flicker,
    nearest_race,
    pyramid_adam,
    race,
    report,
    roofline,
    scaling,
    tuned_filter,
)
from benchmarks.nearest_race import RECIPES, Contest, Result
from benchmarks.objective import CONTENT_LAYER, CONTENT_WEIGHT, STYLE_LAYERS, Judge
from nst_core import Settings, stream, stylize
from nst_core.engine.objective import Objective
from nst_core.engine.plan import Plan
from nst_core.engine.schedule import schedule
from nst_core.networks.extractor import load_model
from nst_core.networks.stylizer import look, style_vector
from nst_core.networks.vgg import IMAGENET_MEAN_BGR, VGG16, preprocess
from nst_core.optimizers import OPTIMIZERS


def constant(colour, side=32) -> np.ndarray:
    return np.full([1, side, side, 3], np.float32(colour) / 255)


def features_of_a_constant(colour) -> dict[str, np.ndarray]:
    """Each channel's one value, since a window on a constant sees nothing but the constant."""
    x, found = np.float64(colour)[::-1] - IMAGENET_MEAN_BGR, {}
    for layer in VGG16.up_to(["block5_conv1"]):
        kernel, bias = load_model().get_layer(layer.name).get_weights()
        x = np.maximum(0, x @ kernel.sum((0, 1)) + bias)
        found[layer.name] = x
    return found


def test_the_judge_agrees_with_the_equations_on_constants():
    photo, painting, saved = (200, 120, 40), (20, 60, 180), (90, 90, 160)
    p, a, f = (features_of_a_constant(colour) for colour in (photo, painting, saved))
    positions = (32 / 8) ** 2
    content = 512**2 / 32**2 * positions * np.sum((f[CONTENT_LAYER] - p[CONTENT_LAYER]) ** 2) / 2
    style = 0.0
    for layer, weight in STYLE_LAYERS.items():
        gap = np.outer(f[layer], f[layer]) - np.outer(a[layer], a[layer])
        style += weight * np.sum(gap**2) / (4 * len(f[layer]) ** 2)
    judge = Judge(constant(photo), constant(painting), "repeat")
    found = judge.loss(np.rint(constant(saved)[0] * 255).astype(np.uint8))
    assert found == pytest.approx(CONTENT_WEIGHT * content + style, rel=1e-4)


def test_with_zeros_around_it_the_judge_sees_what_keras_vgg16_sees(castle, great_wave):
    photo, painting = (np.float32(picture[np.newaxis]) / 255 for picture in (castle, great_wave))
    judge = Judge(photo, painting, "zero")
    vgg16 = load_model()
    keras = type(vgg16)(vgg16.inputs, vgg16.get_layer(CONTENT_LAYER).output)
    expected = keras(preprocess(photo)).numpy()
    np.testing.assert_allclose(judge.content, expected, atol=1e-3 * expected.max())


def test_the_arithmetic_of_a_step_is_that_of_its_products():
    """At 512 px the convolutions down to block5_conv1 take 150.7 GFLOP, counted apart from here."""
    convolutions = 2 * 150.7e9
    sides = {"block1": 512, "block2": 256, "block3": 128, "block4": 64, "block5": 32}
    channels = {"block1": 64, "block2": 128, "block3": 256, "block4": 512, "block5": 512}
    grams = sum(2 * 2 * channels[block] ** 2 * sides[block] ** 2 for block in sides)
    assert roofline.step_flop(512) == pytest.approx(convolutions + grams, rel=1e-3)


def test_the_arithmetic_of_a_nearest_step_has_its_matching_and_its_edges():
    """At 512 px, counted apart from here, from the sizes of the matrices."""
    channels = {1: 64, 2: 128, 3: 256, 4: 512}
    convolutions = sum(
        2 * 9 * before * own * (512 >> (block - 1)) ** 2
        for block, pairs in {
            1: [(3, 64), (64, 64)],
            2: [(64, 128), (128, 128)],
            3: [(128, 256), (256, 256), (256, 256)],
            4: [(256, 512), (512, 512), (512, 512)],
        }.items()
        for before, own in pairs
    )
    asked = {1: 2 * 128**2, 2: 2 * 128**2, 3: 3 * 64**2, 4: 3 * 64**2}  # positions, of all layers
    matching = sum(2 * 64**2 * asked[block] * channels[block] for block in channels)
    edges = 2 * 2 * 512 * 512 * (3 * (2 * 256 + 24) + 1 * (2 * 64))
    finest = 2 * convolutions + matching + edges
    assert roofline.step_flop(512, "nearest, by layer") == pytest.approx(finest, rel=1e-6)

    grams = sum(2 * 2 * channels[block] ** 2 * (512 >> (block - 1)) ** 2 for block in channels)
    columns = 6 * sum({1: 2, 2: 2, 3: 3, 4: 3}[block] * channels[block] for block in channels)
    coarser = 2 * convolutions + grams + columns * 128**2 + edges
    assert roofline.step_flop(512, "nearest, joined") == pytest.approx(coarser, rel=1e-6)


def test_the_exponent_of_a_power_law_is_found():
    sizes = (128, 256, 512, 1024)
    found = [scaling.Measurement("float32", size, 3e-6 * (size**2) ** 1.07, 0, 0) for size in sizes]
    assert scaling.exponent(found) == pytest.approx(1.07)


def test_a_curve_knows_when_a_loss_was_reached():
    curve = race.Curve(seconds=[0.5, 1.0, 1.5], losses=[9.0, 4.0, 5.0])
    assert curve.seconds_to(9.0) == 0.5
    assert curve.seconds_to(4.5) == 1.0
    assert curve.seconds_to(3.9) is None


def test_every_contestant_and_pair_has_a_file_of_its_own():
    files = [race.result_file(who, pair) for who in race.CONTESTANTS for pair in race.PAIRS]
    assert len(set(files)) == len(files)


def test_every_contestant_has_a_look_in_the_figure():
    assert tuple(race.LOOKS) == race.CONTESTANTS


# --- Nearest features: ours against the published schedule ----------------------------------------


@pytest.fixture
def plan() -> Plan:
    """Of a default run at 384 px."""
    scales = schedule(288, 384, Settings().steps, Objective.of(Settings()).coarse)
    return Plan(384, 288, scales, "float32", None, "full")


def test_the_published_schedule_has_200_steps_a_scale_and_200_at_the_end(plan):
    scales = nearest_race.published(plan).scales
    assert [scale.steps for scale in scales] == [200] * 5
    assert [scale.width for scale in scales] == [48, 96, 192, 383, 384]
    assert [scale.height for scale in scales] == [36, 72, 144, 287, 288]
    assert nearest_race.shorter(plan).scales == (*scales[:3], scales[4])


def test_ours_begins_as_a_default_run_does(plan):
    scales = nearest_race.longer(plan).scales
    assert scales[:-1] == plan.scales[:-1]
    assert scales[-1] == replace(plan.scales[-1], steps=nearest_race.OUR_STEPS)
    assert scales[-1].steps > plan.scales[-1].steps


def test_all_recipes_of_the_nearest_race_minimise_the_same():
    for is_finest in (False, True):
        objectives = [
            replace(Objective.of(recipe.settings, is_finest=is_finest), optimizer_name="")
            for recipe in RECIPES.values()
        ]
        assert len(set(objectives)) == 1
    weights = {(r.settings.style_weight, r.settings.strength) for r in RECIPES.values()}
    assert len(weights) == 1


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Keep results of the first pair: recipe -> moments, losses, own losses, steps."""
    monkeypatch.setattr(nearest_race, "FOLDER", tmp_path)

    def keep(**found):
        for recipe, (seconds, losses, own, steps) in found.items():
            content = {"seconds": seconds, "losses": {"total": losses}, "own": own, "steps": steps}
            report.keep(Contest(recipe, nearest_race.PAIRS[0], 64).result_file, content)

    return keep


def test_the_nearest_race_tells_how_much_sooner_ours_was_there(results):
    results(
        ours=([1.0, 5.0, 9.0], [9e6, 4e6, 2e6], [None, 3e6, 1e6], [15, 60, 90]),
        published=([10.0, 50.0], [8e6, 4e6], [None, 1e6], [200, 1000]),
    )
    assert nearest_race.rows_of(nearest_race.PAIRS[0], 64) == [
        ["published", "castle x great-wave", 50.0, 4.0, 5.0, 10.0, pytest.approx(50 / 9)],
        ["default", "castle x great-wave", 5.0, 4.0, "-", "-", "-"],
    ]


def test_the_nearest_race_says_where_ours_was_never_there(results):
    results(
        ours=([5.0, 9.0], [4e6, 2e6], [3e6, 2e6], [60, 90]),
        shorter=([50.0], [1e6], [1e6], [800]),
    )
    (row, _) = nearest_race.rows_of(nearest_race.PAIRS[0], 64)
    assert row[2:] == [50.0, 1.0, "not in 9 s", "-", "-"]


def test_without_ours_the_nearest_race_has_no_rows(results):
    results(published=([10.0], [8e6], [1e6], [1000]))
    assert nearest_race.rows_of(nearest_race.PAIRS[0], 64) == []
    assert Result.read(Contest("shorter", nearest_race.PAIRS[0], 64)) is None


def test_the_clock_counts_the_call_and_pictures_are_kept_ever_more_rarely(monkeypatch):
    now = iter([0, 2, 2.05, 3, 3.1, 3.12])  # began, then at each frame
    monkeypatch.setattr(nearest_race.time, "perf_counter", lambda: next(now))
    frames = [SimpleNamespace(step=step, done=step == 4) for step in range(5)]
    kept = list(nearest_race.timed(lambda: frames))
    assert [(seconds, frame.step) for seconds, frame in kept] == [(2, 0), (3, 2), (3.12, 4)]


def test_every_contest_has_a_file_of_its_own():
    contests = [
        Contest(recipe, pair, size)
        for recipe in RECIPES
        for pair in nearest_race.PAIRS
        for size in (256, 384)
    ]
    assert len({contest.result_file for contest in contests}) == len(contests)


def test_the_judge_of_the_nearest_race_sees_what_the_run_minimises(castle, great_wave):
    """On the saved picture, whose palette and rounding make a difference, but no large one."""
    frame = stylize(castle, great_wave, Settings(size=96, steps=8, precision="float32"))
    photo, painting = (np.float32(picture[np.newaxis]) / 255 for picture in (castle, great_wave))
    judge = nearest_race.Judge(photo, painting)
    losses = judge.losses(frame.image)
    assert set(losses) == {"total", "content", "style", "edges", "tv"}
    assert losses["total"] == pytest.approx(sum(losses.values()) / 2, rel=1e-4)
    assert losses["total"] == pytest.approx(frame.losses["total"], rel=0.5)
    assert judge.losses(np.zeros_like(frame.image))["total"] > 1.5 * losses["total"]


# --- Adam on a pyramid ----------------------------------------------------------------------------


def pyramid_of(rng, height, width) -> list[np.ndarray]:
    sizes = [(max(1, height >> level), max(1, width >> level)) for level in range(9)]
    return [rng.random((1, *size, 3), np.float32) for size in sizes]


@pytest.mark.parametrize("size", [(300, 256), (37, 64), (3, 5)])
def test_levels_have_the_gradient_of_their_sum(size, rng):
    """By the definition of the adjoint: <sum of the levels, g> = sum of <level, its gradient>."""
    levels, gradient = pyramid_of(rng, *size), rng.random((1, *size, 3), np.float32)
    found = pyramid_adam.levels_of_gradient(tf.constant(gradient))
    halvings = min(8, int(math.log2(min(size))))
    levels = [level * (i <= halvings) for i, level in enumerate(levels)]
    products = [np.sum(one * own) for one, own in zip(levels, found, strict=True)]
    assert np.sum(pyramid_adam.summed(levels) * gradient) == pytest.approx(sum(products), rel=1e-4)


@pytest.mark.parametrize(("side", "levels"), [(4, 3), (64, 7), (256, 9), (512, 9)])
def test_a_first_step_moves_a_plain_picture_by_the_rate_of_each_level(side, levels):
    optimizer, rate = pyramid_adam.PyramidAdam(), 0.01
    picture, gradient = (np.full([1, side, side, 3], np.float32(value)) for value in (0.5, 3.0))
    moved, _ = optimizer.update(picture, tf.constant(gradient), optimizer.init(picture), rate)
    np.testing.assert_allclose(moved, picture - levels * rate, atol=1e-5)


def test_the_engine_paints_with_adam_on_the_pyramid(castle, great_wave, monkeypatch):
    monkeypatch.setitem(OPTIMIZERS, pyramid_adam.NAME, pyramid_adam.PyramidAdam())
    settings = Settings(
        optimizer=pyramid_adam.NAME,
        init="grey",
        steps=5,
        style_weight=0,  # a small step, soon compiled
        edge_weight=0,
        precision="float32",
        frame_interval=0,
    )
    _, *frames = stream(castle, great_wave, settings)
    losses = [frame.losses["total"] for frame in frames]
    assert losses == sorted(losses, reverse=True)


# --- Tables ---------------------------------------------------------------------------------------


def test_a_table_is_aligned_markdown():
    rows = [["a", 1.23456], ["longer", 1234.5], ["n", math.pi]]
    assert report.table(["name", "value"], rows).split("\n") == [
        "| name   | value |",
        "| ------ | ----- |",
        "| a      | 1.23  |",
        "| longer | 1234  |",
        "| n      | 3.14  |",
    ]


def test_a_strip_shows_consecutive_frames_under_each_other(tmp_path, castle):
    frames = [np.full_like(castle, 20 * number) for number in range(9)]
    middle = flicker.shown(frames)
    assert [frame[0, 0, 0] for frame in middle] == [40, 60, 80, 100, 120]
    assert len(flicker.shown(frames[:3])) == 3
    flicker.strip({"one": middle, "other": middle[:2]}, tmp_path / "strip.jpg")
    with Image.open(tmp_path / "strip.jpg") as image:
        sheet = np.asarray(image)
    height, width, _ = castle.shape
    step = height + flicker.LINE + flicker.GAP
    assert sheet.shape[:2] == (2 * step - flicker.GAP, 5 * (width + flicker.GAP) - flicker.GAP)
    place = step + flicker.LINE + 9, width + flicker.GAP + 9
    assert abs(int(sheet[place][0]) - 60) < 4
    assert sheet[place[0], 4 * (width + flicker.GAP)].min() > 250  # nothing is there


def test_flicker_measured_before_stays_in_the_table_unless_options_differ(tmp_path, monkeypatch):
    monkeypatch.setattr(flicker, "KEPT", tmp_path / "flicker.json")
    options = SimpleNamespace(size=96, seconds=1, start=0, rate=12, steps=4)
    assert flicker.measured_before(options) == {}
    row = ["a.mp4", "quick", 1e-5]
    report.keep(flicker.KEPT, {"options": flicker.of_all(options), "rows": [row]})
    assert flicker.measured_before(options) == {("a.mp4", "quick"): row}
    options.size = 192
    assert flicker.measured_before(options) == {}


def test_a_filter_begins_as_the_stylizer_in_the_style_of_the_painting(castle, great_wave):
    photo, painting = (np.float32(picture[np.newaxis]) / 255 for picture in (castle, great_wave))
    photo = photo[:, :61, :50]  # not whole cells of the net
    vector = style_vector(painting)
    found = tuned_filter.stylized(photo, tuned_filter.parameters_of(vector))
    np.testing.assert_allclose(found, look(photo, vector), atol=1e-4)
