"""Where the places of a picture come from: known pictures, NumPy's own search, ends of ranges."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from conftest import example
from PIL import Image

from nst_core import Easel, Settings, SettingsError, Style, origins
from nst_core.engine import device, tiles
from nst_core.losses import NEAREST_LAYERS, matching
from nst_core.losses.hypercolumns import SOFTNESS
from nst_core.networks.extractor import Extractor
from nst_core.pictures import images
from nst_core.pictures.margins import without_margins

SETTINGS = Settings(size=128, precision="float32", subject=False)
CELL = 4  # pixels, of pictures of up to 256 px
PADDING = 8  # that the network adds


def shrunk(name, width, height):
    """An example as uint8 [height, width, 3], whatever its own aspect ratio.

    Without margins, with which nothing is painted, so that it can be found in itself.
    """
    with Image.open(example(name)) as image:
        pixels = np.asarray(image.convert("RGB").resize((width, height)))
    return images.to_uint8(without_margins(pixels[np.newaxis] / np.float32(255)))


@pytest.fixture(scope="module")
def auvers():
    return shrunk("style/auvers", 128, 96)


@pytest.fixture(scope="module")
def wave():
    return shrunk("style/great-wave", 128, 80)


@pytest.fixture(scope="module")
def castle_128():
    return shrunk("content/castle", 128, 88)


@pytest.fixture(scope="module")
def mixed(auvers, wave, castle_128):
    return origins(castle_128, [(auvers, 1.0), (wave, 1.0)], SETTINGS)


def centres(shape):
    """Row and column of each cell's centre, each [h, w]."""
    return np.meshgrid(*((np.arange(count) + 0.5) / count for count in shape), indexing="ij")


def is_near(found, row, column, cells=1.0):
    """Whether each place comes from near to a row and a column of its painting."""
    height, width = found.painting.shape
    return (np.abs(found.row - row) * height <= cells) & (
        np.abs(found.column - column) * width <= cells
    )


