"""Clips as phones, cameras, editors and strangers make them; and where they are cut."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import av
import clips
import numpy as np
import pytest
from PIL import Image

from nst_core import ClipError
from nst_core.films.clip import Limits, probe
from nst_core.films.cuts import Shot, cuts, look_through, typical
from nst_core.stop import StoppedError, StopToken


@pytest.fixture(scope="module")
def frames(castle_512) -> list[np.ndarray]:
    """Eight frames, uint8 [64, 96, 3]."""
    return clips.moving(castle_512[100:], 8, (96, 64))


def loaded(file, size: int = 512) -> list[np.ndarray]:
    clip = probe(file)
    return [frame.pixels for frame in clip.frames(clip.size_at(size))]


def assert_alike(got: list[np.ndarray], wanted: list[np.ndarray], limit: float = 6) -> None:
    assert [one.shape for one in got] == [one.shape for one in wanted]
    assert np.mean(np.abs(np.float32(got) - np.float32(wanted))) < limit


def test_a_clip_is_read_in_the_order_it_is_shown_in(tmp_path, frames):
    file = clips.write(tmp_path / "a.mp4", frames, options={"crf": "5", "bf": "3"})
    clip = probe(file)
    assert (clip.width, clip.height, clip.rate, clip.has_sound) == (96, 64, 12, False)
    assert_alike(loaded(file), frames)
    found = list(clip.frames((48, 32)))
    assert [frame.number for frame in found] == list(range(8))
    seconds = [float(frame.time * clip.time_base) for frame in found]
    assert seconds == pytest.approx([number / 12 for number in range(8)], abs=1e-3)
    assert found[0].pixels.shape == (32, 48, 3)


def test_a_portrait_clip_of_a_phone_is_upright(tmp_path, frames):
    lying = [np.ascontiguousarray(np.rot90(frame)) for frame in frames]  # counterclockwise
    file = clips.turn(clips.write(tmp_path / "phone.mp4", lying, options={"crf": "5"}))
    clip = probe(file)
    assert (clip.width, clip.height) == (96, 64)
    assert_alike(loaded(file), frames)


def test_times_of_a_variable_rate_are_kept(tmp_path, frames):
    moments = [0, 0.1, 0.15, 0.5, 0.52, 1.0, 1.7, 1.75]
    file = clips.write(tmp_path / "variable.mkv", frames, times=moments)
    clip = probe(file)
    found = [float(frame.time * clip.time_base) for frame in clip.frames((96, 64))]
    assert found == pytest.approx(moments, abs=2e-3)


def test_ten_bits_and_other_codecs(tmp_path, frames):
    ten = clips.write(tmp_path / "ten.mkv", frames, codec="ffv1", pixels="yuv420p10le", options={})
    assert_alike(loaded(ten), frames)
    gif = clips.write(tmp_path / "a.gif", frames, codec="gif", pixels="rgb8", options={})
    assert_alike(loaded(gif), frames, 40)
    avi = clips.write(tmp_path / "a.avi", frames, codec="mpeg4", options={"b": "4M"})
    assert_alike(loaded(avi), frames, 10)


def test_what_is_transparent_is_laid_on_paper(tmp_path, frames):
    alpha = np.full([64, 96, 1], 255, np.uint8)
    alpha[:, :48] = 0
    layered = [np.dstack([frame, alpha]) for frame in frames]
    file = clips.write(tmp_path / "a.mov", layered, codec="qtrle", pixels="argb", options={})
    found = loaded(file)
    assert min(frame[:, :46].min() for frame in found) == 255
    assert_alike([f[:, 50:] for f in found], [f[:, 50:] for f in frames], 2)


def test_odd_sides_become_even_and_pixels_square(tmp_path, frames):
    odd = [frame[:61, :95] for frame in frames]
    file = clips.write(tmp_path / "odd.mkv", odd, codec="ffv1", pixels="bgr0", options={})
    clip = probe(file)
    assert clip.size_at(512) in {(94, 60), (96, 60), (96, 62), (94, 62)}
    assert loaded(file)[0].shape[:2] == clip.size_at(512)[::-1]
    wide = clips.write(tmp_path / "wide.mp4", frames, ratio=Fraction(4, 3))
    assert (probe(wide).width, probe(wide).height) == (128, 64)


def test_a_size_is_never_larger_than_the_clip(tmp_path, frames):
    clip = probe(clips.write(tmp_path / "a.mp4", frames))
    assert clip.size_at(4096) == (96, 64)
    assert clip.size_at(48) == (48, 32)
    with pytest.raises(ClipError, match="every side needs 16"):
        clip.size_at(16)


def sound_only(file) -> None:
    with av.open(file, "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros([1, 1024], np.int16), "s16", "mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


HOSTILE = {
    "empty.mp4": (lambda file: file.write_bytes(b""), "empty"),
    "text.mp4": (lambda file: file.write_text("no clip" * 100), "not a clip"),
    "noise.mp4": (lambda file: file.write_bytes(bytes(range(256)) * 40), "not a clip"),
    "sound.m4a": (sound_only, "only sound"),
    "list.m3u8": (lambda file: file.write_text("#EXTM3U\n/etc/passwd\n"), "not a clip"),
    "still.png": (lambda file: Image.new("RGB", (64, 64)).save(file), "not a clip"),
    "list.txt": (lambda file: file.write_text("ffconcat version 1.0\nfile a.mp4\n"), "not a clip"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_clip_is_told(tmp_path, name):
    write, told = HOSTILE[name]
    write(tmp_path / name)
    with pytest.raises(ClipError, match=told):
        probe(tmp_path / name)


def test_no_file_and_a_folder(tmp_path):
    for path in (tmp_path, tmp_path / "nothing.mp4"):
        with pytest.raises(ClipError, match="There is no clip"):
            probe(path)


def test_what_is_too_large_or_too_long_is_told_before_it_is_decoded(tmp_path, frames):
    file = clips.write(tmp_path / "a.mp4", frames)
    for limits, told in (
        (Limits(seconds=0.5), r"0\.7 s long, but 0\.5 s"),
        (Limits(pixels=64 * 95), "96 x 64 pixels"),
        (Limits(bytes=100), "MB are the most"),
    ):
        with pytest.raises(ClipError, match=told):
            probe(file, limits)
    tiny = clips.write(
        tmp_path / "tiny.mkv", [f[:12, :12] for f in frames], codec="ffv1", options={}
    )
    with pytest.raises(ClipError, match="12 x 12"):
        probe(tiny)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
def test_a_truncated_file_gives_frames_or_an_error_and_nothing_else(tmp_path, frames, share):
    for name, options in (("a.mp4", {}), ("a.mkv", {}), ("fragmented.mp4", {"bf": "0"})):
        data = clips.write(tmp_path / name, frames, options={"crf": "10", **options}).read_bytes()
        (tmp_path / name).write_bytes(data[: int(share * len(data))])
        with contextlib.suppress(ClipError):
            assert len(look_through(probe(tmp_path / name))) <= len(frames)


def test_damaged_bytes_give_frames_or_an_error_and_nothing_else(tmp_path, frames, rng):
    whole = np.frombuffer(clips.write(tmp_path / "a.mp4", frames).read_bytes(), np.uint8)
    for _ in range(20):
        broken = whole.copy()
        broken[rng.integers(len(whole), size=30)] = rng.integers(256, size=30)
        (tmp_path / "broken.mp4").write_bytes(broken.tobytes())
        try:
            clip = probe(tmp_path / "broken.mp4")
            assert all(frame.pixels.dtype == np.uint8 for frame in clip.frames(clip.size_at(96)))
        except ClipError:
            pass


# --- Cuts ---------------------------------------------------------------------------------------


def test_shots_begin_where_the_clip_is_cut(tmp_path, castle_512, great_wave):
    one = clips.moving(castle_512[100:], 7, (96, 64))
    other = clips.moving(np.tile(great_wave, [1, 2, 1]), 5, (96, 64), right=3)
    clip = probe(clips.write(tmp_path / "cut.mp4", [*one, *other, *one[:4]]))
    footage = look_through(clip)
    assert footage.shots == (Shot(0, 7, 0), Shot(7, 12, 7), Shot(12, 16, 12))
    assert len(footage) == 16


def test_a_fast_pan_and_a_flash_are_no_cuts(tmp_path, castle_512):
    pan = clips.moving(castle_512, 12, (192, 128), right=20)
    pan[6] = np.full_like(pan[6], 255)
    clip = probe(clips.write(tmp_path / "pan.mp4", pan))
    assert len(look_through(clip).shots) == 1


def test_cuts_stand_out_from_the_frames_around_them():
    assert cuts([0, 0.01, 0.2, 0.01]) == [2]
    assert cuts([0, 0.2, 0.2, 0.2, 0.2]) == []  # all is in motion
    assert cuts([0, 0.01, 0.2, 0.19, 0.01]) == []  # a flash
    assert cuts([0, 0.001, 0.02, 0.001]) == []  # too little
    assert cuts([0.0]) == []


def test_a_shot_that_fades_in_has_the_colours_of_its_fullest_frame():
    assert typical([10, 11, 12]) == 0
    assert typical([0, 5, 30, 20]) == 2


def test_looking_through_is_stopped_and_bounded(tmp_path, frames):
    clip = probe(clips.write(tmp_path / "a.mp4", frames))
    stop = StopToken()
    stop.stop()
    with pytest.raises(StoppedError):
        look_through(clip, stop=stop)
    with pytest.raises(ClipError, match="s are the most"):
        look_through(clip, Limits(seconds=0.2))
