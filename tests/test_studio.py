"""What is kept of paintings, and the files made of them."""

from __future__ import annotations

import dataclasses
import gc
import os
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import example
from PIL import Image

from nst_core import Easel, Settings, recipe
from nst_core.pictures import film, images
from nst_core.pictures.film import ThinnedFrames
from page import gradio_inside, studio
from page.choice import Choice
from page.limits import LIMITS, Limits
from page.studio import Painting, Studio
from page.words import LossHistory


@pytest.fixture
def painting(steps) -> Painting:
    content, style = example("content/castle"), example("style/great-wave")
    settings = Settings(style_loss="gram", size=96, steps=2, frame_interval=0)
    easel, thinned = Easel(content, style, settings), ThinnedFrames()
    for frame in easel.paint():
        thinned.add(frame.image)
    made = recipe.make(content, style, settings)
    pictures = Choice.of({"content": str(content), "style": str(style)}, settings)
    return Painting(
        "castle-great-wave", pictures, made, easel, thinned, LossHistory(), frame
    ).planned()


def test_a_painting_is_found_by_its_name_only(painting):
    kept = Studio()
    kept.keep("name", painting)
    assert kept.find("name") is painting
    for other in ("", None, "nam", "name "):
        assert kept.find(other) is None


class Stand:
    """An easel of so many bytes; half of them are the optimizer's memory until it forgets."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = self.memory_nbytes = nbytes // 2

    def forget(self) -> None:
        self.memory_nbytes = 0


@pytest.fixture
def stand(painting, monkeypatch) -> Callable[[int], Painting]:
    """A painting of so many bytes."""
    monkeypatch.setattr(Painting, "nbytes", property(lambda one: one.easel.nbytes))
    return lambda nbytes: dataclasses.replace(painting, easel=Stand(nbytes))


def found(kept: Studio, count: int) -> list[int]:
    return [number for number in range(count) if kept.find(str(number))]


def test_the_oldest_make_room_by_their_bytes(stand):
    kept = Studio(picture_bytes=100, memory_bytes=1e9)
    for number, nbytes in enumerate((60, 80, 60, 40)):  # half of them pictures
        kept.keep(str(number), stand(nbytes))
    assert found(kept, 4) == [1, 2, 3]
    kept.keep("4", stand(200))
    assert found(kept, 5) == [4]


def test_one_that_is_larger_than_all_room_is_kept_alone(stand):
    kept = Studio(picture_bytes=100, memory_bytes=100)
    kept.keep("0", stand(60))
    kept.keep("1", stand(1000))
    assert found(kept, 2) == [1]
    kept.keep("2", stand(60))
    assert found(kept, 3) == [2]


def test_the_optimizers_memories_go_before_the_paintings(stand):
    kept, paintings = Studio(picture_bytes=1e9, memory_bytes=100), [stand(60) for _ in range(5)]
    for number, painting in enumerate(paintings):
        kept.keep(str(number), painting)
    assert found(kept, 5) == [0, 1, 2, 3, 4]
    assert [one.easel.memory_nbytes for one in paintings] == [0, 0, 30, 30, 30]


def test_who_paints_does_not_forget_for_others(stand):
    """A memory that grows in a run, of the painting that was kept longest ago."""
    kept, first, second = Studio(memory_bytes=100), stand(60), stand(60)
    kept.keep("first", first)
    kept.keep("second", second)
    first.easel.memory_nbytes = 90
    kept.keep("first", first)
    assert [first.easel.memory_nbytes, second.easel.memory_nbytes] == [90, 0]


def test_a_memory_goes_with_its_painting_before_that_of_another_does(stand):
    kept, used, unused, new = Studio(100, 100), stand(80), stand(80), stand(80)
    kept.keep("used", used)
    kept.keep("unused", unused)
    assert kept.find("used") is used
    kept.keep("new", new)
    assert kept.find("unused") is None
    assert [used.easel.memory_nbytes, new.easel.memory_nbytes] == [40, 40]


def test_what_is_too_old_goes_and_its_memory_with_it(stand, monkeypatch):
    """By a clock that never jumps, and also while nobody paints."""
    now = [0.0]
    monkeypatch.setattr(studio.time, "monotonic", lambda: now[0])
    kept, painting = Studio(max_age=100), stand(60)
    kept.keep("old", painting)
    now[0] = 60.0
    kept.keep("changed", painting)
    now[0] = 99.0
    assert kept.find("old") is painting
    now[0] = 101.0
    assert kept.find("old") is None
    assert kept.find("changed") is painting
    easel = weakref.ref(painting.easel)
    del painting
    now[0] = 161.0
    kept.expire()
    gc.collect()
    assert easel() is None


def test_bytes_are_those_of_the_arrays(painting):
    height, width, colours = painting.frame.image.shape
    pixels, easel = height * width * colours, painting.easel
    style = images.load(example("style/great-wave"), 96).rgb
    assert easel.nbytes >= 4 * pixels + pixels + style.nbytes
    assert easel.memory_nbytes > 0
    film_bytes = painting.pictures_so_far.nbytes
    assert painting.nbytes == easel.nbytes + film_bytes + 2 * pixels
    assert 0 < film_bytes < 3 * len(painting.pictures_so_far) * pixels
    easel.forget()
    assert easel.memory_nbytes == 0


def test_visitors_of_a_talk_find_their_pictures_again():
    """A hundred paintings at 512 px, some 15 MB each, have room."""
    assert LIMITS.picture_bytes / 15e6 > 100


def test_a_saved_picture_is_its_frame_with_the_recipe_inside(painting):
    path = studio.save_picture(painting)
    assert Path(path).name == "castle-great-wave.png"
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), painting.frame.image)
    assert recipe.read(path) == painting.recipe
    assert painting.recipe.plan == painting.frame.plan
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
        assert len(frames) == len(painting.pictures_so_far) + hold
        assert (frames[0].width, frames[0].height) == (96, 64)
    else:
        with Image.open(path) as image:
            assert (image.n_frames, image.size) == (len(painting.pictures_so_far), (96, 64))


# --- The visitors' files ------------------------------------------------------------------------


@pytest.fixture
def cache(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def sweep_at(monkeypatch) -> Callable[..., None]:
    """Sweep when the clock that never jumps shows so many seconds."""

    def sweep(now: float, *kept: Path, limits: Limits = LIMITS) -> None:
        monkeypatch.setattr(studio.time, "monotonic", lambda: now)
        studio.sweep(kept, limits)

    return sweep


def put(path: Path, size: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path


def wait_for_the_clock_of_files(path: Path) -> None:
    """Until a file that is written now has another time than this one: that clock is coarse."""
    probe = path.with_suffix(".probe")
    while not probe.exists() or probe.stat().st_ctime <= path.stat().st_ctime:
        probe.write_bytes(b"")
    probe.unlink()


def test_a_stored_picture_is_found_by_its_token_only(cache, painting):
    path = studio.save_picture(painting)
    assert studio.find_last("token") is None
    studio.store_last("token", path)
    studio.store_last("token", path)
    found = studio.find_last("token")
    assert Path(found).name == "castle-great-wave.png"
    assert recipe.read(found).settings == painting.recipe.settings
    for other in (None, "", "toke", "../token", "*"):
        assert studio.find_last(other) is None


def test_the_last_picture_stays_until_the_new_one_is_whole(cache, painting, monkeypatch):
    path = studio.save_picture(painting)
    studio.store_last("token", path)
    before = studio.find_last("token")
    other = shutil.copyfile(path, cache / "other.png")

    def full(*_):
        raise OSError("No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(studio, "write_whole", full)
        with pytest.raises(OSError, match="No space"):
            studio.store_last("token", str(other))
    assert studio.find_last("token") == before
    studio.store_last("token", str(other))
    assert Path(studio.find_last("token")).name == "other.png"


def test_old_files_are_swept_and_the_pages_own_are_not(cache, sweep_at):
    own, old = put(cache / "a" / "own.jpg"), put(cache / "b" / "old.png")
    sweep_at(0, own)
    sweep_at(LIMITS.age_seconds, own)
    assert old.exists()
    new = put(cache / "c" / "new.png")
    sweep_at(LIMITS.age_seconds + 1, own)
    assert own.exists()
    assert new.exists()
    assert not old.parent.exists()


def test_files_of_other_programs_are_never_swept(cache, sweep_at):
    """They share Gradio's folder; what is in our own is ours."""
    others = put(cache / "a" / "theirs.png"), put(cache / "theirs.jpg")
    gradio_inside.move_in(studio.FOLDER)
    own = put(gradio_inside.upload_folder() / "b" / "own.png")
    sweep_at(0)
    sweep_at(LIMITS.age_seconds + 1)
    assert not own.exists()
    assert all(other.exists() for other in others)
    assert gradio_inside.upload_folder().stat().st_mode & 0o077 == 0, "nobody else's to read"


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_a_clock_that_jumps_deletes_nothing(jump, cache, sweep_at):
    """Files of before and after the jump; their times are the wall clock's."""
    path = put(cache / "a" / "x.png")
    sweep_at(0)
    now = path.stat().st_mtime + jump
    os.utime(path, (now, now))
    sweep_at(1)
    sweep_at(2)
    assert path.exists()


def test_a_copy_of_an_old_file_is_new(cache, sweep_at):
    original = put(cache / "original.jpg")
    os.utime(original, (0, 0))
    sweep_at(0)
    assert original.exists()


def test_the_oldest_make_room(cache, sweep_at):
    files = []
    for now, name in enumerate("abc"):
        files.append(put(cache / name / "x.png", 40))
        sweep_at(now)
    sweep_at(3, limits=Limits(file_bytes=100))
    assert [path.exists() for path in files] == [False, True, True]


def test_a_picture_that_is_made_again_counts_as_new(cache, painting, sweep_at):
    path = Path(studio.save_picture(painting))
    other = put(cache / "b" / "x.png", path.stat().st_size)
    sweep_at(0)
    wait_for_the_clock_of_files(path)
    assert studio.save_picture(painting) == str(path)
    sweep_at(1, limits=Limits(file_bytes=path.stat().st_size * 1.5))
    assert path.exists()
    assert not other.exists()
