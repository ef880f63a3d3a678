"""Colour modes: against NumPy and scikit-image, and on pictures that have hardly any colour."""

from __future__ import annotations

import numpy as np
import pytest
import skimage
from conftest import example
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nst_core import Settings, SettingsError, stylize
from nst_core.colors import COLOR_MODES, color_mode
from nst_core.colors.luminance import keep_chroma
from nst_core.colors.oklab import from_oklab, lay_palette, to_oklab
from nst_core.colors.palette import (
    LEVELS,
    MAX_GAIN,
    MAX_LEVELS_GAIN,
    match_histograms,
    match_moments,
    to_levels,
    to_palette,
)
from nst_core.colors.transport import to_nearest_colors
from nst_core.pictures import images

PIXELS = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.just(3)))
CHANGES = [mode.painting for mode in COLOR_MODES.values() if mode.painting]
CHANGES += [lambda own, photo: keep_chroma(own, np.resize(photo, own.shape))]

# ITU-R BT.601: luma of R'G'B', and what YIQ makes of it (Smith 1978; the FCC's rounded figures).
LUMA = np.array([0.299, 0.587, 0.114])


@pytest.fixture
def photo():
    return images.to_uint8(images.load(example("content/castle"), 120).rgb)


@pytest.fixture
def picture(photo):
    wave = images.to_uint8(images.load(example("style/great-wave"), 200).rgb)
    return wave[: photo.shape[0], : photo.shape[1]]


def test_luminance_is_the_pictures_and_chroma_the_photos(photo, picture):
    """In YIQ only Y' changes, which adds the same to R', G' and B'."""
    got = keep_chroma(picture, photo)
    lift = (picture.astype(float) - photo) @ LUMA
    wanted = (photo + lift[..., np.newaxis]).clip(0, 255)
    assert np.abs(got - wanted).max() <= 1
    inside = ((wanted > 1) & (wanted < 254)).all(axis=-1)
    assert inside.mean() > 0.5
    kept = skimage.color.rgb2yiq(got / 255)[inside], skimage.color.rgb2yiq(photo / 255)[inside]
    assert np.abs(kept[0][:, 1:] - kept[1][:, 1:]).max() < 0.01


def test_histograms_match(photo, picture):
    got = match_histograms(picture, photo)
    for channel in range(3):
        own, wanted = (np.sort(x[..., channel], axis=None).astype(int) for x in (got, photo))
        assert np.abs(own - wanted).mean() < 2  # the histograms' distance, in grey levels
    linear = match_moments(picture, photo)
    expected = skimage.exposure.match_histograms(linear, photo, channel_axis=-1)
    assert np.abs(got - expected).max() <= 0.5


def test_mean_and_covariance_match(rng):
    own, wanted = (
        rng.multivariate_normal([120, 130, 110], spread, 5000).clip(0, 255).round()
        for spread in ([[300, 90, 20], [90, 200, 40], [20, 40, 250]], np.diag([100, 200, 50]))
    )
    got = match_moments(own.astype(np.uint8), wanted.astype(np.uint8)).astype(float)
    np.testing.assert_allclose(got.mean(axis=0), wanted.mean(axis=0), atol=0.5)
    np.testing.assert_allclose(np.cov(got.T), np.cov(wanted.T), atol=6)


def test_the_linear_map_is_the_symmetric_one(rng):
    """A = Sigma_C^(1/2) Sigma_S^(-1/2), worked out by SciPy's matrix root."""
    from scipy.linalg import inv, sqrtm

    own = rng.integers(60, 180, (2000, 3)).astype(np.uint8)
    mixing = [[1, 0.3, 0], [0, 0.7, 0], [0, 0, 1]]
    wanted = (rng.normal(120, [30, 20, 10], (2000, 3)) @ mixing).clip(0, 255).astype(np.uint8)
    matrix = sqrtm(np.cov(wanted.T)) @ inv(sqrtm(np.cov(own.T)))
    expected = (own - own.mean(axis=0)) @ matrix.T + wanted.mean(axis=0)
    assert np.abs(match_moments(own, wanted) - expected.clip(0, 255)).max() <= 1.5


