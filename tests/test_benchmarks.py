"""What the benchmarks' verdicts rest on: the judge, the arithmetic, the curves, the tables."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks import race, report, roofline, scaling
from benchmarks.objective import CONTENT_LAYER, CONTENT_WEIGHT, STYLE_LAYERS, Judge
from nst_core.networks.extractor import load_model
from nst_core.networks.vgg import IMAGENET_MEAN_BGR, VGG16, preprocess


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


def test_a_table_is_aligned_markdown():
    rows = [["a", 1.23456], ["longer", 1234.5], ["n", math.pi]]
    assert report.table(["name", "value"], rows).split("\n") == [
        "| name   | value |",
        "| ------ | ----- |",
        "| a      | 1.23  |",
        "| longer | 1234  |",
        "| n      | 3.14  |",
    ]
