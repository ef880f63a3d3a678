"""Weights and masks: every pixel is shared out, by the right shares, and nonsense is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from PIL import Image

from nst_core import ImageError, SettingsError, Style
from nst_core.pictures import images
from nst_core.pictures.images import Picture
from nst_core.pictures.regions import MAX_PAINTINGS, as_styles, everywhere, lay_out

H, W = 40, 60


def make_picture(alpha=None) -> Picture:
    return Picture(np.zeros([1, H, W, 3], np.float32), alpha)


def mask(left: int, right: int, value: int = 255) -> np.ndarray:
    """Uint8 [H, W], `value` in the columns from `left` to before `right`."""
    pixels = np.zeros([H, W], np.uint8)
    pixels[:, left:right] = value
    return pixels


def masks(*styles: Style, keep=None, feather=0.0, alpha=None):
    """The regions' masks and that of what is kept, each [H, W]."""
    pictures = [make_picture()] * len(styles)
    layout = lay_out(as_styles(styles), pictures, make_picture(alpha), keep, feather)
    found = [np.ones([1, H, W, 1]) if r.mask is None else r.mask for r in layout.regions]
    kept = np.zeros([1, H, W, 1]) if layout.kept is None else layout.kept
    return [one[0, ..., 0] for one in found], kept[0, ..., 0]


PAINTING = np.zeros([20, 20, 3], np.uint8)


def style(weight: float = 1.0, where=None) -> Style:
    return Style(PAINTING, weight, where)


def test_paintings_without_masks_are_mixed_everywhere():
    layout = lay_out(
        [style(3), style(1)], [make_picture(), make_picture()], make_picture(), None, 1.0
    )
    (region,) = layout.regions
    assert (region.mask, layout.kept, layout.has_masks) == (None, None, False)
    assert [share for _, share in region.paintings] == [0.75, 0.25]


def test_one_painting_everywhere_has_a_short_name():
    painting = make_picture()
    assert everywhere(painting) == lay_out([style()], [painting], make_picture(), None, 1.0)


def test_regions_tell_which_paintings_are_theirs():
    """Those with masks come first, whatever the order that they were given in."""
    styles = [style(), style(where=mask(0, 20)), style(), style(where=mask(20, 40))]
    for some, expected in ((styles, [(1,), (3,), (0, 2)]), (styles[::2], [(0, 1)])):
        layout = lay_out(some, [make_picture()] * len(some), make_picture(), None, 0.0)
        assert [region.numbers for region in layout.regions] == expected


def test_inside_one_and_outside_another():
    (inside, outside), kept = masks(style(1, mask(0, 20)), style())
    np.testing.assert_array_equal(inside, mask(0, 20) / 255)
    np.testing.assert_array_equal(outside, 1 - mask(0, 20) / 255)
    assert not kept.any()


def test_what_no_painting_covers_stays_the_photo():
    (inside,), kept = masks(style(1, mask(0, 20)))
    np.testing.assert_array_equal(inside, mask(0, 20) / 255)
    np.testing.assert_array_equal(kept, 1 - mask(0, 20) / 255)


def test_overlapping_masks_share_by_weight():
    (one, other), _ = masks(style(3, mask(0, 40)), style(1, mask(20, 60)))
    np.testing.assert_allclose(one[0, [0, 30, 50]], [1, 0.75, 0])
    np.testing.assert_allclose(other[0, [0, 30, 50]], [0, 0.25, 1])


def test_soft_masks_stay_soft():
    (inside, outside), _ = masks(style(1, mask(0, 60, 51)), style())
    assert inside[0, 0] == pytest.approx(0.2, abs=0.01)
    assert outside[0, 0] == pytest.approx(0.8, abs=0.01)


def test_edges_are_blurred_and_what_is_kept_only_outwards():
    (inside, _), _ = masks(style(1, mask(0, 30)), style(), feather=5)
    assert inside[0, 29] == pytest.approx(0.5, abs=0.1)
    assert inside[0, 20] > 0.99
    _, kept = masks(style(), keep=mask(0, 30), feather=5)
    assert kept[:, :30].min() > 0.97
    assert 0.1 < kept[0, 35] < 0.9
    assert kept[0, 50] < 0.01


