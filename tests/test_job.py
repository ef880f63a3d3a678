"""Several paintings, regions, colours and transparency, in whole runs with the real weights."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from conftest import example
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nst_core import Easel, Settings, Style, images, losses, stream, stylize
from nst_core.color import COLOR_MODES
from nst_core.features import Extractor
from nst_core.job import make_job
from nst_core.losses import gram_matrix
from nst_core.regions import as_styles


def band(height: int, width: int, left: float, right: float) -> np.ndarray:
    """A mask, uint8 [height, width], white between two shares of the width."""
    mask = np.zeros([height, width], np.uint8)
    mask[:, round(left * width) : round(right * width)] = 255
    return mask


def gram_distance(image: np.ndarray, columns: slice, painting: np.ndarray) -> float:
    """Style loss of a part of a picture against a painting, without the engine's regions."""
    extract = Extractor(tuple(layer for layer, _ in Settings().style_layers))
    part, style = (
        extract(tf.constant(pixels[np.newaxis] / 255.0, tf.float32))
        for pixels in (image[:, columns], painting)
    )
    grams = {layer: gram_matrix(features) for layer, features in style.items()}
    return float(losses.style_loss(part, grams, dict(Settings().style_layers)))


@pytest.fixture(scope="module")
def kandinsky():
    return images.to_uint8(images.load(example("style/composition-viii"), 118).rgb)


def test_each_region_has_its_own_paintings_statistics(castle, great_wave, kandinsky):
    photo = np.asarray(Image.fromarray(castle).resize((192, 128)))
    styles = [Style(great_wave, mask=band(16, 16, 0, 0.5)), Style(kandinsky)]
    frame = stylize(photo, styles, Settings(size=192, steps=40, feather=0))
    own = gram_distance(frame.image, slice(0, 96), great_wave)
    other = gram_distance(frame.image, slice(0, 96), kandinsky)
    assert own < other / 5
    own = gram_distance(frame.image, slice(96, 192), kandinsky)
    other = gram_distance(frame.image, slice(96, 192), great_wave)
    assert own < other / 5


@pytest.mark.parametrize("color", COLOR_MODES)
def test_what_is_kept_stays_as_in_the_photo(color, castle_512, great_wave):
    """At all scales and in all colours; outside it is painted."""
    keep = band(40, 64, 0.5, 1)
    settings = Settings(size=512, steps=4, frame_interval=0, color=color)
    for frame in stream(castle_512, great_wave, settings, keep):
        difference = np.abs(frame.image.astype(int) - castle_512)
        assert difference[:, 256:].mean() < 0.5
        assert difference[:, :200].mean() > 8


def test_a_lone_painting_with_a_mask_leaves_the_rest(castle, great_wave):
    style = [Style(great_wave, mask=band(64, 96, 0, 0.4))]
    frame = stylize(castle, style, Settings(size=96, steps=4, feather=0))
    difference = np.abs(frame.image.astype(int) - castle)
    assert difference[:, 40:].max() == 0
    assert difference[:, :36].mean() > 8


def test_white_masks_and_even_transparency_change_nothing(castle, great_wave):
    settings = Settings(size=96, steps=3, precision="float32")
    plain = stylize(castle, great_wave, settings)
    masked = stylize(castle, [Style(great_wave, mask=np.full([16, 16], 255, np.uint8))], settings)
    assert masked.losses == pytest.approx(plain.losses, rel=1e-3)
    assert np.abs(masked.image.astype(int) - plain.image).mean() < 0.5


def test_a_mix_lies_between_its_paintings(castle, great_wave, kandinsky):
    def distances(style):
        image = stylize(castle, style, Settings(size=96, steps=20)).image
        return gram_distance(image, slice(None), great_wave)

    wave, mixed, other = (
        distances([(great_wave, share), (kandinsky, 1 - share)]) for share in (1.0, 0.5, 0.0)
    )
    assert wave < mixed < other


def test_the_previews_mix_and_regions(castle, great_wave, kandinsky):
    def first(style):
        frame = next(stream(castle, style, Settings(size=96, feather=0)))
        assert frame.stage == "preview"
        return frame.image.astype(int)

    one, other = first(great_wave), first(kandinsky)
    mixed = first([(great_wave, 1), (kandinsky, 1)])
    apart = np.abs(one - other).mean()
    assert apart > 10
    assert max(np.abs(mixed - one).mean(), np.abs(mixed - other).mean()) < apart
    sides = first([Style(great_wave, mask=band(64, 96, 0, 0.5)), Style(kandinsky)])
    np.testing.assert_array_equal(sides[:, :47], one[:, :47])
    np.testing.assert_array_equal(sides[:, 49:], other[:, 49:])


