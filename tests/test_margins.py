"""Margins of a painting's reproduction are not painted with."""

import numpy as np
import pytest

from nst_core import Settings
from nst_core.engine.job import load_job
from nst_core.engine.objective import Objective
from nst_core.pictures import images
from nst_core.pictures.margins import DEEPEST, without_margins
from nst_core.pictures.regions import as_styles
from tests.conftest import EXAMPLES

SIDES = {
    "top": np.s_[:, :3],
    "bottom": np.s_[:, -3:],
    "left": np.s_[:, :, :3],
    "right": np.s_[:, :, -3:],
}


def painting(height: int = 200, width: int = 240) -> np.ndarray:
    """Soft colours with some grain, as of an evenly lit canvas."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:height, 0:width] / np.float32(max(height, width))
    colors = np.stack([rows, columns, 1 - rows], axis=-1) * 0.6 + 0.2
    grain = rng.normal(0, 0.02, colors.shape)
    return (colors + grain).clip(0, 1)[np.newaxis].astype(np.float32)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("margin", [0.0, 1.0])
def test_a_margin_becomes_the_mirror_image_of_the_painting(side: str, margin: float):
    whole = painting()
    scanned = whole.copy()
    scanned[SIDES[side]] = margin

    cleaned = without_margins(scanned)

    assert np.abs(cleaned - whole).max() < 0.2  # grain and slope of the mirrored rows
    untouched = np.s_[:, 5:-5, 5:-5]
    np.testing.assert_array_equal(cleaned[untouched], whole[untouched])


def test_margins_all_around_are_found_together():
    whole = painting()
    scanned = whole.copy()
    for side in SIDES.values():
        scanned[side] = 0

    assert np.abs(without_margins(scanned) - whole).max() < 0.25


@pytest.mark.parametrize(
    "picture",
    [
        painting(),
        np.random.default_rng(1).random((1, 64, 64, 3), np.float32),
        np.zeros((1, 16, 300, 3), np.float32),
        np.ones((1, 1, 1, 3), np.float32),
    ],
    ids=["painting", "noise", "black", "one pixel"],
)
def test_without_a_margin_nothing_changes(picture: np.ndarray):
    np.testing.assert_array_equal(without_margins(picture), picture)


def test_a_line_further_in_belongs_to_the_painting():
    picture = painting()
    picture[:, round(200 * DEEPEST / 100) + 2] = 0

    np.testing.assert_array_equal(without_margins(picture), picture)


def test_the_black_rim_of_a_real_reproduction_is_not_painted_with():
    source = EXAMPLES / "style" / "aigues-mortes.jpg"
    settings = Settings(size=512)
    job, _ = load_job(painting()[0], as_styles(source), settings, None, Objective.of(settings))
    (loaded,) = job.layout.paintings
    top = np.s_[:, 0]

    assert images.load(source, 240).rgb[top].mean() < 0.15
    assert loaded.rgb[top].mean() > 0.3


def test_a_transparent_painting_stays_as_it_is():
    cut_out = np.zeros((64, 64, 4), np.uint8)
    cut_out[2:-2, 2:-2] = 200
    settings = Settings(size=64)
    job, _ = load_job(painting()[0], as_styles(cut_out), settings, None, Objective.of(settings))
    (loaded,) = job.layout.paintings

    np.testing.assert_array_equal(loaded.rgb, images.load(cut_out).rgb)