def test_a_transparent_photo_counts_where_it_is_seen():
    (visible,), kept = masks(style(), alpha=mask(0, 20))
    np.testing.assert_array_equal(visible, mask(0, 20) / 255)
    assert not kept.any()


def test_masks_of_any_size_and_kind_are_stretched():
    wide = np.zeros([16, 240], bool)
    wide[:, :80] = True
    drawn = Image.new("RGBA", (W, H))
    drawn.paste((255, 255, 255, 255), (0, 0, 20, H))
    for source in (wide, drawn, drawn.convert("LA"), mask(0, 20) * np.uint16(257)):
        (inside, _), _ = masks(style(1, source), style())
        assert np.abs(inside - mask(0, 20) / 255)[:, np.r_[:19, 22:W]].max() < 0.02


BANDS = st.none() | st.tuples(st.integers(0, 29), st.integers(32, W))


@given(
    st.lists(st.tuples(st.floats(0.01, 100), BANDS), min_size=1, max_size=MAX_PAINTINGS),
    st.none() | st.tuples(st.integers(0, 20), st.integers(40, W - 1)),
    st.floats(0, 10),
)
def test_every_pixel_is_shared_out_once(paintings, keep, feather):
    styles = [style(weight, where and mask(*where)) for weight, where in paintings]
    try:
        found, kept = masks(*styles, keep=keep and mask(*keep), feather=feather)
    except ImageError:
        reject()  # everything is taken: that is another test's
    assert min(one.min() for one in found) >= 0
    np.testing.assert_allclose(sum(found) + kept, 1, atol=1e-4)


def test_empty_masks_are_told():
    with pytest.raises(ImageError, match="mask of painting 2 is empty"):
        masks(style(1, mask(0, 9)), style(1, mask(0, 0)))
    with pytest.raises(ImageError, match="what is kept is empty"):
        masks(style(), keep=mask(0, 0))
    with pytest.raises(ImageError, match="Nothing of the picture is left for painting 1"):
        masks(style(), keep=mask(0, W))
    with pytest.raises(ImageError, match="Nothing of the picture is left for painting 2"):
        masks(style(1, mask(0, W)), style())
    with pytest.raises(ImageError, match=r"mask of painting 1 cannot be used\. There is no"):
        masks(style(1, "nowhere.png"))
    with pytest.raises(ImageError, match=r"what is kept cannot be used\. The picture is 4 x 3"):
        masks(style(), keep=np.full([3, 4], 255, np.uint8))


def test_styles_from_all_that_is_accepted():
    assert as_styles("a.jpg") == (Style("a.jpg", name="painting 1"),)
    assert as_styles([("a.jpg", 2), Style("b.jpg", 1, "m.png")]) == (
        Style("a.jpg", 2, name="painting 1"),
        Style("b.jpg", 1, "m.png", "painting 2"),
    )
    assert as_styles([("a.jpg", 0), ("b.jpg", 1)]) == (Style("b.jpg", name="painting 2"),)


@pytest.mark.parametrize(
    "styles",
    [
        [],
        [("a.jpg", 0)],
        [("a.jpg", -1), ("b.jpg", 2)],
        [("a.jpg", float("nan"))],
        [("a.jpg", "much")],
        ["a.jpg"],
        [("a.jpg", 1, None, "the first", 3)],
        [("a.jpg", 1)] * (MAX_PAINTINGS + 1),
    ],
)
def test_weights_that_make_no_sense(styles):
    with pytest.raises(SettingsError, match="style must be"):
        as_styles(styles)


def test_a_transparent_painting_shows_its_own_mean_where_it_is_hidden():
    pixels = np.zeros([20, 20, 4], np.uint8)
    pixels[:10] = (200, 100, 50, 255)
    pixels[10:] = (0, 255, 0, 0)  # a hidden colour
    shown = images.without_transparency(images.load(pixels))
    np.testing.assert_allclose(shown.rgb[0, 15, 5] * 255, (200, 100, 50), atol=1)
    with pytest.raises(ImageError, match="transparent everywhere"):
        images.without_transparency(images.load(np.zeros([20, 20, 4], np.uint8)))
