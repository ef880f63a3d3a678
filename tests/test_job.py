"""Several paintings, regions, colours and transparency, in whole runs with the real weights."""

from __future__ import annotations

from dataclasses import replace

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from conftest import example
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nst_core import Easel, Settings, SettingsError, Style, stream, stylize
from nst_core.colors import COLOR_MODES
from nst_core.engine.job import Job, load_job
from nst_core.engine.objective import Objective
from nst_core.losses.gram import gram_matrix, style_loss
from nst_core.networks.extractor import Extractor
from nst_core.pictures import images
from nst_core.pictures.regions import as_styles
from nst_core.settings import BRUSHWORK

PRECISE = Settings(style_loss="gram", size=96, precision="float32", frame_interval=0)

# The first layer alone, so that a step takes no time.
SHALLOW = replace(
    PRECISE, steps=3, content_layer="block1_conv1", style_layers={"block1_conv1": 1.0}
)


def band(height: int, width: int, left: float, right: float) -> np.ndarray:
    """A mask, uint8 [height, width], white between two shares of the width."""
    mask = np.zeros([height, width], np.uint8)
    mask[:, round(left * width) : round(right * width)] = 255
    return mask


def gram_distance(image: np.ndarray, columns: slice, painting: np.ndarray) -> float:
    """Style loss of a part of a picture against a painting, without the engine's regions."""
    extract = Extractor(tuple(layer for layer, _ in BRUSHWORK["balanced"]))
    part, style = (
        extract(tf.constant(pixels[np.newaxis] / 255.0, tf.float32))
        for pixels in (image[:, columns], painting)
    )
    grams = {layer: gram_matrix(features) for layer, features in style.items()}
    return float(style_loss(part, grams, dict(BRUSHWORK["balanced"])))


@pytest.fixture(scope="module")
def kandinsky():
    return images.to_uint8(images.load(example("style/composition-viii"), 118).rgb)


def test_each_region_has_its_own_paintings_statistics(castle, great_wave, kandinsky):
    photo = np.asarray(Image.fromarray(castle).resize((128, 85)))
    styles = [Style(great_wave, mask=band(16, 16, 0, 0.5)), Style(kandinsky)]
    frame = stylize(photo, styles, replace(PRECISE, size=128, steps=12, feather=0))
    own = gram_distance(frame.image, slice(0, 64), great_wave)
    other = gram_distance(frame.image, slice(0, 64), kandinsky)
    assert own < other / 5
    own = gram_distance(frame.image, slice(64, 128), kandinsky)
    other = gram_distance(frame.image, slice(64, 128), great_wave)
    assert own < other / 5


@pytest.mark.parametrize("color", COLOR_MODES)
def test_what_is_kept_stays_as_in_the_photo(color, castle_512, great_wave):
    """At all scales and in all colours; outside it is painted."""
    strip = castle_512[160:192].copy()
    keep = band(40, 64, 0.5, 1)
    settings = replace(SHALLOW, size=512, steps=4, color=color, init="grey")
    scales = set()
    for frame in stream(strip, great_wave, settings, keep):
        difference = np.abs(frame.image.astype(int) - strip)
        assert difference[:, 256:].mean() < 0.5
        assert difference[:, :200].mean() > 8
        scales.add(frame.scale)
    assert scales == {256, 512}


def test_a_lone_painting_with_a_mask_leaves_the_rest(castle, great_wave):
    style = [Style(great_wave, mask=band(64, 96, 0, 0.4))]
    frame = stylize(castle, style, replace(PRECISE, steps=2, feather=0))
    difference = np.abs(frame.image.astype(int) - castle)
    assert difference[:, 40:].max() == 0
    assert difference[:, :36].mean() > 8


def test_white_masks_and_even_transparency_change_nothing(castle, great_wave):
    settings = replace(PRECISE, steps=3)
    plain = stylize(castle, great_wave, settings)
    masked = stylize(castle, [Style(great_wave, mask=np.full([16, 16], 255, np.uint8))], settings)
    assert masked.losses == pytest.approx(plain.losses, rel=1e-3)
    assert np.abs(masked.image.astype(int) - plain.image).mean() < 0.5


def test_a_mix_lies_between_its_paintings(castle, great_wave, kandinsky):
    def distance(share):
        style = [(great_wave, share), (kandinsky, 1 - share)]
        image = stylize(castle, style, replace(PRECISE, steps=3)).image
        return gram_distance(image, slice(None), great_wave)

    wave, mixed, other = map(distance, (1.0, 0.5, 0.0))
    assert wave < mixed < other


def test_the_previews_mix_and_regions(castle, great_wave, kandinsky):
    def first(style):
        frame = next(stream(castle, style, replace(SHALLOW, feather=0)))
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
    settings = replace(PRECISE, steps=2, color="linear")
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
    settings = replace(PRECISE, steps=6)
    seen = gram_distance(stylize(castle, hidden, settings).image, slice(None), half)
    whole = gram_distance(stylize(castle, great_wave, settings).image, slice(None), half)
    assert seen < whole


def test_style_scale_is_the_paintings_size_beside_the_pictures(castle_512):
    wave = images.to_uint8(images.load(example("style/great-wave"), 512).rgb)
    small = np.asarray(Image.fromarray(castle_512).resize((256, 171)))
    for scale, width in ((0.25, 64), (0.5, 128), (1, 256), (2, 512)):
        settings = replace(PRECISE, size=256, style_scale=scale)
        job, _ = load_job(small, as_styles(wave), settings, None, Objective.of(settings))
        ((painting, _),) = job.layout.regions[0].paintings
        assert painting.size[0] == width


