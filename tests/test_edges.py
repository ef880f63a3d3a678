"""The photo's edges: against independent NumPy and SciPy, and what they ask for."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import gaussian_filter1d

from nst_core import Engine, Settings
from nst_core.losses import edges
from nst_core.losses.edges import (
    AROUND,
    FACE_EDGES,
    FLOOR,
    LEAST,
    MASSES,
    SCALE,
    SHAPES,
    SIGMA,
    SUBJECT_MASSES,
    Edges,
    gradients,
    make_filters,
)
from nst_core.losses.term import Part
from nst_core.pictures import images
from nst_core.pictures.images import LUMA, Picture
from nst_core.pictures.regions import everywhere


class FakePhoto:
    def __init__(self, pixels, painted=None, subject=None):
        self.pixels, self.size, self.painted = pixels, pixels.shape[1:3], painted
        self.subject = subject


def loss_of(picture, photo, painted=None, subject=None, on_subject=1.0) -> float:
    term = Edges()
    target = term.target(FakePhoto(photo, painted, subject), [])
    found = term.statistics(Part({}, tf.constant(picture)), target)
    weights = {"edges": tf.constant(1.0), "subject": tf.constant(on_subject)}
    return float(term.loss(found, None, weights, tf.constant(1.0)))


def numpys_gradients(picture):
    """Down and right, by SciPy's filters, which agree with ours away from the borders."""
    channels = picture[0].astype(np.float64).transpose(2, 0, 1)
    return [
        SIGMA
        * gaussian_filter1d(
            gaussian_filter1d(channels, SIGMA, axis=axis, order=1, truncate=8),
            SIGMA,
            axis=3 - axis,
            truncate=8,
        )
        for axis in (1, 2)
    ]


def test_gradients_are_scipys(rng):
    picture = rng.random([1, 30, 40, 3]).astype(np.float32)
    filters = make_filters(30, 1.0), make_filters(40, 1.0)
    own = gradients(picture[0].transpose(2, 0, 1), *filters)
    for found, expected in zip(own, numpys_gradients(picture), strict=True):
        inside = slice(None), slice(6, -6), slice(6, -6)
        np.testing.assert_allclose(np.asarray(found)[inside], expected[inside], atol=2e-3)


@pytest.mark.parametrize("cell", [1.0, 2.5])
def test_a_ramps_slope_is_its_own_everywhere(cell):
    """Also at the borders and where a position stands for several pixels, but for the last ones."""
    rows, columns = make_filters(60, cell), make_filters(80, cell)
    ramp = np.tile(np.arange(80, dtype=np.float32) * 0.01, [60, 1])
    down, right = map(np.asarray, gradients(ramp, rows, columns))
    np.testing.assert_allclose(down, 0, atol=1e-5)
    edge = 4
    np.testing.assert_allclose(right[:, edge:-edge], 0.01 * SIGMA * cell, rtol=0.02)
    assert (right > 0).all()


def test_the_loss_against_its_definition(rng):
    picture, photo = rng.random([2, 1, 24, 20, 3]).astype(np.float32)
    filters = make_filters(24, 1.0), make_filters(20, 1.0)
    own, wanted = (
        np.stack(gradients(one[0].transpose(2, 0, 1), *filters)).astype(np.float64)
        for one in (picture, photo)
    )
    size = np.sqrt((wanted**2).sum(axis=0).mean(axis=0))
    usual, around = size.mean() + LEAST, size.astype(np.float64)
    for axis in (0, 1):
        around = gaussian_filter1d(around, AROUND, axis=axis)
    around += LEAST
    weight = usual**2 / around * (size / around + FLOOR)
    differences = ((own - wanted) ** 2).sum(axis=0).mean(axis=0)
    expected = (weight * differences).sum() / (weight * (size**2 + LEAST**2)).sum()
    light, wanted_light = (
        np.einsum("c,gcyx->gyx", LUMA, own),
        np.einsum("c,gcyx->gyx", LUMA, wanted),
    )
    squares = (wanted_light**2).sum(axis=0)  # the picture is smaller than either grid
    differences = ((light - wanted_light) ** 2).sum(axis=0)
    expected += SHAPES * (differences / (squares + squares.mean() + LEAST**2)).mean()
    own, wanted = (
        np.einsum("yh,hwc,xw->yxc", filters[0].smooth, one[0], filters[1].smooth, dtype=float)
        for one in (picture, photo)
    )
    spread = ((wanted - wanted.mean(axis=(0, 1))) ** 2).mean(axis=-1) + LEAST**2
    expected += MASSES * ((own - wanted) ** 2).mean(axis=-1).sum() / spread.sum()
    assert loss_of(picture, photo) == pytest.approx(SCALE * expected, rel=1e-3)


