"""A photo in a painting's colours: against an independent search, and on known colours."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from conftest import example
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nst_core.colors import transport
from nst_core.colors.oklab import from_oklab, to_oklab
from nst_core.colors.transport import to_nearest_colors
from nst_core.pictures import images

SIDES = st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3))
PICTURES = hnp.arrays(np.uint8, SIDES)

# Skin, an orange suit, a black helmet, a grey wall.
SKIN, SUIT, HELMET, WALL = (224, 178, 150), (226, 92, 40), (20, 20, 22), (196, 190, 188)


@pytest.fixture
def photo():
    return images.to_uint8(images.load(example("content/castle"), 120).rgb)


@pytest.fixture
def painting():
    return images.to_uint8(images.load(example("style/auvers"), 120).rgb)


def stripes(*colors, width=12):
    """Flat stripes of the same width side by side."""
    return np.tile(np.repeat(np.uint8(colors), width, axis=0), (16, 1, 1))


def test_the_assignment_is_the_cheapest_and_moves_are_weighted_by_nearness(rng, monkeypatch):
    """All assignments of four colours to five, one by one; colours of the grid are exact."""
    monkeypatch.setattr(transport, "SAMPLES", 4)
    levels = np.linspace(0, 255, transport.GRID).round().astype(np.uint8)
    picture, painting = (levels[rng.integers(0, transport.GRID, (1, n, 3))] for n in (4, 5))
    own, wanted = to_oklab(picture[0]), to_oklab(painting[0])
    moves = min(
        (wanted[list(order)] - own for order in itertools.permutations(range(5), 4)),
        key=lambda moves: float((moves**2).sum()),
    )
    expected = []
    for color in own:
        weights = [np.exp(-((color - x) ** 2).sum() / (2 * 0.06**2)) for x in own]
        expected.append(color + np.average(moves, axis=0, weights=weights))
    got = to_nearest_colors(picture, painting, spare=1.25)
    assert np.abs(got[0].astype(int) - from_oklab(np.float32(expected))).max() <= 1


def test_a_picture_that_has_the_paintings_colours_stays(photo):
    for spare in (1.0, 2.0):
        got = to_nearest_colors(photo, photo, spare=spare).astype(int)
        assert np.abs(got - photo).mean() < 2


def test_what_is_warm_takes_the_paintings_warm_colours(painting):
    """Beside blue and green, in which a linear map tints all that is not orange."""
    got = to_nearest_colors(stripes(SKIN, SUIT, HELMET, WALL), painting)[8].astype(int)
    skin, suit, helmet, _wall = (got[start + 6] for start in (0, 12, 24, 36))
    for red, _, blue in (skin, suit):
        assert red > blue + 40
    assert suit[0] - suit[1] > 60
    assert helmet.max() < 80


def test_flat_things_have_colours_that_the_painting_has(painting):
    got = to_nearest_colors(
        stripes(SKIN, SUIT, HELMET, WALL, (90, 140, 220), (60, 90, 40)), painting
    )
    colors, palette = to_oklab(got[8, 6::12]), to_oklab(painting.reshape(-1, 3))
    away = np.linalg.norm(colors[:, np.newaxis] - palette, axis=-1).min(axis=1)
    assert away.max() < 0.05


def test_with_nothing_to_spare_a_picture_has_as_much_of_each_colour_as_the_painting():
    """A quarter of the painting is red; a grey photo has the choice to leave it or not."""
    grey = stripes((100, 100, 100), (110, 110, 110), (120, 120, 120), (130, 130, 130))
    painting = stripes((100, 100, 100), (110, 110, 110), (120, 120, 120), (200, 40, 40))

    def most_red(spare):
        got = to_nearest_colors(grey, painting, spare=spare).astype(int)
        return (got[..., 0] - got[..., 2]).max()

    assert most_red(1.0) > 20
    assert most_red(2.0) < 10


def test_only_what_counts_of_a_picture_moves_its_colours(photo, painting):
    counts = np.zeros(photo.shape[:2], bool)
    counts[: len(counts) // 2] = True
    other = photo.copy()
    other[~counts] = 255 - other[~counts]
    got, expected = (to_nearest_colors(x, painting, counts)[counts] for x in (other, photo))
    np.testing.assert_array_equal(got, expected)


@given(PICTURES, PICTURES, st.sampled_from([1.0, 1.5, 2.0]))
def test_any_picture_takes_any_palette(picture, painting, spare):
    got = to_nearest_colors(picture, painting, spare=spare)
    assert (got.shape, got.dtype) == (picture.shape, np.uint8)