# --- Known pictures -----------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_painting_comes_from_itself_place_by_place(precision, auvers):
    found = origins(auvers, auvers, replace(SETTINGS, precision=precision))
    assert found.painting.shape == (96 // CELL, 128 // CELL)
    assert not found.painting.any()
    assert is_near(found, *centres((24, 32)), cells=1e-4).all()
    assert found.distance.max() < 1e-5
    dtypes = [part.dtype for part in (found.painting, found.row, found.column, found.distance)]
    assert dtypes == [np.int32, np.float32, np.float32, np.float32]


def test_halves_that_were_swapped_are_told(auvers):
    """Beside the seam and the borders, what the network sees of the surroundings is new."""
    swapped = np.roll(auvers, 64, axis=1)
    found = origins(swapped, auvers, SETTINGS)
    row, column = centres(found.painting.shape)
    there = is_near(found, row, (column + 0.5) % 1)
    assert there.mean() > 0.9
    assert there[:, 4:12].all()
    assert there[:, 20:28].all()


def test_of_two_paintings_each_place_names_its_own(auvers, wave):
    styles = [(auvers, 3.0), (wave, 1.0)]
    second = origins(wave, styles, SETTINGS)
    assert (second.painting == 1).all()
    assert is_near(second, *centres((20, 32)), cells=1e-4).all()
    assert second.sizes == ((96, 128), (80, 128))

    both = np.concatenate([auvers[:80, :64], wave[:, 64:]], axis=1)
    found = origins(both, styles, SETTINGS)
    assert (found.painting[:, :12] == 0).mean() > 0.95
    assert (found.painting[:, 20:] == 1).mean() > 0.95
    _, column = centres(found.painting.shape)
    assert (np.abs(found.column - column) <= 1 / 32).mean() > 0.9


def test_a_painting_without_weight_is_not_counted(auvers, wave):
    found = origins(wave, [(auvers, 0.0), (wave, 1.0)], SETTINGS)
    assert not found.painting.any()
    assert found.sizes == ((80, 128),)


# --- Regions ------------------------------------------------------------------------------------


def test_regions_come_from_their_own_paintings_whatever_the_order(auvers, wave):
    """The picture is one painting all over; on the right, it may only come from the other."""
    mask = np.zeros((96, 128), bool)
    mask[:, 64:] = True
    styles = [auvers, Style(wave, mask=mask)]  # the masked one is the first of the layout
    found = origins(auvers, [Style(styles[0]), styles[1]], replace(SETTINGS, feather=0))
    assert (found.painting[:, :16] == 0).all()
    assert (found.painting[:, 16:] == 1).all()
    row, column = centres((24, 32))
    assert is_near(found, row, column, cells=1e-4)[:, :16].all()
    assert found.distance[:, :16].max() < 1e-5 < found.distance[:, 16:].min()
    assert found.sizes == ((96, 128), (80, 128))


def test_a_region_of_one_cell_and_of_less(auvers, wave):
    for side in (4, 1):
        mask = np.zeros((96, 128), np.uint8)
        mask[40 : 40 + side, 60 : 60 + side] = 255
        styles = [Style(auvers), Style(wave, mask=mask)]
        found = origins(auvers, styles, replace(SETTINGS, feather=0))
        expected = np.zeros((24, 32), int)
        if side == CELL:
            expected[10, 15] = 1
        np.testing.assert_array_equal(found.painting, expected)
        assert np.isfinite(found.distance).all()


def test_what_is_kept_or_transparent_comes_from_nowhere(auvers, castle_128):
    keep = np.zeros((88, 128), bool)
    keep[:, :64] = True
    settings = replace(SETTINGS, feather=0)
    kept = origins(castle_128, auvers, settings, keep)
    alpha = np.where(keep, 0, 255).astype(np.uint8)
    transparent = origins(np.dstack([castle_128, alpha]), auvers, settings)
    for found in (kept, transparent):
        assert (found.painting[:, :16] == -1).all()
        assert (found.painting[:, 16:] == 0).all()
        for part in (found.row, found.column, found.distance):
            np.testing.assert_array_equal(np.isnan(part), found.painting == -1)
        assert found.at(0.5, 0.2) is None
        assert found.at(0.5, 0.7) is not None
        assert not found.places(0, 0.5, 0.5, 2.0)[:, :16].any()
        assert not found.places(-1, 0.5, 0.5, 2.0).any()


def test_what_is_transparent_of_a_painting_is_no_origin(auvers):
    alpha = np.full((96, 128), 255, np.uint8)
    alpha[:, :64] = 0
    found = origins(auvers, np.dstack([auvers, alpha]), SETTINGS)
    assert found.column.min() > 0.5


# --- Against NumPy ------------------------------------------------------------------------------


def numpys_columns(picture):
    """Hypercolumns of each 4 x 4 px, float64 [h, w, N]; of sides that are multiples of 8."""
    layers = tuple(name for name, _ in NEAREST_LAYERS)
    found = Extractor(layers)(tf.constant(picture[np.newaxis] / np.float32(255)))
    height, width = ((side + 2 * PADDING) // CELL for side in picture.shape[:2])
    joined = []
    for name in layers:
        own = found[name].numpy()[0].astype(np.float64)
        if own.shape[0] > height:
            cell = own.shape[0] // height
            own = own.reshape(height, cell, width, cell, -1).mean(axis=(1, 3))
        elif own.shape[0] < height:
            own = own.repeat(2, axis=0).repeat(2, axis=1)
        joined.append(own / own.shape[-1])
    inside = slice(PADDING // CELL, -PADDING // CELL)
    return np.concatenate(joined, axis=-1)[inside, inside]


def test_the_nearest_is_the_one_that_numpy_finds(mixed, auvers, wave, castle_128):
    """Of two paintings together, in float64."""
    own, *known = (numpys_columns(one) for one in (castle_128, auvers, wave))
    shapes = [one.shape[:2] for one in known]
    grid, own = own.shape[:2], own.reshape(-1, own.shape[-1])
    samples = np.concatenate([one.reshape(-1, one.shape[-1]) for one in known])
    mean = samples.mean(axis=0)
    soft = SOFTNESS**2 * ((samples - mean) ** 2).sum(axis=1).mean()
    u, v = (
        (rows - mean) / np.sqrt(((rows - mean) ** 2).sum(axis=1, keepdims=True) + soft)
        for rows in (own, samples)
    )
    far = ((u**2).sum(axis=1)[:, np.newaxis] + (v**2).sum(axis=1) - 2 * u @ v.T) / 2

    assert mixed.painting.shape == grid
    np.testing.assert_allclose(mixed.distance, far.min(axis=1).reshape(grid), atol=1e-3)
    which = np.concatenate([np.full(np.prod(s), number) for number, s in enumerate(shapes)])
    place = np.concatenate([np.array(centres(s)).reshape(2, -1) for s in shapes], axis=1)
    best = far.argmin(axis=1)
    same = (
        (mixed.painting.ravel() == which[best])
        & (np.abs(mixed.row.ravel() - place[0, best]) < 1e-6)
        & (np.abs(mixed.column.ravel() - place[1, best]) < 1e-6)
    )
    assert same.mean() > 0.99  # others are as near, but for rounding


def test_in_tiles_and_in_blocks_the_same_are_found(mixed, auvers, wave, castle_128, monkeypatch):
    monkeypatch.setattr(tiles, "SIDE", 48)
    monkeypatch.setattr(matching, "ROWS", 100)
    found = origins(castle_128, [(auvers, 1.0), (wave, 1.0)], SETTINGS)
    np.testing.assert_allclose(found.distance, mixed.distance, atol=1e-4)
    same = (found.row == mixed.row) & (found.column == mixed.column)
    assert same.mean() > 0.99


# --- What is asked of them ----------------------------------------------------------------------


def test_places_and_at_agree(mixed):
    height, width = mixed.painting.shape
    for row, column in np.ndindex(height, width):
        origin = mixed.at((row + 0.5) / height, (column + 0.5) / width)
        assert origin.painting == mixed.painting[row, column]
        there = mixed.places(origin.painting, origin.row, origin.column, 0.0)
        assert there[row, column]
        assert (mixed.painting[there] == origin.painting).all()
        assert (mixed.row[there] == mixed.row[row, column]).all()
        assert (mixed.column[there] == mixed.column[row, column]).all()


def test_all_places_come_from_discs_that_cover_the_paintings(mixed):
    every = [mixed.places(number, 0.5, 0.5, 1.0) for number in (0, 1)]
    assert (every[0] ^ every[1]).all()
    assert not mixed.places(2, 0.5, 0.5, 1.0).any()
    assert not mixed.places(0, 0.5, 0.5, -1.0).any()


def test_a_disc_is_round_in_pixels_of_the_painting(mixed):
    """The radius counts in parts of the long side."""
    away = np.hypot((mixed.row - 0.4) * 80, (mixed.column - 0.3) * 128)
    expected = (mixed.painting == 1) & (away <= 0.2 * 128)
    np.testing.assert_array_equal(mixed.places(1, 0.4, 0.3, 0.2), expected)
    assert 0 < expected.sum() < expected.size


def test_a_patch_is_as_large_as_a_place(mixed):
    origin = mixed.at(0.5, 0.5)
    sides = mixed.sizes[origin.painting]
    assert (origin.height, origin.width) == pytest.approx((CELL / sides[0], CELL / sides[1]))


def test_beyond_the_borders_is_at_them(mixed):
    assert mixed.at(-3.0, -0.1) == mixed.at(0.0, 0.0)
    assert mixed.at(1.0, 7.0) == mixed.at(0.999, 0.999)


# --- Ends of the ranges -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "grid"),
    [((32, 32), (8, 8)), ((16, 16), (4, 4)), ((33, 30), (8, 8)), ((512, 16), (2, 64)),
     ((16, 512), (64, 2)), ((256, 170), (42, 64)), ((512, 340), (42, 64))],
)  # fmt: skip
def test_pictures_of_all_sizes_come_from_themselves(size, grid):
    picture = shrunk("style/auvers", *size)
    found = origins(picture, picture, replace(SETTINGS, size=max(64, *size)))
    assert found.painting.shape == grid
    assert is_near(found, *centres(grid), cells=1e-4).all()
    assert found.distance.max() < 1e-5


@pytest.mark.parametrize("layers", [{"block5_conv1": 1.0}, {"block1_conv1": 1.0}])
def test_a_painting_no_larger_than_a_cell_is_the_origin_of_all(layers, castle_128):
    painting = shrunk("style/auvers", 16, 16)
    found = origins(castle_128, painting, replace(SETTINGS, style_layers=layers))
    assert not found.painting.any()
    origin = found.at(0.5, 0.5)
    assert 0 < origin.height <= 1
    assert 0 < origin.width <= 1
    if "block5_conv1" in layers:  # a position in every 16 px, of 88 px in every 88 / 6
        assert (found.row == 0.5).all()
        assert (origin.height, origin.width) == pytest.approx((88 / 6 / 16, 1.0))


def test_four_paintings(auvers, wave, castle_128):
    paintings = [auvers, wave, castle_128, auvers[::-1]]
    for number, picture in enumerate(paintings):
        found = origins(picture, [(one, 1.0) for one in paintings], SETTINGS)
        assert (found.painting == number).all()


def test_strokes_are_compared_at_the_size_that_they_are_painted_at(auvers):
    found = origins(auvers, auvers, replace(SETTINGS, style_scale=2.0))
    assert found.sizes == ((192, 256),)
    half = origins(auvers, auvers, replace(SETTINGS, style_scale=0.5))
    assert half.sizes == ((48, 64),)
    assert half.at(0.5, 0.5).width == pytest.approx(CELL / 64)


@pytest.mark.parametrize("layers", [None, {"block1_conv1": 0.0}])
def test_objectives_without_nearest_features_have_origins_too(layers, auvers):
    settings = replace(SETTINGS, style_loss="gram", style_layers=layers)
    found = origins(auvers, auvers, settings)
    assert is_near(found, *centres((24, 32)), cells=1e-4).all()


def test_bad_input_is_told_as_for_a_run(auvers):
    with pytest.raises(SettingsError, match="style_loss"):
        origins(auvers, auvers, replace(SETTINGS, style_loss="sfumato"))
    with pytest.raises(SettingsError, match="weights"):
        origins(auvers, [(auvers, 0.0)], SETTINGS)


# --- Of an easel --------------------------------------------------------------------------------


def test_an_easel_tells_the_origins_of_its_picture_so_far(auvers, castle_128):
    """Before the first step there are none; then at every frame, also at the coarser scales."""
    easel = Easel(castle_128, auvers, replace(SETTINGS, steps=4, frame_interval=0))
    with pytest.raises(SettingsError, match="no step"):
        easel.origins()
    shapes = []
    for frame in easel.paint():
        if frame.step:
            found = easel.origins()
            shapes.append(found.painting.shape)
            assert np.isfinite(found.distance).all()
    assert shapes[0] == (6, 8)  # of 22 x 32 px
    assert shapes[-1] == (22, 32)
    easel.forget()
    again = easel.origins()
    np.testing.assert_array_equal(again.row, found.row)


def test_an_easels_origins_are_those_of_its_picture(auvers):
    """From the painting itself, with nothing to change it."""
    settings = replace(SETTINGS, steps=1, init="content", color="painting", learning_rate=1e-20)
    easel = Easel(auvers, auvers, replace(settings, style_loss="gram", optimizer="adam"))
    for _ in easel.paint():
        pass
    assert is_near(easel.origins(), *centres((24, 32))).mean() > 0.99


def test_origins_take_turns_with_the_steps_of_runs(auvers):
    found = []
    thread = threading.Thread(target=lambda: found.append(origins(auvers, auvers, SETTINGS)))
    with device.LOCK:
        thread.start()
        thread.join(3.0)
        assert not found
    thread.join(60.0)
    assert found
