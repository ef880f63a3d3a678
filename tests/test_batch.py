"""Many pictures in one go: folders, tables, going on after a kill, and what fails."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import clips
import numpy as np
import pytest
from conftest import ROOT, example
from PIL import Image

from nst_core import Settings, StopToken, recipe, stylize
from nst_core.cli.main import main
from nst_core.engine import memory
from nst_core.engine.objective import Objective
from nst_core.engine.plan import Choice, needed
from nst_core.errors import BatchError
from nst_core.many import batch

# The losses look at the first layer alone, so that a step takes no time.
SHALLOW = Settings(
    style_loss="gram",
    size=64,
    steps=3,
    init="content",
    precision="float32",
    content_layer="block1_conv1",
    style_layers={"block1_conv1": 1.0},
)
QUICK = ["--size", "64", "--steps", "3", "--init", "content", "--precision", "float32"]
QUICK += ["--content-layer", "block1_conv1", "--style-layers", "block1_conv1"]
QUICK += ["--style-loss", "gram"]


@pytest.fixture
def folders(tmp_path):
    """Two photos, two paintings and a text beside them; and where the pictures go."""
    for kind, names in (("content", ("castle", "cat")), ("style", ("great-wave", "ejiri"))):
        (tmp_path / kind).mkdir()
        for name in names:
            shutil.copy(example(f"{kind}/{name}"), tmp_path / kind)
    (tmp_path / "content" / "notes.txt").write_text("no picture")
    return tmp_path / "content", tmp_path / "style", tmp_path / "painted"


def run(*arguments):
    return main(["batch", *map(str, arguments)])


def summary(folder):
    with (folder / batch.SUMMARY).open(newline="") as file:
        return list(csv.DictReader(file))


def outcomes(folder):
    return [row["outcome"] for row in summary(folder)]


# --- Folders ------------------------------------------------------------------------------------


def test_every_photo_in_the_style_of_every_painting(folders, capsys):
    photos, paintings, out = folders
    assert run(photos, paintings, "-o", out, *QUICK, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["outcomes"] == {"painted": 4}
    rows = summary(out)
    names = ["castle-ejiri", "castle-great-wave", "cat-ejiri", "cat-great-wave"]
    assert [row["output"] for row in rows] == [f"{name}.png" for name in names]
    assert {path.name for path in out.iterdir()} == {"summary.csv", *(f"{n}.png" for n in names)}
    for row in rows:
        expected = stylize(row["content"], row["style"], SHALLOW)
        with Image.open(out / row["output"]) as image:
            np.testing.assert_array_equal(np.asarray(image), expected.image)
        assert recipe.read(out / row["output"]).settings == SHALLOW
        assert (int(row["width"]), int(row["height"])) == (64, 43)
        assert float(row["loss"]) == pytest.approx(expected.losses["total"])


def test_what_is_there_already_is_not_painted_again(folders, steps_done):
    photos, paintings, out = folders
    assert run(photos, paintings, "-o", out, *QUICK) == 0
    done = len(steps_done)
    (out / "cat-ejiri.png").unlink()
    assert run(photos, paintings, "-o", out, *QUICK) == 0
    assert len(steps_done) == done + 3
    assert outcomes(out) == ["there already", "there already", "painted", "there already"]
    assert run(photos, paintings, "-o", out, *QUICK, "--force") == 0
    assert outcomes(out) == ["painted"] * 4


def test_a_picture_that_was_painted_otherwise_is_not_lost(folders, capsys):
    photos, paintings, out = folders
    (paintings / "ejiri.jpg").unlink()
    assert run(photos, paintings, "-o", out, *QUICK) == 0
    before = (out / "cat-great-wave.png").read_bytes()
    (out / "castle-great-wave.png").write_text("mine")
    assert run(photos, paintings, "-o", out, *QUICK, "--seed", "1") == 4
    assert outcomes(out) == ["failed", "failed"]
    assert (
        "painted from other pictures or with other settings; move it away"
        in summary(out)[1]["reason"]
    )
    assert (out / "cat-great-wave.png").read_bytes() == before
    assert (out / "castle-great-wave.png").read_text() == "mine"


def test_a_failed_job_does_not_stop_the_others(folders, capsys):
    photos, paintings, out = folders
    (photos / "broken.jpg").write_bytes((photos / "cat.jpg").read_bytes()[:2000])
    assert run(photos, paintings, "-o", out, *QUICK) == 4
    rows = summary(out)
    assert [row["outcome"] for row in rows] == ["failed"] * 2 + ["painted"] * 4
    assert rows[0]["reason"].startswith("The picture is truncated")
    assert "broken-ejiri.png: failed: The picture is truncated" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["photo.png", "Photo.JPEG"])
def test_pictures_of_the_same_name_stay_apart(name, folders):
    photos, paintings, out = folders
    shutil.copy(photos / "cat.jpg", photos / "photo.webp")
    shutil.copy(photos / "cat.jpg", photos / name)
    names = [
        task.output.name
        for task in batch.from_folders(photos, paintings, out, Settings(style_loss="gram"))
    ]
    assert len({one.lower() for one in names}) == len(names) == 8


# --- Tables -------------------------------------------------------------------------------------


def test_a_table_has_any_setting_in_each_row(folders, tmp_path):
    out = folders[2]
    (tmp_path / "jobs.csv").write_text(
        "content,style,mix,output,steps,init,style_layers\n"
        "content/cat.jpg,style/ejiri.jpg,,,,,\n"
        "content/cat.jpg,style/ejiri.jpg,,grey.png,4,grey,block2_conv1\n"
        'content/castle.jpg,style/ejiri.jpg; style/great-wave.jpg,"2,1",,,content,\n'
        "content/cat.jpg,style/ejiri.jpg,,grey.png,,,\n"
        "content/cat.jpg,style/ejiri.jpg,,../out.png,,,\n"
        "content/cat.jpg,style/ejiri.jpg,,,many,,\n"
        'content/cat.jpg,style/ejiri.jpg,"1,2",,,,\n'
        "content/cat.jpg,style/nowhere.jpg,,,,,\n"
    )
    assert run("--jobs", tmp_path / "jobs.csv", "-o", out, *QUICK) == 4
    rows = summary(out)
    assert [row["outcome"] for row in rows] == ["painted"] * 3 + ["failed"] * 5
    reasons = ("Another row", "output is", "steps is 'many'", "mix has 2", "nowhere.jpg")
    for row, reason in zip(rows[3:], reasons, strict=True):
        assert reason in row["reason"]
    assert [row["steps"] for row in rows[:3]] == ["3", "4", "3"]
    made = recipe.read(out / "castle-ejiri-great-wave.png")
    assert [source.weight for source in made.style] == [2, 1]
    grey = recipe.read(out / "grey.png").settings
    assert (grey.init, grey.steps, grey.seed) == ("grey", 4, 0)
    assert grey.style_layers == (("block2_conv1", 1.0),)
    assert run("--jobs", tmp_path / "jobs.csv", "-o", out, *QUICK) == 4
    assert outcomes(out)[:3] == ["there already"] * 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("content,style,colour\na,b,c\n", "unknown column 'colour'"),
        ("content\na\n", "lacks content or style"),
        ("content,style\n", "no row below its head"),
        ("", "lacks content or style"),
    ],
)
def test_a_table_without_sense_is_told_before_the_work(text, told, tmp_path, capsys):
    (tmp_path / "jobs.csv").write_text(text)
    with pytest.raises(SystemExit, match="2"):
        run("--jobs", tmp_path / "jobs.csv", "-o", tmp_path / "out", *QUICK)
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_folders_without_sense_are_told(tmp_path, folders, capsys):
    with pytest.raises(BatchError, match="not a folder"):
        batch.files_in(tmp_path / "nowhere")
    with pytest.raises(BatchError, match="no picture in"):
        batch.files_in(tmp_path)
    for arguments in ([folders[0]], [], [folders[0], folders[1], "--jobs", "x.csv"]):
        with pytest.raises(SystemExit, match="2"):
            run(*arguments, "-o", folders[2])
        assert "Give a folder of photos and one of paintings" in capsys.readouterr().err


# --- One model, and nothing traced twice --------------------------------------------------------


def test_what_shares_the_compiled_step_goes_in_a_row(folders, tmp_path, monkeypatch):
    """Ten kinds of step, more than are kept, in turns: each is compiled once all the same."""
    out = folders[2]
    kinds = [f"block{block}_conv{conv}" for block in (1, 2, 3) for conv in (1, 2)]
    kinds += ["block4_conv1", "block4_conv2", "block5_conv1", "block5_conv2"]
    with (tmp_path / "jobs.csv").open("w") as file:
        file.write("content,style,size,style_layers\n")
        for size in (64, 72):
            for kind in kinds:
                file.write(f"content/cat.jpg,style/ejiri.jpg,{size},{kind}\n")
    tasks = batch.from_table(
        tmp_path / "jobs.csv", out, Settings(style_loss="gram", steps=1, precision="float32")
    )
    order = []

    def paint_all(numbered, stop):
        order.extend(task.settings for _, task in numbered)
        return iter(())

    list(batch.run(tasks, paint_all, lambda task: False))
    assert len(order) == 20
    compiled = [Objective.of(settings) for settings in order]
    assert compiled[::2] == compiled[1::2]
    assert len(set(map(repr, compiled))) == 10


# --- Ending early -------------------------------------------------------------------------------


# A batch that the system ends in its eighth step, the second of the third picture.
KILLED = """
import os, signal, sys
from nst_core import Engine
from nst_core.cli.main import main
step, begun = Engine.step, []

