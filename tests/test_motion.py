"""Motion between frames: the flow against known shifts, the rest against NumPy by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nst_core.films import motion
from nst_core.films.motion import (
    Motion,
    completed,
    composed,
    is_known,
    motions,
    warped,
    warped_sharply,
)


def constant(right: float, down: float, height: int = 8, width: int = 10) -> np.ndarray:
    return np.full([height, width, 2], [right, down], np.float32)


@pytest.mark.parametrize(("right", "down"), [(0, 0), (3, 0), (-2, 5), (7, 4)])
def test_the_flow_of_a_photo_that_is_shifted_is_the_shift(castle_512, right, down):
    photo = castle_512[60:260, 60:380]
    moved = castle_512[60 + down : 260 + down, 60 + right : 380 + right]
    there, back = motions(photo, moved)
    inner = slice(20, -20), slice(20, -20)
    for found, sign in ((there, -1), (back, 1)):
        away = np.abs(found.flow[inner] - [sign * right, sign * down])
        assert np.median(away) < 0.05
        assert np.mean(away < 0.25) > 0.9
        assert found.known[inner].mean() > 0.9


def test_what_leaves_the_frame_is_not_known(castle_512):
    _, back = motions(castle_512[:200, :300], castle_512[:200, 12:312])
    assert back.known[:, -12:].mean() < 0.1
    assert back.known[30:-30, 30:-30].mean() > 0.85


def test_what_stays_as_it_is_over_a_wide_area_has_not_moved(castle_512):
    """Into plain places DIS carries the motion of what is beside them."""
    ground = np.full([200, 320, 3], [10, 20, 30], np.uint8)
    one, other = ground.copy(), ground.copy()
    one[50:150, 40:140] = castle_512[60:160, 60:160]
    other[50:150, 44:144] = castle_512[60:160, 60:160]
    other[:, 200:] += 1  # as compression leaves it
    for found in motions(one, other):
        assert not found.flow[:, 170:].any()
        assert found.known[:, 170:].all()
    there, _ = motions(one, other)
    assert np.abs(there.flow[60:140, 60:120] - [4, 0]).mean() < 0.2


def test_a_small_place_that_stays_moves_with_what_is_around(castle_512):
    photo = castle_512[60:260, 60:380].copy()
    photo[80:88, 100:108] = 128
    there, _ = motions(photo[:, :-3], photo[:, 3:])
    assert np.abs(there.flow[83, 101] - [-3, 0]).max() < 0.5


def test_frames_smaller_than_a_patch_have_a_flow(castle):
    small = castle[:16, :18]
    assert motion.estimated(small, small).shape == (16, 18, 2)
    np.testing.assert_allclose(motion.estimated(small, small), 0, atol=1e-3)


def test_warping_takes_what_is_where_the_flow_leads_to(rng):
    picture = rng.random([8, 10, 3]).astype(np.float32)
    got = warped(picture, constant(2, 1))
    np.testing.assert_allclose(got[:-1, :-2], picture[1:, 2:], atol=1e-6)
    np.testing.assert_allclose(got[:-1, -2:], np.repeat(picture[1:, -1:], 2, axis=1), atol=1e-6)
    half = warped(picture, constant(0.5, 0))
    np.testing.assert_allclose(half[:, :-1], (picture[:, :-1] + picture[:, 1:]) / 2, atol=1e-6)


def test_sharp_warping_keeps_a_wave_that_linear_warping_wears_down():
    wave = np.tile(np.sin(np.arange(64) * 1.2)[np.newaxis, :, np.newaxis], [8, 1, 3])
    sharp = plain = wave.astype(np.float32)
    for shift in (0.5, -0.5) * 5:
        flow = constant(shift, 0, 8, 64)
        sharp, plain = warped_sharply(sharp, flow), warped(plain, flow)
    inner = slice(8, -8)
    assert np.abs(sharp - wave)[:, inner].max() < 0.15
    assert plain[:, inner].std() < 0.3 * wave[:, inner].std()
    np.testing.assert_allclose(warped_sharply(sharp, constant(0, 0, 8, 64)), sharp, atol=1e-5)


def test_occlusion_is_that_of_the_paper(rng):
    """|w + w'|^2 >= 0.01 (|w|^2 + |w'|^2) + 0.5, outside, and at the edges of motions."""
    flow = constant(1, 0)
    assert is_known(flow, constant(-1, 0))[:, :-1].all()
    assert not is_known(flow, constant(-1, 0))[:, -1].any()  # leads outside
    # 0.01 (1 + 1) + 0.5 = 0.52 with w' = (-1, d): known up to |d| < 0.72, a little more for |w'|
    assert is_known(flow, constant(-1, 0.7))[:, :-1].all()
    assert not is_known(flow, constant(-1, 0.75)).any()
    # grad u = 0.1: 0.01 > 0.01 |w|^2 + 0.002 where |w|^2 < 0.8
    ramp = np.zeros([8, 10, 2], np.float32)
    ramp[..., 0] = 0.1 * np.arange(10) - 0.5
    squares = np.square(ramp).sum(axis=-1)
    np.testing.assert_array_equal(motion.has_edge(ramp, squares), squares < 0.8)
    assert not motion.has_edge(ramp + 5, np.square(ramp + 5).sum(axis=-1)).any()


def test_motions_in_a_row_add_up(rng):
    first = Motion(constant(1, 0), np.ones([8, 10], bool))
    known = np.ones([8, 10], bool)
    known[3, 4] = False
    both = composed(first, Motion(constant(2, 1), known))
    np.testing.assert_allclose(both.flow, constant(3, 1), atol=1e-6)
    assert not both.known[3, 3]  # leads to (3, 4), where nothing is known
    assert both.known[3, 4]
    assert not both.known[:, -3:].any()
    assert not both.known[-1].any()


def test_what_is_not_known_of_a_motion_is_taken_from_another_one():
    known = np.zeros([8, 10], bool)
    known[2:5, 3:7] = True
    other = np.zeros([8, 10], bool)
    other[4:, :] = True
    both = completed(Motion(constant(2, 1), known), Motion(constant(-3, 0), other))
    np.testing.assert_array_equal(both.known, known | other)
    np.testing.assert_array_equal(both.flow[known], constant(2, 1)[known])
    np.testing.assert_array_equal(both.flow[~known], constant(-3, 0)[~known])
