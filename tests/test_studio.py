"""What is kept of paintings, and the files made of them."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import example
from PIL import Image

from nst_core import Easel, Settings, film, recipe
from nst_core.film import Reel
from page import studio
from page.studio import Painting, Studio


@pytest.fixture(scope="module")
def painting() -> Painting:
    content, style = example("content/castle"), example("style/great-wave")
    settings = Settings(size=96, steps=2, frame_interval=0)
    easel, reel = Easel(content, style, settings), Reel()
    for frame in easel.paint():
        reel.add(frame.image)
    made = recipe.make(content, style, settings)
    pictures = str(content), str(style)
    return Painting("castle-great-wave", pictures, made, easel, reel, [], frame)


def test_a_painting_is_found_by_its_name_only(painting):
    kept = Studio()
    kept.keep("name", painting)
    assert kept.find("name") is painting
    for other in ("", None, "nam", "name "):
        assert kept.find(other) is None


class Stand:
    """An easel that only counts how often it was told to forget."""

    def __init__(self) -> None:
        self.forgotten = 0

    def forget(self) -> None:
        self.forgotten += 1


def test_the_oldest_make_room_and_only_the_latest_keep_the_optimizers_memory(painting):
    kept, easels = Studio(), [Stand() for _ in range(studio.MOST_PAINTINGS + 3)]
    for number, easel in enumerate(easels):
        kept.keep(str(number), dataclasses.replace(painting, easel=easel))
    found = [number for number in range(len(easels)) if kept.find(str(number))]
    assert found == list(range(3, len(easels)))
    remember = [easel.forgotten == 0 for easel in easels]
    assert (
        remember == [False] * (len(easels) - studio.MOST_MEMORIES) + [True] * studio.MOST_MEMORIES
    )


def test_a_saved_picture_is_its_frame_with_the_recipe_inside(painting):
    path = studio.save_picture(painting)
    assert Path(path).name == "castle-great-wave.png"
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), painting.frame.image)
    assert recipe.read(path) == painting.recipe
    assert studio.save_picture(painting) == path


def test_a_blend_lies_between_photo_and_picture_and_says_so(painting):
    np.testing.assert_array_equal(painting.blended(0), painting.photo)
    np.testing.assert_array_equal(painting.blended(1), painting.frame.image)
    half = (painting.photo.astype(float) + painting.frame.image) / 2
    np.testing.assert_allclose(painting.blended(0.5), half, atol=1)
    path = studio.save_picture(painting, 0.25)
    assert recipe.read(path).blend == 0.25
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), painting.blended(0.25))


@pytest.mark.parametrize("ending", film.FORMATS)
def test_a_film_has_all_pictures_of_the_run(painting, ending):
    path = studio.save_film(painting, ending)
    assert Path(path).name == f"castle-great-wave{ending}"
    assert studio.save_film(painting, ending) == path
    hold = round(film.HOLD_SECONDS * film.FRAMES_PER_SECOND)
    if ending == ".mp4":
        with av.open(path) as container:
            frames = list(container.decode(video=0))
        assert len(frames) == len(painting.reel) + hold
        assert (frames[0].width, frames[0].height) == (96, 64)
    else:
        with Image.open(path) as image:
            assert (image.n_frames, image.size) == (len(painting.reel), (96, 64))


# --- The visitors' files ------------------------------------------------------------------------


@pytest.fixture
def cache(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


def put(path: Path, size: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    time.sleep(0.02)  # the clock of files is coarse
    return path


def test_what_is_put_by_is_found_by_its_token_only(cache, painting):
    path = studio.save_picture(painting)
    assert studio.find_by("token") is None
    studio.put_by("token", path)
    studio.put_by("token", path)
    found = studio.find_by("token")
    assert Path(found).name == "castle-great-wave.png"
    assert recipe.read(found).settings == painting.recipe.settings
    for other in (None, "", "toke", "../token", "*"):
        assert studio.find_by(other) is None


def test_old_files_are_swept_and_the_pages_own_are_not(cache, monkeypatch):
    own, old = put(cache / "a" / "own.jpg"), put(cache / "b" / "old.png")
    studio.sweep({own})
    assert old.exists()
    later = time.monotonic() + studio.OLDEST + 1
    monkeypatch.setattr(studio.time, "monotonic", lambda: later)
    new = put(cache / "c" / "new.png")
    studio.sweep({own})
    assert own.exists()
    assert new.exists()
    assert not old.parent.exists()


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_a_clock_that_jumps_deletes_nothing(jump, cache, monkeypatch):
    path = put(cache / "a" / "x.png")
    studio.sweep(set())
    now = time.time() + jump
    monkeypatch.setattr(studio.time, "time", lambda: now)
    os.utime(path, (now, now))
    studio.sweep(set())
    studio.sweep(set())
    assert path.exists()


def test_the_oldest_make_room(cache, monkeypatch):
    first, second, third = (put(cache / name / "x.png", 40) for name in "abc")
    monkeypatch.setattr(studio, "MOST_BYTES", 100)
    studio.sweep(set())
    assert [path.exists() for path in (first, second, third)] == [False, True, True]


def test_a_copy_of_an_old_file_is_new(cache):
    original = put(cache / "original.jpg")
    os.utime(original, (0, 0))
    studio.sweep(set())
    assert original.exists()


def test_a_picture_that_is_made_again_counts_as_new(cache, painting, monkeypatch):
    path = Path(studio.save_picture(painting))
    other = put(cache / "b" / "x.png", path.stat().st_size)
    assert studio.save_picture(painting) == str(path)
    monkeypatch.setattr(studio, "MOST_BYTES", path.stat().st_size * 1.5)
    studio.sweep(set())
    assert path.exists()
    assert not other.exists()