def step_or_die(*given):
    begun.append(1)
    if len(begun) == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*given)

Engine.step = step_or_die
sys.exit(main(sys.argv[1:]))
"""


def assert_goes_on(arguments, out):
    """Two pictures are there and whole; started again, only the others are painted."""
    there = {path: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert len(there) == 2
    for path in there:
        with Image.open(path) as image:
            image.load()  # nothing is half-written
    assert run(*arguments) == 0
    assert sorted(outcomes(out)) == ["painted"] * 2 + ["there already"] * 2
    assert {path: path.stat().st_mtime_ns for path in there} == there
    assert len(list(out.iterdir())) == 5  # with the summary; nothing else was left behind


def test_a_batch_that_was_killed_goes_on(folders):
    photos, paintings, out = folders
    arguments = [photos, paintings, "-o", out, *QUICK]
    command = [sys.executable, "-c", KILLED, "batch", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert_goes_on(arguments, out)


def test_a_batch_that_was_interrupted_says_what_is_left_and_goes_on(
    folders, before_each_step, capsys
):
    """By Ctrl-C in the eighth step, which is done; the picture there is left out."""
    photos, paintings, out = folders
    arguments = [photos, paintings, "-o", out, *QUICK]
    begun = []

    def interrupt_the_eighth(state):
        begun.append(1)
        if len(begun) == 8:
            signal.raise_signal(signal.SIGINT)
        return state

    before_each_step(interrupt_the_eighth)
    assert run(*arguments, "--json") == 130
    printed = capsys.readouterr()
    assert len(begun) == 8
    assert "Stopped; start it again to go on." in printed.err
    assert json.loads(printed.out)["outcomes"] == {"painted": 2, "to do": 2}
    assert sorted(outcomes(out)) == ["painted", "painted", "to do", "to do"]
    assert {row["output"] for row in summary(out) if row["outcome"] == "painted"} == {
        path.name for path in out.glob("*.png")
    }
    assert_goes_on(arguments, out)


def test_a_second_ctrl_c_ends_a_batch_at_once(folders, before_each_step, capsys):
    photos, paintings, out = folders

    def interrupt_twice(state):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the step is done after all")

    before_each_step(interrupt_twice)
    assert run(photos, paintings, "-o", out, *QUICK) == 130
    assert outcomes(out) == ["to do"] * 4
    assert [path.name for path in out.iterdir()] == [batch.SUMMARY]


def test_a_stop_token_ends_a_batch_within_its_picture(folders, before_each_step):
    photos, paintings, out = folders
    out.mkdir()
    tasks = batch.from_folders(photos, paintings, out, SHALLOW)
    stop, steps = StopToken(), []

    def stop_in_the_second_picture(state):
        steps.append(1)
        if len(steps) == 5:
            stop.stop()
        return state

    before_each_step(stop_in_the_second_picture)
    ended = list(batch.run(tasks, batch.paint_here, batch.is_painted, stop))
    assert [outcome.outcome for _, outcome in ended] == ["painted"]
    assert len(steps) == 5
    assert len(list(out.iterdir())) == 1
    assert list(batch.run(tasks[1:], batch.paint_here, batch.is_painted, stop)) == []
    again = list(batch.run(tasks, batch.paint_here, batch.is_painted))
    assert sorted(outcome.outcome for _, outcome in again) == ["painted"] * 3 + ["there already"]


# --- What a picture was painted with ------------------------------------------------------------


@pytest.mark.parametrize(("used", "other"), [("float32", "bfloat16"), ("bfloat16", "float32")])
def test_a_precision_that_was_left_open_is_the_one_it_was_painted_in(used, other, folders):
    photo, style = folders[0] / "cat.jpg", ((folders[1] / "ejiri.jpg", 1.0),)
    folders[2].mkdir()

    def task(precision):
        settings = replace(SHALLOW, steps=1, precision=precision)
        return batch.Task(photo, style, settings, folders[2] / "cat.png")

    assert batch.paint(task("auto"), precision=used).outcome == "painted"
    made = recipe.read(folders[2] / "cat.png")
    assert (made.settings.precision, made.plan.precision) == ("auto", used)
    assert batch.is_painted(task("auto"))
    assert batch.is_painted(task(used))
    with pytest.raises(BatchError, match="other settings"):
        batch.is_painted(task(other))


def test_a_notice_is_in_the_summary(folders, monkeypatch):
    photos, paintings, out = folders
    (photos / "castle.jpg").unlink()
    (paintings / "great-wave.jpg").unlink()
    room = needed(70 * 104, 0, "float32", Choice(None, "short"), Objective.of(SHALLOW)).total
    monkeypatch.setattr(memory, "available", lambda: room)
    assert run(photos, paintings, "-o", out, *QUICK[2:]) == 0  # its size left open
    (row,) = summary(out)
    assert re.fullmatch(
        r"There is not enough free memory for \d+ px: painted at \d+ px\.", row["notice"]
    )
    assert f"at {row['width']} px" in row["notice"]


def test_sorting_does_not_wait_for_tensorflow(folders):
    code = (
        "import sys; from pathlib import Path; from nst_core import Settings;"
        "from nst_core.many import batch;"
        "tasks = batch.from_folders(*map(Path, sys.argv[1:]), Settings());"
        "list(batch.run(tasks, lambda numbered, stop: iter(()), lambda task: False));"
        "print('tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-c", code, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "False", done.stderr


# --- Clips --------------------------------------------------------------------------------------


@pytest.fixture
def with_clip(folders, castle_512):
    """The same folders with a clip of eight frames, and one painting."""
    photos, paintings, _ = folders
    clips.write(photos / "walk.mov", clips.moving(castle_512, 8, (96, 64)))
    (paintings / "ejiri.jpg").unlink()
    return folders


CHEAP = ["--size", "64", "--steps", "2", "--no-subject"]


def test_clips_of_a_folder_become_films(steps, with_clip):
    photos, paintings, out = with_clip
    assert run(photos, paintings, "-o", out, *CHEAP, "--quality", "full") == 0
    rows = {row["output"]: row for row in summary(out)}
    assert set(rows) == {"castle-great-wave.png", "cat-great-wave.png", "walk-great-wave.mp4"}
    row = rows["walk-great-wave.mp4"]
    assert (row["outcome"], row["width"], row["height"]) == ("painted", "64", "42")
    assert float(row["seconds"]) > 0
    assert len(clips.read(out / "walk-great-wave.mp4")) == 8


def test_a_film_that_is_there_is_not_painted_again_and_another_is_not_lost(steps, with_clip):
    photos, paintings, out = with_clip
    assert run(photos, paintings, "-o", out, *CHEAP) == 0
    done, film = len(steps.done), (out / "walk-great-wave.mp4").read_bytes()
    assert run(photos, paintings, "-o", out, *CHEAP) == 0
    assert outcomes(out) == ["there already"] * 3
    assert len(steps.done) == done
    assert run(photos, paintings, "-o", out, *CHEAP, "--quality", "full") == 4
    assert outcomes(out) == ["there already", "there already", "failed"]
    assert "other settings; move it away" in summary(out)[2]["reason"]
    assert (out / "walk-great-wave.mp4").read_bytes() == film
    assert run(photos, paintings, "-o", out, *CHEAP, "--quality", "full", "--force") == 0
    assert (out / "walk-great-wave.mp4").read_bytes() != film


def test_a_stopped_film_of_a_batch_is_gone_on_with(steps, with_clip):
    photos, paintings, out = with_clip
    out.mkdir()
    settings = Settings(size=64, steps=2, subject=False)
    (task,) = [
        one for one in batch.from_folders(photos, paintings, out, settings, "full") if one.is_clip
    ]
    assert (
        batch.paint(task, stop=StopToken(lambda: "" if len(steps.done) < 25 else "enough")) is None
    )
    assert len(steps.done) == 25
    assert 0 < len(clips.read(task.output)) < 8
    assert not batch.is_painted(task)
    assert batch.paint(task).outcome == batch.PAINTED
    assert batch.is_painted(task)
    assert len(steps.done) <= 2 + 7 * 10 + 10  # the frame that was cut off, once more


def test_clips_in_a_table(steps, with_clip):
    photos, _, out = with_clip
    table = photos / "jobs.csv"
    table.write_text(
        "content,style,output,quality,size,steps\n"
        "walk.mov,../style/great-wave.jpg,a.mp4,full,64,2\n"
        "walk.mov,../style/great-wave.jpg,a.png,,64,2\n"
        "walk.mov,../style/great-wave.jpg,b.mp4,best,64,2\n"
        "cat.jpg,../style/great-wave.jpg,c.mp4,,64,2\n"
    )
    assert run("--jobs", table, "-o", out, "--no-subject") == 4
    assert outcomes(out) == ["painted", "failed", "failed", "failed"]
    reasons = [row["reason"] for row in summary(out)]
    assert "must be the name of a MP4" in reasons[1]
    assert "one of: full, quick" in reasons[2]
    assert "must be the name of a PNG" in reasons[3]


def test_a_presets_time_is_that_of_pictures_and_no_films(steps, with_clip):
    photos, paintings, out = with_clip
    tasks = batch.from_folders(
        photos, paintings, out, Settings(time_budget=10), film_settings=Settings()
    )
    assert [task.settings.time_budget for task in tasks] == [10, 10, None]
    for photo in photos.glob("*.jpg"):
        photo.unlink()
    timed = ["--preset", "sketch", "--size", "64", "--no-subject"]
    assert run(photos, paintings, "-o", out, *timed) == 0
    assert outcomes(out) == ["painted"]
    table = photos / "jobs.csv"
    table.write_text(
        "content,style,time_budget\nwalk.mov,../style/great-wave.jpg,\n"
        "walk.mov,../style/great-wave.jpg,5\n"
    )
    again = out.with_name("again")
    assert run("--jobs", table, "-o", again, *timed) == 4
    assert outcomes(again) == ["painted", "failed"]
    assert "time_budget" in summary(again)[1]["reason"]


def test_a_time_that_is_asked_for_is_refused_for_a_clip(steps, with_clip):
    photos, paintings, out = with_clip
    assert run(photos, paintings, "-o", out, *CHEAP, "--time-budget", "5") == 4
    assert outcomes(out) == ["painted", "painted", "failed"]
    assert "time_budget" in summary(out)[2]["reason"]
