"""How a frame of a film is painted: what is filled in, drawn along, and how much may change."""

from __future__ import annotations

import numpy as np
import pytest

from nst_core import Easel, Settings, StopToken
from nst_core.engine.job import Follows
from nst_core.films.brush import ALLOWED, Brush, Side, around, change, soft, to_levels
from nst_core.films.motion import Motion, still, warped
from nst_core.pictures.regions import as_styles
from nst_core.stop import StoppedError

SETTINGS = Settings(size=96, steps=4, subject=False)


@pytest.fixture
def brush(steps, castle, great_wave) -> Brush:
    plan = Easel(castle, great_wave, SETTINGS).plan
    return Brush(as_styles(great_wave), SETTINGS, plan, steps=3)


@pytest.fixture
def look(castle) -> Follows:
    return Follows(castle, castle[::-1].copy())


def half(frame: np.ndarray) -> np.ndarray:
    """Known on the left."""
    known = np.ones(frame.shape[:2], bool)
    known[:, 48:] = False
    return known


def test_change_is_the_mean_square_where_it_is_known(castle):
    other = castle.copy()
    other[:, 10] ^= 1
    other[:, 60] ^= 255
    assert change(castle, other, half(castle)) == pytest.approx(1 / 48 / 255**2)
    assert change(castle, other, np.zeros_like(half(castle))) == 0


def test_seams_lie_inside_or_outside(castle):
    known = half(castle)
    assert soft(known)[:, :46].min() == 1
    assert soft(known)[:, 48:].max() == 0
    assert around(known)[:, :48].min() == 1
    assert around(known)[:, 50:].max() == 0


def test_what_comes_to_be_seen_is_filled_in_the_colours_around(steps, brush, castle, look):
    steps.hold_at(0)
    known = half(castle)
    before = np.full(castle.shape, [200, 100, 50], np.float32)
    motion = Motion(still(*castle.shape[:2]).flow, known)
    drawn = brush.between(castle, [Side(castle[:, ::-1], before, motion, 1.0)])
    np.testing.assert_allclose(drawn[:, :44], before[:, :44], atol=1)
    seam = drawn[:, 49:53].mean(axis=(0, 1))
    np.testing.assert_allclose(seam, [200, 100, 50], atol=25)


def test_between_two_key_frames_both_count_by_how_near_they_are(brush, castle):
    one, other = (np.full(castle.shape, level, np.float32) for level in (40, 80))
    here = still(*castle.shape[:2])
    sides = [Side(castle, one, here, 0.75), Side(castle, other, here, 0.25)]
    np.testing.assert_allclose(brush.between(castle, sides), 50, atol=1e-3)


def test_a_doubted_motion_counts_where_it_leads_to_what_looks_the_same(brush, castle):
    """In a face that talks no motion is certain, but most lead to the same thing."""
    here = still(*castle.shape[:2])
    doubted = here._replace(known=np.zeros_like(here.known))
    other = castle.copy()
    other[:, 48:] = 255 - other[:, 48:]
    away = np.square(castle.astype(float) - other).mean(axis=-1)
    wanted, certain = (np.full(castle.shape, level, np.float32) for level in (80, 122))
    side = Side(other, wanted, doubted, 1.0)
    np.testing.assert_allclose(side.trust(castle), 0.05 * np.exp(away / -128), atol=1e-6)
    drawn = brush.between(castle, [side])
    np.testing.assert_allclose(drawn[:, :46], 80, atol=1e-3)
    drawn = brush.between(castle, [side, Side(castle, certain, here, 1.0)])
    np.testing.assert_allclose(drawn[:, :48], 120, atol=1e-3)
    np.testing.assert_allclose(drawn[away > 2000], 122, atol=1e-3)


def test_a_frame_may_change_no_more_than_the_clip(brush, castle, look, rng):
    frame = np.clip(castle + rng.normal(0, 4, castle.shape), 0, 255).astype(np.uint8)
    motion = Motion(still(*castle.shape[:2]).flow, half(castle))
    picture = castle[::-1].astype(np.float32)
    wanted = picture + rng.normal(0, 40, picture.shape).astype(np.float32)
    calm = brush.calmed(wanted, frame, castle, picture, motion, look)
    allowed = ALLOWED * change(frame, castle, motion.known)
    shown = [brush.shown(frame, one, look) for one in (calm, warped(picture, motion.flow))]
    assert change(*shown, motion.known) == pytest.approx(allowed, rel=0.35)
    np.testing.assert_array_equal(calm[:, 52:], wanted[:, 52:])  # there nothing is known
    near = picture + 1e-3
    np.testing.assert_array_equal(brush.calmed(near, frame, castle, picture, motion, look), near)


def test_where_the_clip_stays_the_picture_stays(brush, castle, look, rng):
    """However much it changes elsewhere, where the picture may do so, too."""
    height, width = castle.shape[:2]
    frame = castle.copy()
    noisy = castle[:, 48:] + rng.normal(0, 8, [height, 48, 3])
    frame[:, 48:] = np.clip(noisy, 0, 255).astype(np.uint8)
    picture = castle[::-1].astype(np.float32)
    wanted = picture + rng.normal(0, 10, picture.shape).astype(np.float32)
    calm = brush.calmed(wanted, frame, castle, picture, still(height, width), look)
    np.testing.assert_array_equal(calm[:, :30], picture[:, :30])
    changed = np.abs(calm - picture)[:, 60:].mean()
    assert changed > np.abs(wanted - picture)[:, 60:].mean() / 4


def test_the_same_frame_again_is_not_painted_again(steps, brush, castle, look):
    picture = castle.astype(np.float32)
    here = still(*castle.shape[:2])
    assert brush.onward(castle, castle.copy(), picture, here, look, StopToken()) is picture
    assert steps.done == []


def test_where_little_is_known_a_frame_is_painted_anew(steps, brush, castle, look):
    unknown = Motion(still(*castle.shape[:2]).flow, np.zeros(castle.shape[:2], bool))
    picture = castle.astype(np.float32)
    brush.onward(castle[:, ::-1].copy(), castle, picture, unknown, look, StopToken())
    anew = len(steps.done)
    brush.onward(
        castle[:, ::-1].copy(), castle, picture, still(*castle.shape[:2]), look, StopToken()
    )
    assert (anew, len(steps.done) - anew) == (4, 3)


def test_stop_ends_a_frame(steps, brush, castle):
    with pytest.raises(StoppedError):
        brush.anew(castle, None, StopToken(lambda: "enough" if len(steps.done) == 2 else ""))
    assert len(steps.done) == 2


def test_colours_are_matched_by_the_look_and_not_by_the_frame(brush, castle, look):
    """A part of a picture is shown as it is within the whole."""
    picture = castle[::-1].astype(np.float32)
    whole = brush.shown(castle, picture, look)
    part = picture.copy()
    part[:, 48:] = 255
    np.testing.assert_array_equal(brush.shown(castle, part, look)[:, :48], whole[:, :48])
    own = Follows(castle, to_levels(part))
    assert (brush.shown(castle, part, own)[:, :48] != whole[:, :48]).any()
