"""Resizing and the detail that a larger size adds."""

from __future__ import annotations

import numpy as np

from nst_core.pictures.pyramid import add_detail, resize


def stripes(size: int, contrast: float) -> np.ndarray:
    """Stripes one pixel wide around 0.5, float32 [1, size, size, 3]."""
    picture = np.full((1, size, size, 3), 0.5 - contrast / 2, np.float32)
    picture[:, ::2] += contrast
    return picture


def test_resizing_to_the_same_size_changes_nothing(rng):
    image = rng.random((1, 9, 7, 3), dtype=np.float32)
    assert resize(image, 9, 7) is image
    np.testing.assert_array_equal(add_detail(image, 1 - image), image)


def test_shrinking_averages_and_stays_in_range(rng):
    assert resize(stripes(160, 0.4), 40, 40)[:, 2:-2, 2:-2].std() < 0.01
    noise = (rng.random((1, 40, 40, 3)) > 0.5).astype(np.float32)
    larger = resize(noise, 90, 90)
    assert larger.shape == (1, 90, 90, 3)
    assert larger.dtype == np.float32
    assert larger.min() >= 0
    assert larger.max() <= 1


def test_masses_come_from_the_coarse_picture_and_detail_from_the_photo():
    coarse = np.full((1, 40, 40, 3), 0.3, np.float32)
    got = add_detail(coarse, stripes(160, 0.2))
    assert got.shape == (1, 160, 160, 3)
    np.testing.assert_allclose(got.mean(), 0.3, atol=0.005)
    np.testing.assert_allclose(got[0, 80, 80] - got[0, 81, 80], 0.2, atol=0.01)


def test_a_picture_made_smaller_gets_all_its_detail_back(rng):
    photo = rng.random((1, 64, 48, 3), dtype=np.float32) * 0.5 + 0.25
    np.testing.assert_allclose(add_detail(resize(photo, 32, 24), photo), photo, atol=0.02)