def test_the_photo_itself_has_no_loss_and_a_plain_picture_one(castle):
    photo = images.load(castle).rgb
    assert loss_of(photo, photo) < 1e-6 * SCALE
    plain = np.broadcast_to(photo.mean(axis=(1, 2)), photo.shape).astype(np.float32)
    assert loss_of(plain, photo) == pytest.approx((1 + MASSES) * SCALE, rel=0.1)


def test_colours_and_brightness_are_free_but_not_their_differences(castle, monkeypatch):
    """What lifts all pixels or turns all hues alike has the same edges; a grey picture has not."""
    monkeypatch.setattr(edges, "MASSES", 0.0)
    monkeypatch.setattr(edges, "SHAPES", 0.0)
    photo = images.load(castle).rgb
    lifted = (photo + np.float32(0.1)).astype(np.float32)
    hue = np.float32([0.1, -0.05, 0.0])
    for other in (lifted, (photo + hue).astype(np.float32)):
        assert loss_of(other, photo) < 1e-4 * SCALE
    red, green = np.float32([0.6, 0.2, 0.2]), np.float32([0.2, 0.4037, 0.2])  # of one luminance
    sides = np.where(np.arange(40)[:, np.newaxis] < 20, red, green) * np.ones([1, 40, 1, 1], "f")
    grey = np.full_like(sides, 0.32)
    assert loss_of(grey, sides) > 0.5 * SCALE


def test_a_plain_photo_asks_for_little(rng):
    """Strokes in fog cost no more than edges that are lost."""
    plain = np.full([1, 32, 32, 3], 0.5, np.float32)
    assert loss_of(plain, plain) < 1e-6 * SCALE
    strokes = plain + 0.03 * np.sin(np.arange(32, dtype=np.float32))[:, np.newaxis]
    assert loss_of(strokes, plain) < 2 * SCALE


def test_neither_what_is_hidden_nor_its_outline_is_an_edge(castle):
    """Of a photo on white paper; where all is hidden, nothing is divided by 0."""
    photo = images.load(castle).rgb
    shown = np.zeros_like(photo[..., :1])
    shown[:, :, 48:] = 1
    others = [np.where(shown > 0, photo, np.float32(paper)) for paper in (1.0, 0.0)]
    losses = [loss_of(photo[:, ::-1].copy(), other, shown) for other in others]
    assert losses[0] == pytest.approx(losses[1], rel=0.1)
    assert loss_of(others[1], others[0], shown) < 0.02 * SCALE
    assert loss_of(photo[:, ::-1].copy(), photo, np.zeros_like(shown)) == 0


def test_edges_are_the_same_loss_at_every_size(castle_512):
    """Of pictures shrunk together."""
    losses = []
    for side in (256, 512):
        photo = images.load(castle_512, side).rgb
        losses.append(loss_of(photo[:, :, ::-1].copy(), photo))
    assert losses[0] == pytest.approx(losses[1], rel=0.15)


@pytest.mark.parametrize("tile", [None, 48])
def test_the_gradient_of_edges_against_differences(tile, castle, great_wave):
    settings = Settings(
        style_loss="gram", content_weight=0, style_weight=0, tv_weight=0, edge_weight=1.0
    )
    photo = images.load(castle).rgb
    engine = Engine(settings, tile=tile)
    problem = engine.problem(photo, everywhere(Picture(images.load(great_wave).rgb)))
    start = engine.start(photo[:, ::-1].copy(), problem)
    assert set(start.losses) == {"total", "edges"}
    way = start.gradient * 1e-3 / tf.reduce_mean(tf.abs(start.gradient))
    ahead, behind = (
        float(engine.start(photo[:, ::-1] + sign * way.numpy(), problem).losses["total"])
        for sign in (1, -1)
    )
    assert (ahead - behind) / 2 == pytest.approx(
        float(tf.reduce_sum(start.gradient * way)), rel=0.01
    )


