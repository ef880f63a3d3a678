"""Films, decoded again: how many pictures, which size, which colours."""

from __future__ import annotations

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from nst_core.errors import FilmError
from nst_core.pictures import film
from nst_core.pictures.film import Changed, ThinnedFrames

HOLD = round(film.HOLD_SECONDS * film.FRAMES_PER_SECOND)


def pictures(count=5, height=48, width=64) -> list[np.ndarray]:
    """Flat colours on the way from blue to orange."""
    shares = np.linspace(0, 1, count)[:, np.newaxis]
    colours = np.uint8((1 - shares) * [30, 60, 200] + shares * [230, 140, 40])
    return [np.broadcast_to(colour, (height, width, 3)).copy() for colour in colours]


def decoded(path) -> list[np.ndarray]:
    with av.open(path) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == film.FRAMES_PER_SECOND
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]


def test_an_mp4_has_every_picture_in_its_colours_and_holds_the_last(tmp_path):
    shown = pictures()
    film.save(shown, tmp_path / "film.mp4")
    found = decoded(tmp_path / "film.mp4")
    assert len(found) == len(shown) + HOLD
    for picture, expected in zip(found, [*shown, *[shown[-1]] * HOLD], strict=True):
        assert picture.shape == expected.shape
        np.testing.assert_allclose(picture, expected, atol=6)


def test_a_browser_can_start_an_mp4_before_it_is_all_there(tmp_path):
    film.save(pictures(), tmp_path / "film.mp4")
    content = (tmp_path / "film.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_odd_sides_become_even_by_repeating_the_border(tmp_path):
    film.save(pictures(height=33, width=47), tmp_path / "film.mp4")
    assert decoded(tmp_path / "film.mp4")[0].shape == (34, 48, 3)


@pytest.mark.parametrize("ending", [".webp", ".gif"])
def test_animations_have_every_picture_and_hold_the_last(ending, tmp_path):
    shown = pictures()
    film.save(shown, tmp_path / f"film{ending}")
    with Image.open(tmp_path / f"film{ending}") as image:
        assert (image.size, image.n_frames, image.info["loop"]) == ((64, 48), len(shown), 0)
        frames = [np.asarray(f.convert("RGB"), int) for f in ImageSequence.Iterator(image)]
        image.seek(len(shown) - 1)
        assert image.info["duration"] >= 1000 * film.HOLD_SECONDS
    for found, expected in zip(frames, shown, strict=True):
        np.testing.assert_allclose(found, expected, atol=8)


def test_a_gif_is_made_small(tmp_path):
    film.save(pictures(2, 600, 900), tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as image:
        assert image.size == (480, 320)


def test_what_cannot_be_a_film_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(FilmError, match=r"'film.avi'.*\.gif, \.mp4, \.webp"):
        film.save(pictures(), tmp_path / "film.avi")
    with pytest.raises(FilmError, match="0 sizes"):
        film.save([], tmp_path / "film.mp4")
    with pytest.raises(FilmError, match="2 sizes"):
        film.save([*pictures(), *pictures(height=32)], tmp_path / "film.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [1, 7, 119, 120, 121, 1000])
def test_a_reel_stays_short_even_and_ends_with_the_last_picture(count):
    thinned = ThinnedFrames()
    for number in range(count):
        thinned.add(in_grey(number))
    numbers = [from_grey(picture) for picture in thinned]
    assert numbers[0] == 0
    assert numbers[-1] == count - 1
    assert min(count, film.MAX_PICTURES // 2) <= len(numbers) == len(thinned) <= film.MAX_PICTURES
    assert len(set(np.diff(numbers[:-1]))) <= 1


def in_grey(number: int) -> np.ndarray:
    """A number as two greys that JPEG keeps."""
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[:, :16], picture[:, 16:] = 6 * (number // 40), 6 * (number % 40)
    return picture


def from_grey(picture: np.ndarray) -> int:
    high, low = (round(float(half.mean()) / 6) for half in np.split(picture, 2, axis=1))
    return 40 * high + low


def test_a_reel_gives_back_what_it_was_given(castle):
    thinned = ThinnedFrames()
    thinned.add(castle)
    assert thinned[0].shape == castle.shape
    assert np.abs(thinned[0].astype(int) - castle).mean() < 3
    assert [picture.shape for picture in thinned[:]] == [castle.shape]
    with pytest.raises(IndexError):
        thinned[1]


def test_an_empty_reel_has_no_pictures():
    assert len(ThinnedFrames()) == 0


def test_pictures_are_changed_at_the_moment_when_they_are_asked_for(castle):
    asked = []
    changed = Changed([castle, castle + 1], lambda picture: asked.append(1) or 255 - picture)
    assert (len(changed), asked) == (2, [])
    np.testing.assert_array_equal(changed[1], 255 - (castle + 1))
    assert len(asked) == 1
    assert [picture.shape for picture in changed[:]] == [castle.shape] * 2
    assert len(asked) == 3
