"""Films: what is kept of the clip; stopped, killed and gone on with; one with the real net."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import clips
import numpy as np
import pytest
from conftest import example

from nst_core import Film, FilmError, Settings, SettingsError, StopToken, recipe
from nst_core.cli.main import main
from nst_core.films import painter
from nst_core.films.clip import ClipFrame, probe
from nst_core.films.cuts import Footage, Shot, look_through
from nst_core.films.folder import Folder, holds, is_whole
from nst_core.films.reel import Reel

WAVE = example("style/great-wave")
CHEAP = Settings(size=96, steps=4, subject=False)


@pytest.fixture(scope="module")
def clip(tmp_path_factory, castle_512):
    """30 frames of two shots, 1 s, with sound."""
    moved = clips.moving(castle_512[100:], 20, (96, 64))
    shot = clips.moving(castle_512[:, ::-1], 10, (96, 64), right=1)
    folder = tmp_path_factory.mktemp("clip")
    return clips.write(folder / "clip.mp4", [*moved, *shot], rate=30, sound="aac")


def film(clip, output, quality="quick", settings=CHEAP, **options) -> Film:
    return Film(clip, WAVE, output, settings, quality, **options)


def parts(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- What is kept of the clip -------------------------------------------------------------------


@pytest.mark.parametrize("quality", painter.QUALITIES)
def test_sound_rate_and_length_are_kept(steps, clip, tmp_path, quality):
    output = tmp_path / "out.mp4"
    frames = list(film(clip, output, quality).paint())
    assert [frame.number for frame in frames] == list(range(30))
    assert [frame.done for frame in frames] == [False] * 29 + [True]
    assert {frame.image.shape for frame in frames} == {(64, 96, 3)}
    assert frames[-1].eta == 0
    assert clips.times(output) == pytest.approx(clips.times(clip), abs=1e-3)
    codec, seconds = clips.sound(output)
    assert (codec, seconds) == ("aac", pytest.approx(clips.sound(clip)[1], abs=0.03))
    saved = clips.read(output)
    assert np.abs(np.float32(saved) - [frame.image for frame in frames]).mean() < 6
    assert parts(tmp_path) == ["out.mp4"]


def test_times_of_a_variable_rate_and_sound_of_another_codec(steps, castle_512, tmp_path):
    moments = [0, 0.1, 0.15, 0.5, 0.52, 1.0, 1.7, 1.75]
    source = clips.write(
        tmp_path / "clip.mkv",
        clips.moving(castle_512[100:], 8, (96, 64)),
        times=moments,
        sound="pcm_s16le",
        seconds=2,
    )
    list(film(source, tmp_path / "out.mp4").paint())
    assert clips.times(tmp_path / "out.mp4") == pytest.approx(moments, abs=2e-3)
    assert clips.sound(tmp_path / "out.mp4") == ("aac", pytest.approx(2, abs=0.05))


def test_a_portrait_clip_comes_out_upright(steps, castle_512, tmp_path):
    lying = [np.rot90(f) for f in clips.moving(castle_512[100:], 3, (96, 64))]
    source = clips.turn(clips.write(tmp_path / "phone.mp4", lying))
    list(film(source, tmp_path / "out.mp4").paint())
    assert clips.read(tmp_path / "out.mp4")[0].shape == (64, 96, 3)


def test_one_frame_is_a_film(steps, castle, tmp_path):
    source = clips.write(tmp_path / "one.mp4", [castle])
    (frame,) = film(source, tmp_path / "out.mp4").paint()
    assert frame.done
    assert len(clips.read(tmp_path / "out.mp4")) == 1


def test_a_clip_smaller_than_any_size(steps, castle, tmp_path):
    source = clips.write(tmp_path / "small.mp4", [castle[:30, :40], castle[2:32, :40]])
    frames = list(film(source, tmp_path / "out.mp4", settings=Settings(steps=4)).paint())
    assert [frame.image.shape for frame in frames] == [(30, 40, 3)] * 2


def test_several_paintings_in_the_photos_colours(steps, clip, castle, tmp_path):
    settings = Settings(size=96, steps=4, color="luminance")
    styles = [(WAVE, 2.0), (castle, 1.0)]
    frame = next(Film(clip, styles, tmp_path / "out.mp4", settings).paint())
    assert frame.image.shape == (64, 96, 3)


# --- Stopped, killed, gone on with --------------------------------------------------------------


@pytest.mark.parametrize("quality", painter.QUALITIES)
@pytest.mark.parametrize("count", [1, 5, 7, 20, 26])
def test_a_film_that_was_cut_off_goes_on_to_the_same_frames(steps, clip, tmp_path, quality, count):
    whole = [frame.image for frame in film(clip, tmp_path / "whole.mp4", quality).paint()]
    done = len(steps.done)
    output = tmp_path / "cut.mp4"
    run = film(clip, output, quality).paint()
    begun = [frame.image for frame in islice(run, count)]
    run.close()
    assert len(clips.read(output)) == count
    rest = list(film(clip, output, quality).paint())
    assert rest[0].number == count
    np.testing.assert_array_equal([*begun, *(frame.image for frame in rest)], whole)
    assert len(steps.done) == 2 * done  # nothing was painted twice
    assert output.read_bytes() == (tmp_path / "whole.mp4").read_bytes()


class KilledError(BaseException):
    """What no program catches."""


def watched(patch: pytest.MonkeyPatch, folder: Path, last: float = math.inf) -> list[str]:
    """What is changed in a folder from now on; after so many changes nothing is any more."""
    changes: list[str] = []

    def watch(name: str) -> None:
        act = getattr(Path, name)

        def change(path: Path, *more, **options):
            if path.is_relative_to(folder):
                if len(changes) >= last:
                    raise KilledError
                changes.append(f"{name} {path.name}")
            return act(path, *more, **options)

        patch.setattr(Path, name, change)

    for name in ("mkdir", "replace", "unlink"):
        watch(name)
    return changes


@pytest.fixture(scope="module")
def wholes():
    """Films that were painted in one go, and the changes of the disk that it took, by quality."""
    return {}


# At the first frame's files, in the middle of a shot, where a piece is made, at the end.
@pytest.mark.parametrize("moment", [0, 1, 3, 4, 6, 40, "piece-", "rest", -2, -1])
@pytest.mark.parametrize("quality", painter.QUALITIES)
def test_a_kill_at_any_moment_leaves_what_is_gone_on_with_to_the_same_film(
    steps, clip, tmp_path, wholes, monkeypatch, quality, moment
):
    monkeypatch.setattr(painter, "SAVE_INTERVAL", math.inf)  # as many changes each time
    if quality not in wholes:
        with monkeypatch.context() as patch:
            changes = watched(patch, tmp_path)
            list(film(clip, tmp_path / "whole.mp4", quality).paint())
        wholes[quality] = (tmp_path / "whole.mp4").read_bytes(), changes
    whole, changes = wholes[quality]
    if isinstance(moment, str):
        moment = next(n for n, change in enumerate(changes) if moment in change)
    output = tmp_path / "cut.mp4"
    with monkeypatch.context() as patch:
        watched(patch, tmp_path, last=moment % len(changes))
        with pytest.raises(KilledError):
            list(film(clip, output, quality).paint())
    list(film(clip, output, quality).paint())
    assert output.read_bytes() == whole
    assert is_whole(output)


def test_key_frames_are_found_again_in_each_other_where_the_chain_between_breaks(castle_512):
    frames = list(clips.moving(castle_512, 5, (96, 64), right=2))
    dark = [
        np.zeros_like(frames[0]) if number == 2 else frame for number, frame in enumerate(frames)
    ]
    stretch = painter.Stretch.of([ClipFrame(n, n, pixels) for n, pixels in enumerate(dark)])
    found = stretch.last_to_first()
    assert stretch.back[-1].known.mean() < 0.1  # over a frame that shows nothing
    assert found.known.mean() > 0.6
    np.testing.assert_allclose(np.median(found.flow[found.known], axis=0), [8, 0], atol=0.3)


def test_stop_ends_the_work_within_a_step_and_leaves_a_film(steps, clip, tmp_path):
    stop = StopToken()
    run = film(clip, tmp_path / "out.mp4", "full").paint(stop)
    shown = [next(run), next(run)]
    done = len(steps.done)
    stop.stop()
    assert list(run) == []
    assert len(steps.done) == done
    assert len(clips.read(tmp_path / "out.mp4")) == len(shown)
    assert clips.sound(tmp_path / "out.mp4")[1] == pytest.approx(2 / 30, abs=0.03)


def test_stop_during_a_step(steps, clip, tmp_path):
    stop = StopToken()
    looks = []

    def third_look() -> str:
        looks.append(len(steps.done))
        return "enough" if len(steps.done) >= 6 else ""

    stop = StopToken(third_look)
    frames = list(film(clip, tmp_path / "out.mp4", "full").paint(stop))
    assert len(steps.done) == 6
    assert len(frames) == 1
    assert len(clips.read(tmp_path / "out.mp4")) == 1


def test_stopped_before_a_frame_is_done_there_is_no_film(steps, clip, tmp_path):
    stop = StopToken()
    stop.stop()
    assert list(film(clip, tmp_path / "out.mp4").paint(stop)) == []
    assert parts(tmp_path) == ["out.mp4.parts"]
    assert len(list(film(clip, tmp_path / "out.mp4").paint())) == 30


def test_the_film_plays_while_it_is_painted(steps, clip, tmp_path, monkeypatch):
    monkeypatch.setattr(painter, "SAVE_INTERVAL", 0)
    output = tmp_path / "out.mp4"
    for frame in film(clip, output).paint():
        assert len(clips.read(output)) == frame.number + 1


def test_the_disk_and_what_is_held_are_bounded(steps, castle_512, tmp_path):
    source = clips.write(tmp_path / "long.mp4", clips.moving(castle_512, 70, (96, 64), right=1))
    for _ in film(source, tmp_path / "out.mp4").paint():
        names = parts(tmp_path / "out.mp4.parts")
        assert sum(name.startswith("frame-") for name in names) <= 24
        assert sum(name.endswith(".npy") for name in names) <= 5
    assert parts(tmp_path) == ["long.mp4", "out.mp4"]


def test_a_film_holds_its_recipe(steps, clip, tmp_path):
    for ending in (".mp4", ".mov"):
        output = tmp_path / f"out{ending}"
        task = film(clip, output)
        assert not is_whole(output)
        frames = task.paint()
        next(frames)
        frames.close()
        assert not is_whole(output)
        list(film(clip, output).paint())
        assert is_whole(output)
        settings = painter.settings_for(task.clip, CHEAP)
        made = recipe.make(clip, WAVE, settings)
        assert holds(output, made, "quick")
        assert not holds(output, made, "full")
        assert not holds(output, replace(made, settings=replace(settings, steps=5)), "quick")
    assert not holds(clip, made, "quick")
    assert not holds(WAVE, made, "quick")


def test_what_is_done_between_two_frames_counts_as_no_time_of_painting(
    steps, clip, tmp_path, monkeypatch
):
    now = [0.0]
    monkeypatch.setattr(painter.time, "monotonic", lambda: now[0])
    for frame in film(clip, tmp_path / "out.mp4").paint():
        assert frame.elapsed == 0
        assert frame.eta in (None, 0)
        now[0] += 1000


def test_the_time_left_is_that_of_frames_that_compiled_nothing(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(painter.time, "monotonic", lambda: now[0])
    pace = painter.Pace(Footage((Shot(0, 13, 0),), np.arange(13)), stride=3, there=0)
    left = []
    for seconds in (20, 9, 1, 1, 5, 1):
        now[0] += seconds
        left.append(pace.frame(np.zeros([2, 2, 3], np.uint8)).eta)
        pace.go_on()
    assert left == [None, None, 9 * 3 + 7, 9 * 3 + 6, 5 * 2 + 6, 5 * 2 + 5]


def test_shots_that_are_painted_alone_join_to_the_same_film(steps, clip, tmp_path):
    whole = [frame.image for frame in film(clip, tmp_path / "whole.mp4").paint()]
    footage = look_through(probe(clip))
    assert len(footage.shots) == 2
    pieces = []
    for number, shot in enumerate(reversed(footage.shots)):
        (tmp_path / str(number)).mkdir()
        painted = film(clip, tmp_path / str(number) / "out.mp4").paint_shot(shot)
        files = [tmp_path / f"{shot.start:06}-{n}.nut" for n in range(len(painted))]
        for file, data in zip(files, painted, strict=True):
            file.write_bytes(data)
        pieces = files + pieces
    reel = Reel(tmp_path, probe(clip), footage.times)
    reel.join(pieces, len(footage), tmp_path / "joined.mp4")
    joined = clips.read(tmp_path / "joined.mp4")
    assert np.abs(np.float32(joined) - whole).mean() < 6
    assert clips.times(tmp_path / "joined.mp4") == clips.times(tmp_path / "whole.mp4")
    assert clips.sound(tmp_path / "joined.mp4") == clips.sound(tmp_path / "whole.mp4")


def test_another_film_is_not_gone_on_with(steps, clip, tmp_path):
    output = tmp_path / "out.mp4"
    run = film(clip, output).paint()
    next(run)
    run.close()
    for change in ({"quality": "full"}, {"settings": Settings(size=96, steps=5)}):
        with pytest.raises(FilmError, match="Another film was begun"):
            film(clip, output, **change)
    frames = list(film(clip, output, "full", overwrite=True).paint())
    assert frames[0].number == 0
    with pytest.raises(FilmError, match="exists"):
        film(clip, output)


# --- Checks -------------------------------------------------------------------------------------


def test_wrong_arguments_are_told_at_the_call(steps, clip, tmp_path):
    output = tmp_path / "out.mp4"
    with pytest.raises(SettingsError, match="one of: full, quick"):
        film(clip, output, "best")
    with pytest.raises(SettingsError, match="time_budget"):
        film(clip, output, settings=Settings(time_budget=10))
    with pytest.raises(FilmError, match="ending"):
        film(clip, tmp_path / "out.avi")
    with pytest.raises(FilmError, match="folder that exists"):
        film(clip, tmp_path / "nowhere" / "out.mp4")
    assert parts(tmp_path) == []


def test_the_command_line(steps, clip, tmp_path, capsys):
    output = tmp_path / "out.mp4"
    words = ["video", str(clip), str(WAVE), "-o", str(output), "--size", "96", "--steps", "4"]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["frames"], told["total"], told["width"], told["height"]) == (30, 30, 96, 64)
    assert len(clips.read(output)) == 30
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert "exists" in capsys.readouterr().err
    (tmp_path / "broken.mp4").write_bytes(b"no clip")
    with pytest.raises(SystemExit) as end:
        main(["video", str(tmp_path / "broken.mp4"), str(WAVE), "-o", str(tmp_path / "b.mp4")])
    assert end.value.code == 2
    assert "not a clip" in capsys.readouterr().err


def test_a_preset_paints_without_its_time(steps, clip, tmp_path, capsys):
    words = ["video", str(clip), str(WAVE), "--size", "96", "--preset", "sketch"]
    assert main([*words, "-o", str(tmp_path / "out.mp4")]) == 0
    with pytest.raises(SystemExit):
        main([*words, "-o", str(tmp_path / "other.mp4"), "--time-budget", "5"])
    assert "time_budget" in capsys.readouterr().err


# --- With the real net --------------------------------------------------------------------------


def test_a_real_film_is_calm_and_painted(castle_512, tmp_path):
    source = clips.write(
        tmp_path / "clip.mp4", clips.moving(castle_512[100:], 4, (96, 64), right=1)
    )
    settings = Settings(size=96, steps=6, precision="float32")
    frames = [
        frame.image for frame in Film(source, WAVE, tmp_path / "out.mp4", settings, "full").paint()
    ]
    photo = clips.read(source)
    for before, after in pairwise(frames):
        moved = np.abs(np.float32(before[:, 1:]) - after[:, :-1])  # all moves a pixel to the left
        assert moved[8:-8, 8:-8].mean() < 3
    assert np.abs(np.float32(frames) - photo).mean() > 15


def test_what_a_kill_left_of_a_folder_that_was_removed_goes_with_the_next_film(tmp_path):
    film, made = tmp_path / "out [1].mp4", recipe.Recipe(Settings(), None, (), {})
    left = tmp_path / f".{film.name}.parts-0a1b2c"
    others = tmp_path / ".out 1.mp4.parts-0a1b2c"
    for folder in (left, others):
        folder.mkdir()
    Folder.beside(film, made, "quick", overwrite=False)
    assert (left.exists(), others.exists()) == (False, True)
