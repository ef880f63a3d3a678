"""Smoothing that stops at edges: against independent NumPy, and what it keeps."""

from __future__ import annotations

import numpy as np
import pytest

from nst_core.pictures import images, smoothing
from nst_core.pictures.smoothing import TEXTURE, guided_filter, without_texture


def test_the_filter_against_its_definition(rng):
    """Window by window, by least squares: the linear map of the guide that is nearest to values."""
    side, edge, reach = 3, 0.01, 1
    values, guide = rng.random([6, 7, 2]), rng.random([6, 7, 3])

    def window(x, row, column):
        rows, columns = (
            np.clip(np.arange(i - reach, i + reach + 1), 0, n - 1)
            for i, n in ((row, 6), (column, 7))
        )
        return x[np.ix_(rows, columns)].reshape(side * side, -1)

    maps = np.empty([6, 7, 4, 2])
    for row, column in np.ndindex(6, 7):
        x, y = window(guide, row, column), window(values, row, column)
        away = x - x.mean(axis=0)
        ridge = np.concatenate([away, np.sqrt(side * side * edge) * np.eye(3)])
        wanted = np.concatenate([y - y.mean(axis=0), np.zeros([3, 2])])
        slope = np.linalg.lstsq(ridge, wanted, rcond=None)[0]
        maps[row, column] = np.vstack([slope, y.mean(axis=0) - x.mean(axis=0) @ slope])
    expected = np.empty_like(values)
    for row, column in np.ndindex(6, 7):
        mean = window(maps, row, column).mean(axis=0).reshape(4, 2)
        expected[row, column] = guide[row, column] @ mean[:3] + mean[3]
    np.testing.assert_allclose(guided_filter(values, guide, side, edge), expected, rtol=1e-6)


def test_texture_goes_and_edges_stay(rng):
    photo = np.full([1, 128, 128, 3], 0.3, np.float32)
    photo[:, :, 64:] = 0.7
    grass = rng.normal(0, TEXTURE / 4, [1, 128, 128, 1]).astype(np.float32)
    found = without_texture(photo + grass, photo + grass)
    beside = np.abs(np.arange(128) - 63.5) > 8
    assert np.std((found - photo)[:, :, beside]) < 0.4 * np.std(grass)
    step = found[:, :, 64:68].mean() - found[:, :, 60:64].mean()
    assert step == pytest.approx(0.4, abs=0.02)


def test_a_thing_of_another_colour_stays_whatever_the_picture_makes_of_it():
    """A mast of the sky's light in the picture, faint, but not in the photo."""
    sky, mast = np.float32([0.5, 0.5, 0.5]), np.float32([0.52, 0.5, 0.45])
    picture = np.tile(sky, [1, 96, 96, 1])
    picture[:, :, 47:49] = mast
    photo = np.tile(np.float32([0.1, 0.2, 0.5]), [1, 96, 96, 1])
    photo[:, :, 47:49] = [0.6, 0.4, 0.2]
    found = without_texture(picture, photo)
    np.testing.assert_allclose(found[0, 48, 48], mast, atol=0.01)
    np.testing.assert_allclose(found[0, 48, 8], sky, atol=0.01)


def test_a_large_picture_is_smoothed_about_as_on_every_pixel(monkeypatch, castle_512):
    photo = images.load(castle_512, 512).rgb
    exact = without_texture(photo, photo)
    monkeypatch.setattr(smoothing, "LARGEST", 384)
    by_a_copy = without_texture(photo, photo)
    away = np.abs(by_a_copy - exact).mean()
    assert 0 < away < 0.4 * np.abs(exact - photo).mean()
    assert (by_a_copy.shape, by_a_copy.dtype) == (photo.shape, np.float32)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (40, 2)])
def test_small_and_plain_pictures_stay_what_they_are(size):
    plain = np.full([1, *size, 3], 0.25, np.float32)
    np.testing.assert_allclose(without_texture(plain, plain), plain, atol=1e-6)
