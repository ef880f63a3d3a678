"""The mirror: what of a camera's frames is painted, kept, and held still."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from conftest import example

from nst_core.films import mirror
from nst_core.films.mirror import Contrast, Mirror
from nst_core.networks.stylizer import look, style_vector
from nst_core.pictures import images


@pytest.fixture(scope="module")
def vectors() -> list[np.ndarray]:
    """The styles of two paintings."""
    names = ("style/great-wave", "style/composition-viii")
    return [style_vector(images.load(example(name), 256).rgb) for name in names]


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """A photo, uint8 [107, 160, 3]."""
    return images.to_uint8(images.load(example("content/castle"), 160).rgb)


def painted(frame: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """A frame by itself, uint8 [H, W, 3]."""
    return images.to_uint8(look(frame[np.newaxis] / np.float32(255), vector))


def noisy(frame: np.ndarray, rng: np.random.Generator, level: float = 3.0) -> np.ndarray:
    """A frame as a camera sees it, with noise of so many levels."""
    return np.rint(frame + level * rng.standard_normal(frame.shape)).clip(0, 255).astype(np.uint8)


def flicker(pictures: list[np.ndarray]) -> float:
    """Mean squared difference from one to the next."""
    pairs = itertools.pairwise(np.float32(picture) for picture in pictures)
    return float(np.mean([np.square(after - before).mean() for before, after in pairs]))


# --- Styles -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "share"), [((1, 0), 0), ((0, 1), 1), ((1, 3), 0.75), ((0.05, 0.05), 0.5)]
)
def test_the_vectors_of_paintings_are_mixed_by_their_weights(vectors, weights, share):
    one, two = vectors
    found = mirror.mixed(list(zip(vectors, weights, strict=True)))
    np.testing.assert_allclose(found, (1 - share) * one + share * two, atol=1e-5)


def test_of_paintings_that_do_not_count_nothing_is_mixed(vectors):
    assert mirror.mixed([(vectors[0], 0.0)]) is None
    assert mirror.mixed([]) is None


def test_the_first_frame_is_what_the_stylizer_makes_of_it(vectors, photo, monkeypatch):
    """At full strength, for which its own style is never asked."""
    monkeypatch.setattr(mirror, "style_vector", lambda _: pytest.fail("found a style"))
    found = Mirror().paint(photo, [(vectors[0], 0.4)])
    np.testing.assert_allclose(found, painted(photo, vectors[0]), atol=1)


def test_without_strength_a_frame_keeps_its_own_style(vectors, photo):
    own = style_vector(photo[np.newaxis] / np.float32(255))
    found = Mirror().paint(photo, [(vectors[0], 1.0)], 0.0)
    np.testing.assert_allclose(found, painted(photo, own), atol=1)
    np.testing.assert_array_equal(Mirror().paint(photo, [(vectors[0], 0.0)]), found)


def test_the_stronger_the_further_from_the_frames_own_style(vectors, photo):
    own, *others = (
        Mirror().paint(photo, [(vectors[1], 1.0)], strength).astype(float)
        for strength in (0.0, 0.3, 0.6, 1.0)
    )
    away = [np.square(picture - own).mean() for picture in others]
    assert 0 < away[0] < away[1] < away[2]


def test_a_frames_own_style_is_found_now_and_then(vectors, photo, monkeypatch):
    asked: list[int] = []
    find = mirror.style_vector
    monkeypatch.setattr(mirror, "style_vector", lambda frame: asked.append(1) or find(frame))
    live = Mirror()
    for _ in range(mirror.OWN_EVERY + 1):
        live.paint(photo, [(vectors[0], 1.0)], 0.5)
    assert len(asked) == 2


# --- Steady -------------------------------------------------------------------------------------


def test_a_still_scene_with_noise_flickers_far_less(vectors, photo, rng):
    frames = [noisy(photo, rng) for _ in range(8)]
    live = Mirror()
    steady = [live.paint(frame, [(vectors[0], 1.0)]) for frame in frames]
    alone = [painted(frame, vectors[0]) for frame in frames]
    assert flicker(steady) < flicker(alone) / 4
    assert flicker(steady) > 0


def test_it_goes_on_with_what_moves(vectors, rng):
    """It keeps the strokes of a moving scene as it keeps those of a still one, and is sharp."""
    wide = images.to_uint8(images.load(example("content/castle"), 240).rgb)
    frames = [noisy(wide[:120, 3 * n : 3 * n + 160], rng) for n in range(8)]
    live = Mirror()
    steady = [live.paint(frame, [(vectors[0], 1.0)]) for frame in frames]
    alone = [painted(frame, vectors[0]) for frame in frames]
    moved = [
        [p[10:-10, 30 - 3 * n : 130 - 3 * n] for n, p in enumerate(ps)] for ps in (steady, alone)
    ]
    assert flicker(moved[0]) < flicker(moved[1]) / 2
    edges = [
        np.abs(np.diff(np.float32(picture), axis=1)).mean() for picture in (steady[-1], alone[-1])
    ]
    assert edges[0] > 0.6 * edges[1]


def test_of_another_scene_nothing_is_left(vectors, photo):
    other = images.to_uint8(images.load(example("content/owl"), 160).rgb)[:100, :160]
    here = photo[:100, :160]
    live = Mirror()
    for _ in range(3):
        before = live.paint(here, [(vectors[0], 1.0)])
    after = live.paint(other, [(vectors[0], 1.0)])
    ghost = np.corrcoef((before - before.mean()).ravel(), (after - after.mean()).ravel())[0, 1]
    alone = painted(other, vectors[0])
    own = np.corrcoef(painted(here, vectors[0]).ravel(), alone.ravel())[0, 1]
    assert ghost < own + 0.1
    assert np.corrcoef(after.ravel(), alone.ravel())[0, 1] > 0.9


def test_the_rest_keeps_its_contrast_when_somebody_walks_in(vectors, photo):
    visited = photo.copy()
    visited[:, :60] = 250
    live = Mirror()
    for _ in range(3):
        before = live.paint(photo, [(vectors[0], 1.0)])
    after = live.paint(visited, [(vectors[0], 1.0)])
    alone = painted(visited, vectors[0])
    rest = [np.float32(picture[:, 90:]) for picture in (before, after, alone)]
    jump, free = (np.abs((one - rest[0]).mean(axis=(0, 1))).max() for one in rest[1:])
    assert free > 5
    assert jump < free / 4


def test_a_contrast_comes_slowly_to_what_is_there(vectors, photo):
    """It is held, and not for ever."""
    visited = photo.copy()
    visited[:, :60] = 250
    live = Mirror()
    live.paint(photo, [(vectors[0], 1.0)])
    for _ in range(60):
        after = live.paint(visited, [(vectors[0], 1.0)])
    away = np.float32(after[:, 90:]) - painted(visited, vectors[0])[:, 90:]
    assert np.abs(away.mean(axis=(0, 1))).max() < 3


def test_other_paintings_are_there_at_once(vectors, photo):
    live = Mirror()
    for _ in range(3):
        live.paint(photo, [(vectors[0], 1.0)])
    found = live.paint(photo, [(vectors[0], 0.0), (vectors[1], 1.0)])
    np.testing.assert_allclose(found, painted(photo, vectors[1]), atol=1)


def test_a_camera_that_is_turned_begins_anew(vectors, photo):
    live = Mirror()
    for frame in (photo, np.ascontiguousarray(photo.transpose(1, 0, 2))):
        assert live.paint(frame, [(vectors[0], 1.0)]).shape == frame.shape


@pytest.mark.parametrize("side", [32, 33, 64])
def test_small_and_odd_frames(vectors, side):
    frame = np.full([side, side + 1, 3], 128, np.uint8)
    live = Mirror()
    for _ in range(2):
        picture = live.paint(frame, [(vectors[0], 1.0)])
    assert (picture.shape, picture.dtype) == (frame.shape, np.uint8)


def test_a_contrast_is_given_and_taken(rng):
    picture, weights = rng.uniform(0.4, 0.6, [9, 7, 3]), rng.uniform(0, 1, [9, 7])
    own = Contrast.of(picture, weights)
    np.testing.assert_allclose(own.mean, np.average(picture, (0, 1), np.dstack([weights] * 3)))
    wanted = Contrast(own.mean + 0.1, own.deviation * 1.5)
    found = Contrast.of(wanted.given(picture, own), weights)
    np.testing.assert_allclose(found.mean, wanted.mean, atol=1e-3)
    np.testing.assert_allclose(found.deviation, wanted.deviation, atol=2e-3)


def test_where_there_is_no_contrast_none_is_made():
    flat = np.full([4, 4, 3], 0.5, np.float32)
    own = Contrast.of(flat, np.ones([4, 4]))
    found = Contrast(own.mean, own.deviation * 1000).given(flat, own)
    np.testing.assert_allclose(found, flat, atol=1e-6)


def test_one_that_runs_on_holds_no_more(vectors, photo):
    """A frame and a picture, after three frames as after thirty."""
    live = Mirror()

    def held() -> Iterator[int]:
        for value in vars(live).values():
            for one in value if isinstance(value, tuple) else [value]:
                yield getattr(one, "nbytes", 0)

    sizes = []
    for _ in range(30):
        live.paint(photo[:64, :64], [(vectors[0], 1.0)], 0.5)
        sizes.append(sum(held()))
    assert sizes[2] == sizes[-1] > 0