def test_style_scale_gives_strokes_of_that_size(castle, great_wave):
    """Each picture has the statistics of the painting at its own scale rather than the other's."""
    pictures = {
        scale: stylize(castle, great_wave, replace(PRECISE, steps=6, style_scale=scale)).image
        for scale in (0.5, 2)
    }
    distances = {}
    for scale, width in ((0.5, 48), (2, 192)):
        painting = np.asarray(Image.fromarray(great_wave).resize((width, width * 80 // 118)))
        for painted, image in pictures.items():
            distances[scale, painted] = gram_distance(image, slice(None), painting)
    assert distances[0.5, 0.5] < distances[0.5, 2] / 2
    assert distances[2, 2] < distances[2, 0.5] / 2


def test_a_plan_for_another_photo_is_refused(castle, great_wave):
    plan = Easel(castle, great_wave, SHALLOW).plan
    with pytest.raises(SettingsError, match=r"for a picture of 96 x 64 px, .* comes to 59 x 96"):
        stylize(castle[:, :79].repeat(2, axis=0), great_wave, SHALLOW, plan=plan)
    frame = stylize(castle, great_wave, SHALLOW, plan=plan)
    np.testing.assert_array_equal(frame.image, stylize(castle, great_wave, SHALLOW).image)


# --- Colours ------------------------------------------------------------------------------------


def test_colours_are_changed_at_once_after_the_run(castle, great_wave):
    keep = band(64, 96, 0, 0.3)
    easel = Easel(castle, great_wave, SHALLOW, keep)
    *_, last = easel.paint()
    wanted = stylize(castle, great_wave, replace(SHALLOW, color="luminance"), keep)
    np.testing.assert_array_equal(easel.recolored(last, "luminance").image, wanted.image)
    np.testing.assert_array_equal(easel.recolored(last, "painting").image, last.image)


def test_paintings_are_recolored_once_for_each_run(castle_512, great_wave, monkeypatch):
    """With a preview, two scales and many frames."""
    modes = []
    recolored = Job.recolored

    def counted(job, mode):
        modes.append(mode)
        return recolored(job, mode)

    monkeypatch.setattr(Job, "recolored", counted)
    settings = replace(SHALLOW, size=512, steps=4, color="histogram")
    easel = Easel(castle_512[160:192].copy(), great_wave, settings)
    assert modes == []
    assert len({frame.scale for frame in easel.paint()}) == 2
    assert modes == ["histogram"]
    list(easel.resume(replace(settings, color="linear")))
    assert modes == ["histogram", "linear"]


@hypothesis.settings(max_examples=12, deadline=None)
@given(
    st.integers(16, 64),
    st.integers(80, 112),
    st.lists(st.tuples(st.floats(0.1, 10), st.booleans()), min_size=1, max_size=3),
    st.booleans(),
    st.sampled_from(sorted(COLOR_MODES)),
    st.sampled_from([0.25, 0.7, 1.0, 2.0]),
)
def test_any_sizes_weights_masks_and_modes(height, width, paintings, keeps, color, scale):
    rng = np.random.default_rng(height)
    photo, painting = (
        rng.integers(0, 256, [*size, 3]).astype(np.uint8) for size in ((height, width), (90, 100))
    )
    styles = [
        Style(painting, weight, band(16, 20, 0.3 * number, 0.3 * number + 0.25) if masked else None)
        for number, (weight, masked) in enumerate(paintings)
    ]
    settings = replace(SHALLOW, size=112, steps=1, color=color, style_scale=scale)
    frame = stylize(photo, styles, settings, band(16, 16, 0.95, 1) if keeps else None)
    assert frame.image.shape == (height, width, 3)
    assert all(np.isfinite(loss) for loss in frame.losses.values())


# --- Palettes laid after the run ----------------------------------------------------------------


def flat(color) -> np.ndarray:
    return np.full([64, 96, 3], color, np.uint8)


def laid(styles, castle) -> np.ndarray:
    """The castle itself as the picture, with the palettes of some flat paintings laid."""
    easel = Easel(castle, styles, replace(SHALLOW, feather=0))
    return easel._job.finished(castle, "oklab").astype(int)


def test_each_region_has_its_own_paintings_palette_laid(castle):
    red, blue = flat((200, 40, 40)), flat((40, 40, 200))
    left = band(64, 96, 0, 0.5)
    sides = laid([Style(red, mask=left), Style(blue)], castle)
    np.testing.assert_array_equal(sides[:, :47], laid(red, castle)[:, :47])
    np.testing.assert_array_equal(sides[:, 49:], laid(blue, castle)[:, 49:])


def test_a_palette_is_mixed_by_shares(castle):
    red, blue = flat((200, 40, 40)), flat((40, 40, 200))

    def redness(share):
        mean = laid([(red, share), (blue, 1 - share)], castle).mean(axis=(0, 1))
        return mean[0] - mean[2]

    assert redness(0.9) > redness(0.5) > redness(0.1)


def test_a_thin_drawing_on_transparent_paper_has_its_own_colours(castle_512):
    """Two pixels wide, so that it would be lost if the painting were made smaller first."""
    drawing = np.zeros([320, 512, 4], np.uint8)
    drawing[::16] = drawing[1::16] = (40, 40, 200, 255)
    (palette,) = Easel(castle_512, drawing, replace(SHALLOW, size=512))._job.palettes
    np.testing.assert_array_equal(palette, np.full_like(palette, (40, 40, 200)))