def test_a_photo_in_a_paintings_palette(photo, picture):
    """The linear map where it stretches little, but for extremes; elsewhere within the limit."""
    calm = (photo // 2 + 60).astype(np.uint8)
    got, linear = (change(photo, calm).astype(float) for change in (to_palette, match_moments))
    assert np.quantile(np.abs(got - linear), 0.9) <= 1
    low, high = np.percentile(calm.reshape(-1, 3), [0.2, 99.8], axis=0)
    assert (got >= low.round() - 1).all()
    assert (got <= high.round() + 1).all()
    dull = (photo // 8 + 100).astype(np.uint8)
    got = to_palette(dull, picture).astype(float)
    np.testing.assert_allclose(got.mean(axis=(0, 1)), picture.mean(axis=(0, 1)), atol=1)
    spread, most = (np.linalg.norm(x - x.mean(axis=(0, 1)), axis=-1) for x in (got, dull))
    assert spread.max() <= MAX_GAIN * most.max() + 1
    assert spread.mean() > 1.2 * most.mean()


@pytest.mark.parametrize(("change", "away"), [(to_palette, 1), (to_nearest_colors, 20)])
def test_one_bright_thing_in_a_dull_photo_keeps_its_shades(change, away):
    """A photo that is dark but for one thing, in a bright painting's palette."""
    dull = np.full((40, 40, 3), 60, np.uint8)
    shades = np.linspace(160, 240, 100, dtype=np.uint8)
    dull[:10, :10] = shades.reshape(10, 10, 1)
    bright = np.linspace(90, 250, 1600).astype(np.uint8).reshape(40, 40, 1).repeat(3, axis=-1)

    got = change(dull, bright)[:10, :10, 0].ravel().astype(int)

    assert (np.diff(got) >= 0).all()
    assert (got[20:] > got[:-20]).all()
    np.testing.assert_allclose(got[-1], np.percentile(bright, 99.8), atol=away)


def test_only_what_counts_of_a_picture_moves_its_palette(photo, picture):
    counts = np.zeros(photo.shape[:2], bool)
    counts[: len(counts) // 2] = True
    other = photo.copy()
    other[~counts] = 255 - other[~counts]
    for change in (to_palette, to_levels):
        got, expected = (change(x, picture, counts)[counts] for x in (other, photo))
        np.testing.assert_array_equal(got, expected)


def test_dark_and_light_are_brought_to_the_paintings(photo):
    """Up to a limit; hues stay, since all channels get the same."""
    own = (photo // 2 + 40).astype(np.uint8)
    for wanted, reached in ((photo * 0.6 + 30, True), (photo.astype(float), False)):
        got, wanted = to_levels(own, wanted.astype(np.uint8)), wanted.astype(np.uint8)
        found, asked, before = (np.percentile(x @ LUMA, LEVELS) for x in (got, wanted, own))
        if reached:
            np.testing.assert_allclose(found, asked, atol=2)
        assert np.ptp(found) <= MAX_LEVELS_GAIN * np.ptp(before) + 2
    plain = np.full_like(photo, 90)
    np.testing.assert_array_equal(to_levels(plain, plain), plain)


def test_a_few_bright_things_keep_their_shades():
    """Lighter than what counts as light: brought within the painting's range, not cut off there."""
    own = np.full([100, 100, 3], 60, np.uint8)
    own[::2] = 110
    own[0] = np.repeat(np.linspace(150, 240, 5), 20).astype(np.uint8)[:, np.newaxis]
    painting = np.full_like(own, 20)
    painting[::2] = 225
    found = to_levels(own, painting)[0, ::20, 0].astype(int)
    assert (np.diff(found[:-1]) > 0).all()  # the last ones are beyond `RANGE`
    assert found.max() == 225


@given(PIXELS, PIXELS)
def test_any_pixels_give_pixels_and_no_warning(pixels, photo):
    for change in CHANGES:
        got = change(pixels, photo)
        assert (got.shape, got.dtype) == (pixels.shape, np.uint8)


def test_grey_stays_grey(photo, picture):
    grey = np.repeat(photo[..., :1], 3, axis=-1)
    for change in CHANGES:
        got = change(picture, grey).astype(int)
        assert np.ptp(got, axis=-1).max() <= 2, change  # a grey photo makes all grey


@pytest.mark.parametrize("name", ["sepia", "", None, ["linear"]])
def test_an_unknown_mode_is_refused_with_the_known_ones(name):
    with pytest.raises(
        SettingsError, match=r"color is .*one of: histogram, linear, luminance, oklab"
    ):
        color_mode(name)
    assert color_mode("linear") is COLOR_MODES["linear"]


@pytest.mark.parametrize("mode", COLOR_MODES)
def test_a_run_with_grey_pictures_is_sound(mode, castle, great_wave):
    grey = great_wave.mean(axis=-1).astype(np.uint8)
    for pair in ((castle, grey), (castle[..., 0], great_wave)):
        frame = stylize(*pair, Settings(size=64, steps=1, color=mode, precision="float32"))
        assert frame.image.std() > 5


def test_colours_of_a_run(castle, great_wave):
    """The photo's modes bring the picture nearer to its colours than the painting's are."""
    chroma = {}
    for mode in COLOR_MODES:
        settings = Settings(style_loss="gram", size=96, steps=6, color=mode, precision="float32")
        image = stylize(castle, great_wave, settings).image
        chroma[mode] = np.abs(
            skimage.color.rgb2yiq(image / 255)[..., 1:].mean(axis=(0, 1))
            - skimage.color.rgb2yiq(castle / 255)[..., 1:].mean(axis=(0, 1))
        ).sum()
    for mode in ("luminance", "linear", "histogram"):
        assert chroma[mode] < chroma["painting"] / 2, mode


# --- OkLab --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pixel", "lab"),
    [
        ((255, 255, 255), (1.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((255, 0, 0), (0.628, 0.225, 0.126)),
        ((0, 255, 0), (0.866, -0.234, 0.179)),
        ((0, 0, 255), (0.452, -0.032, -0.312)),
    ],
)
def test_oklab_of_known_colours(pixel, lab):
    """As CSS Color 4 lists them."""
    found = to_oklab(np.uint8([pixel]))
    np.testing.assert_allclose(found[0], lab, atol=1e-3)
    np.testing.assert_array_equal(from_oklab(found)[0], pixel)


def test_a_palette_is_laid_on_the_photo(photo, picture, rng):
    """The picture's lightness; the photo's order of colours; the painting's mean, and its range."""
    painting = np.uint8(rng.normal((180, 120, 60), (30, 20, 20), (4000, 3)).clip(0, 255))
    picture = picture // 3 + 90  # so that few colours leave sRGB
    got = to_oklab(lay_palette(picture, photo, painting))
    wanted = to_oklab(painting)
    assert np.abs(got[..., 0] - to_oklab(picture)[..., 0]).mean() < 0.02
    np.testing.assert_allclose(
        got[..., 1:].mean(axis=(0, 1)), wanted[:, 1:].mean(axis=0), atol=0.02
    )
    low, high = np.percentile(wanted[:, 1:], (1, 99), axis=0)
    inside = (got[..., 1:] > low - 0.02) & (got[..., 1:] < high + 0.02)
    assert inside.mean() > 0.98


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))), PIXELS)
def test_any_picture_takes_any_palette(picture, painting):
    got = lay_palette(picture, picture[::-1], painting)
    assert (got.shape, got.dtype) == (picture.shape, np.uint8)


def test_a_grey_painting_makes_grey(photo, picture):
    grey = np.repeat(picture[..., :1], 3, axis=-1)
    assert np.ptp(lay_palette(picture, photo, grey).astype(int), axis=-1).max() <= 2