def test_an_edge_counts_by_how_it_stands_out(monkeypatch):
    """A faint mast in the sky for more than one of many as faint ones, which are a wood."""
    monkeypatch.setattr(edges, "MASSES", 0.0)
    monkeypatch.setattr(edges, "SHAPES", 0.0)
    photo = np.full([1, 128, 256, 3], 0.5, np.float32)
    photo[:, :, 160::6] = photo[:, :, 161::6] = 0.6  # the wood
    photo[:, :, 60:62] = 0.6  # the mast
    without_mast, without_one = photo.copy(), photo.copy()
    without_mast[:, :, 60:62] = 0.5
    without_one[:, :, 208:210] = 0.5
    assert loss_of(without_mast, photo) > 1.5 * loss_of(without_one, photo)


def test_a_thing_of_the_walls_colours_costs_though_its_outline_is_there():
    """A square that is darker than the wall, painted as its outline alone."""
    photo = np.full([1, 96, 96, 3], 0.6, np.float32)
    photo[:, 24:72, 24:72] = 0.3
    outline = np.full_like(photo, 0.6)
    outline[:, 24:72, 24:72] = 0.3
    outline[:, 30:66, 30:66] = 0.6
    assert loss_of(outline, photo) > 0.3 * MASSES * SCALE


def test_edges_of_faces_count_more_and_others_as_before(monkeypatch):
    monkeypatch.setattr(edges, "MASSES", 0.0)
    monkeypatch.setattr(edges, "SHAPES", 0.0)
    photo = np.full([1, 64, 64, 3], 0.2, np.float32)
    photo[:, :, 32:] = 0.8
    plain, subject = np.full_like(photo, 0.5), np.zeros([1, 64, 64, 1], np.float32)
    upper = plain.copy()
    upper[:, :32] = photo[:, :32]  # its edge is met in the upper half alone
    subject[:, :28] = 1  # its own smooth outline ends before the lower half begins
    without = loss_of(upper, photo)
    assert loss_of(upper, photo, subject=subject) == pytest.approx(without, rel=0.1)
    lower = plain.copy()
    lower[:, 32:] = photo[:, 32:]
    assert loss_of(lower, photo, subject=subject) > 0.8 * FACE_EDGES * without


def test_what_is_away_on_the_subject_has_a_weight_of_its_own(monkeypatch, rng):
    """Of it edges and mean colours count more than others', shapes as much."""
    photo, picture = rng.random([2, 1, 64, 64, 3]).astype(np.float32)
    nobody = np.zeros([1, 64, 64, 1], np.float32)
    whole = loss_of(picture, photo)
    assert loss_of(picture, photo, subject=nobody, on_subject=5.0) == pytest.approx(whole)
    found = loss_of(picture, photo, subject=nobody + 1, on_subject=0.5)
    monkeypatch.setattr(edges, "SHAPES", 0.0)
    edges_and_masses = loss_of(picture, photo)
    monkeypatch.setattr(edges, "MASSES", 0.0)
    alone = loss_of(picture, photo)
    shapes, masses = whole - edges_and_masses, edges_and_masses - alone
    expected = FACE_EDGES * alone + SUBJECT_MASSES * masses + shapes
    assert found == pytest.approx(0.5 * expected, rel=1e-4)


def test_large_shapes_cost_where_the_photo_is_plain_and_strokes_little(monkeypatch):
    """A disc in the sky, and hatching of the same contrast."""
    photo = np.full([1, 256, 256, 3], 0.7, np.float32)
    photo[:, 192:] = 0.2  # the horizon
    y, x = np.mgrid[:256, :256]
    disc = photo.copy()
    disc[0, np.hypot(y - 96, x - 128) < 32] = 0.4
    hatched = photo.copy()
    hatched[0, ((y + x) % 6 < 3) & (y < 176)] = 0.4

    def shapes(picture):
        with_them = loss_of(picture, photo)
        with monkeypatch.context() as patch:
            patch.setattr(edges, "SHAPES", 0.0)
            return with_them - loss_of(picture, photo)

    assert shapes(disc) > 2 * shapes(hatched)
    assert shapes(photo) < 1e-6 * SCALE