def test_colours_under_transparency_do_not_leak(castle, great_wave):
    """Neither of the photo's nor of the painting's hidden parts."""
    alpha = band(64, 96, 0, 0.5)
    settings = Settings(size=96, steps=6, precision="float32", color="linear")
    results = []
    for hidden in ((255, 0, 255), (0, 255, 0)):
        photo, painting = (
            np.dstack([np.where(a[..., np.newaxis] > 0, pixels, np.uint8(hidden)), a])
            for pixels, a in ((castle, alpha), (great_wave, band(80, 118, 0.3, 1)))
        )
        results.append(stylize(photo, painting, settings))
    np.testing.assert_array_equal(results[0].image, results[1].image)
    assert results[0].to_pil().mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(results[0].to_pil())[..., 3], alpha)


def test_a_transparent_paintings_style_is_that_of_what_is_seen(castle, great_wave):
    """Half of it hidden: nearer to the painting of the visible half than with the hidden part."""
    half = great_wave[:, :59]
    hidden = np.dstack([great_wave, band(80, 118, 0, 0.5)])
    settings = Settings(size=96, steps=20)
    seen = gram_distance(stylize(castle, hidden, settings).image, slice(None), half)
    whole = gram_distance(stylize(castle, great_wave, settings).image, slice(None), half)
    assert seen < whole


def test_style_scale_is_the_paintings_size_beside_the_pictures(castle_512):
    wave = images.to_uint8(images.load(example("style/great-wave"), 512).rgb)
    small = np.asarray(Image.fromarray(castle_512).resize((256, 171)))
    for scale, width in ((0.25, 64), (0.5, 128), (1, 256), (2, 512)):
        settings = Settings(size=256, style_scale=scale)
        job = make_job(small, as_styles(wave), settings, None)
        ((painting, _),) = job.layout.regions[0].paintings
        assert painting.size[0] == width


def test_style_scale_gives_strokes_of_that_size(castle, great_wave):
    """Each picture has the statistics of the painting at its own scale rather than the other's."""
    distances = {}
    for scale, width in ((0.5, 48), (2, 192)):
        painting = np.asarray(Image.fromarray(great_wave).resize((width, width * 80 // 118)))
        for wanted in (0.5, 2):
            image = stylize(
                castle, great_wave, Settings(size=96, steps=30, style_scale=wanted)
            ).image
            distances[scale, wanted] = gram_distance(image, slice(None), painting)
    assert distances[0.5, 0.5] < distances[0.5, 2] / 2
    assert distances[2, 2] < distances[2, 0.5] / 2


def test_colours_are_changed_at_once_after_the_run(castle, great_wave):
    easel = Easel(castle, great_wave, Settings(size=96, steps=3), keep=band(64, 96, 0, 0.3))
    *_, last = easel.paint()
    wanted = stylize(
        castle, great_wave, Settings(size=96, steps=3, color="luminance"), band(64, 96, 0, 0.3)
    )
    np.testing.assert_array_equal(easel.recolored(last, "luminance").image, wanted.image)
    np.testing.assert_array_equal(easel.recolored(last, "painting").image, last.image)


@hypothesis.settings(max_examples=12, deadline=None)
@given(
    st.integers(16, 64),
    st.integers(64, 96),
    st.lists(st.tuples(st.floats(0.1, 10), st.booleans()), min_size=1, max_size=3),
    st.booleans(),
    st.sampled_from(sorted(COLOR_MODES)),
    st.sampled_from([0.25, 0.7, 1.0, 2.0]),
)
def test_any_sizes_weights_masks_and_modes(height, width, paintings, keeps, color, scale):
    rng = np.random.default_rng(height)
    photo, painting = (
        rng.integers(0, 256, [*size, 3]).astype(np.uint8) for size in ((height, width), (64, 70))
    )
    styles = [
        Style(painting, weight, band(16, 20, 0.3 * number, 0.3 * number + 0.25) if masked else None)
        for number, (weight, masked) in enumerate(paintings)
    ]
    settings = Settings(size=96, steps=1, color=color, style_scale=scale)
    frame = stylize(photo, styles, settings, band(16, 16, 0.95, 1) if keeps else None)
    assert frame.image.shape == (height, width, 3)
    assert all(np.isfinite(loss) for loss in frame.losses.values())
