"""Resizing and the detail that a larger size adds."""

from __future__ import annotations

import numpy as np
import pytest

from nst_core.pyramid import add_detail, over_scales, resize


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


@pytest.mark.parametrize(("height", "width"), [(16, 32), (7, 13), (1, 5)])
def test_over_scales_is_symmetric_and_positive(height, width, rng):
    """So that it may stand in for an inverse Hessian, at odd sizes too."""
    a, b = (rng.standard_normal((1, height, width, 3)).astype(np.float32) for _ in range(2))
    pa, pb = (over_scales(x, 4).numpy() for x in (a, b))
    tolerance = 1e-4 * np.linalg.norm(a) * np.linalg.norm(pb)
    np.testing.assert_allclose(np.sum(a * pb), np.sum(pa * b), rtol=0, atol=tolerance)
    assert np.sum(a * pa) >= np.sum(a * a)


def test_over_scales_adds_up_the_levels_of_what_is_large_and_leaves_what_is_small():
    flat = np.full((1, 128, 128, 3), 0.25, np.float32)
    inside = (slice(None), slice(48, 80), slice(48, 80))
    np.testing.assert_allclose(over_scales(flat, 3).numpy()[inside], 4 * 0.25, rtol=1e-5)
    checkers = 0.25 * (-1.0) ** np.add.outer(np.arange(128), np.arange(128))
    checkers = np.float32(np.broadcast_to(checkers[np.newaxis, :, :, np.newaxis], flat.shape))
    np.testing.assert_allclose(
        over_scales(checkers, 3).numpy()[inside], checkers[inside], atol=1e-6
    )
