"""A batch on a Ray cluster: a lost machine costs nothing, and the pictures are a local run's."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import types
from dataclasses import replace

import clips
import numpy as np
import pytest
from conftest import ROOT, example

from nst_core import Film, Settings, StopToken
from nst_core.cli.main import main
from nst_core.errors import BatchError
from nst_core.many import batch, cluster
from nst_core.many.cluster import RemoteTask

# As many threads as a worker has: with others, the last digits of sums differ.
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def folders(tmp_path):
    for kind, names in (("content", ("castle", "cat", "dog")), ("style", ("great-wave", "ejiri"))):
        (tmp_path / kind).mkdir()
        for name in names:
            shutil.copy(example(f"{kind}/{name}"), tmp_path / kind)
    return tmp_path / "content", tmp_path / "style"


def run(command, **environment):
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.ray
def test_a_machine_is_lost_and_every_picture_is_there_once(folders, tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    done = run(["tests/lost_node.py", *folders, there])
    assert done.returncode == 0, done.stderr
    (told,) = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert told["alive"] == 2  # the head and one that paints
    assert sorted(told["outcomes"]) == [[number, batch.PAINTED, ""] for number in range(6)]
    flags = [
        "--size=64",
        "--steps=10",
        "--init=content",
        "--precision=float32",
        "--style-loss=gram",
    ]
    alone = run(["-m", "nst_core", "batch", *folders, "-o", here, *flags], **ONE_THREAD)
    assert alone.returncode == 0, alone.stderr
    names = {path.name for path in here.glob("*.png")}
    assert {path.name for path in there.iterdir()} == names
    assert len(names) == 6
    for name in names:
        assert (there / name).read_bytes() == (here / name).read_bytes(), name


def test_no_ray_is_told_before_the_work(folders, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SystemExit, match="2"):
        main(["batch", *map(str, folders), "-o", str(tmp_path / "out"), "--ray", "local"])
    assert "pip install -r requirements-ray.txt" in capsys.readouterr().err


def test_a_task_travels_with_its_pictures(folders, tmp_path):
    """Names stay, since the recipe holds them; the same picture in two places is one file."""
    photo = folders[0] / "cat.jpg"
    task = batch.Task(
        photo,
        ((folders[1] / "ejiri.jpg", 2.0), (photo, 1.0)),
        Settings(style_loss="gram"),
        tmp_path,
    )
    sent = RemoteTask.of(task)
    assert len(sent.pictures) == 2
    (tmp_path / "worker").mkdir()
    moved = sent.unpacked(tmp_path / "worker")
    assert moved.content.name == "cat.jpg"
    assert moved.content.read_bytes() == photo.read_bytes()
    assert moved.content == moved.style[1][0] != photo
    assert [weight for _, weight in moved.style] == [2.0, 1.0]


class FakeRay(types.ModuleType):
    """As much of Ray as a batch uses; tasks are painted when somebody waits for them."""

    class exceptions:  # noqa: N801 - Ray's name
        class RayError(Exception):
            pass

    def __init__(self) -> None:
        super().__init__("ray")
        self.cancelled = []

    def init(self, **_options):
        pass

    def cluster_resources(self):
        return {"CPU": 1.0}

    def remote(self, **_options):
        return lambda function: types.SimpleNamespace(remote=functools.partial(Reference, function))

    def get(self, reference):
        return reference.function(*reference.arguments)

    def put(self, value):
        return value

    def wait(self, references, timeout):
        return references[:1], references[1:]

    def cancel(self, reference, force):
        self.cancelled.append(reference)


class Reference:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments


@pytest.fixture
def fake_ray(monkeypatch):
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(cluster, "fastest_precision", lambda: "float32")  # not tried out here
    return ray


def tasks_for(folders, tmp_path):
    settings = Settings(
        style_loss="gram",
        size=64,
        steps=1,
        init="content",
        precision="float32",
        content_layer="block1_conv1",  # the first layer alone, so that a step takes no time
        style_layers={"block1_conv1": 1.0},
    )
    return batch.from_folders(*folders, tmp_path, settings)


def test_unreadable_photos_at_the_front_do_not_drop_the_rest(fake_ray, folders, tmp_path):
    (folders[1] / "great-wave.jpg").unlink()
    good = tasks_for(folders, tmp_path)
    lost = [replace(good[0], content=tmp_path / f"{n}.jpg") for n in range(6)]
    numbered = list(enumerate([*lost, *good]))
    ended = dict(cluster.painter("local")(numbered, StopToken()))
    assert [ended[number].outcome for number, _ in numbered] == ["failed"] * 6 + ["painted"] * 3


def test_a_stop_token_cancels_what_runs_on_the_cluster(fake_ray, folders, tmp_path):
    stop = StopToken()
    ended = cluster.painter("local")(list(enumerate(tasks_for(folders, tmp_path))), stop)
    next(ended)
    stop.stop()
    assert list(ended) == []
    assert len(fake_ray.cancelled) == 1


def test_a_batch_that_nobody_follows_any_more_is_cancelled(fake_ray, folders, tmp_path):
    """As after a second Ctrl-C."""
    ended = cluster.painter("local")(list(enumerate(tasks_for(folders, tmp_path))), StopToken())
    next(ended)
    ended.close()
    assert len(fake_ray.cancelled) == 1


def test_a_stop_token_that_was_set_before_starts_nothing(fake_ray, folders, tmp_path):
    stop = StopToken()
    stop.stop()
    assert list(cluster.painter("local")([(0, tasks_for(folders, tmp_path)[0])], stop)) == []
    assert fake_ray.cancelled == []


def test_workers_that_cannot_be_used_are_told(fake_ray, folders, tmp_path, monkeypatch):
    def fail(reference):
        raise fake_ray.exceptions.RayError("no such environment")

    monkeypatch.setattr(fake_ray, "get", fail)
    with pytest.raises(BatchError, match="workers cannot be used: no such environment"):
        list(cluster.painter("local")([(0, tasks_for(folders, tmp_path)[0])], StopToken()))


def test_a_task_whose_worker_was_lost_for_good_fails_and_the_others_do_not(
    fake_ray, folders, tmp_path, monkeypatch
):
    get, asked = fake_ray.get, []

    def lose_the_first(reference):
        asked.append(reference)
        if len(asked) == 2:  # the first one asks for the precision
            raise fake_ray.exceptions.RayError("the machine is gone")
        return get(reference)

    monkeypatch.setattr(fake_ray, "get", lose_the_first)
    tasks = list(enumerate(tasks_for(folders, tmp_path)[:2]))
    ended = dict(cluster.painter("local")(tasks, StopToken()))
    assert (ended[0].outcome, ended[0].reason) == ("failed", "the machine is gone")
    assert ended[1].outcome == "painted"


# --- Clips --------------------------------------------------------------------------------------


def write_clip(file, photo, first=9, second=8):
    """A clip of two shots of so many frames, with sound."""
    frames = [
        *clips.moving(photo[100:], first, (96, 64)),
        *clips.moving(photo[:, ::-1], second, (96, 64), right=1),
    ]
    return clips.write(file, frames, sound="aac")


@pytest.fixture
def film_task(tmp_path, castle_512):
    clip = write_clip(tmp_path / "clip.mp4", castle_512)
    settings = Settings(size=96, steps=2, subject=False, precision="float32")
    wave = example("style/great-wave")
    return batch.Task(clip, ((wave, 1.0),), settings, tmp_path / "film.mp4", "full")


def test_a_clip_is_painted_shot_by_shot_and_joined(fake_ray, steps, film_task, tmp_path):
    here = replace(film_task, output=tmp_path / "here.mp4")
    assert batch.paint(here).outcome == batch.PAINTED
    ((number, outcome),) = cluster.painter("local")([(7, film_task)], StopToken())
    assert (number, outcome.outcome, outcome.reason) == (7, batch.PAINTED, "")
    assert (outcome.width, outcome.height, outcome.output) == (96, 64, "film.mp4")
    there = clips.read(film_task.output)
    assert np.abs(np.float32(there) - clips.read(here.output)).mean() < 1
    assert clips.times(film_task.output) == clips.times(here.output)
    assert clips.sound(film_task.output) == clips.sound(here.output)
    assert batch.is_painted(film_task)
    assert not (tmp_path / "film.mp4.parts").exists()


def test_shots_that_are_there_are_not_painted_again(fake_ray, steps, film_task, tmp_path):
    stop = StopToken()
    wait = fake_ray.wait

    def one_and_stop(references, timeout):
        stop.stop()
        return wait(references, timeout)

    fake_ray.wait = one_and_stop
    assert list(cluster.painter("local")([(0, film_task)], stop)) == []
    done = len(steps.done)
    assert [path.name for path in (tmp_path / "film.mp4.parts").glob("shot-*")] == ["shot-000000"]
    fake_ray.wait = wait
    ((_, outcome),) = cluster.painter("local")([(0, film_task)], StopToken())
    assert outcome.outcome == batch.PAINTED
    assert len(steps.done) - done < done  # the other shot alone
    assert len(clips.read(film_task.output)) == 17


def test_a_shot_that_fails_costs_its_film_alone(fake_ray, steps, film_task, tmp_path, monkeypatch):
    other = replace(film_task, output=tmp_path / "other.mp4")

    def fail(film, shot):
        if shot.start == 0 and film.path.name == "film.mp4":
            raise BatchError("no room")
        return paint_shot(film, shot)

    paint_shot = Film.paint_shot
    monkeypatch.setattr(Film, "paint_shot", fail)
    ended = list(cluster.painter("local")([(0, film_task), (1, other)], StopToken()))
    assert [(number, one.outcome, one.reason) for number, one in ended] == [
        (0, batch.FAILED, "no room"),
        (1, batch.PAINTED, ""),
    ]


def test_what_is_no_clip_fails_before_it_is_sent(fake_ray, film_task, tmp_path):
    (tmp_path / "text.mp4").write_text("no clip")
    wrong = replace(film_task, content=tmp_path / "text.mp4")
    ((_, outcome),) = cluster.painter("local")([(0, wrong)], StopToken())
    assert "not a clip" in outcome.reason


@pytest.mark.ray
def test_a_clip_on_a_real_cluster(folders, castle_512, tmp_path):
    write_clip(folders[0] / "clip.mp4", castle_512, 4, 3)
    for name in ("castle", "cat", "dog"):
        (folders[0] / f"{name}.jpg").unlink()
    (folders[1] / "ejiri.jpg").unlink()
    flags = ["--size=96", "--steps=2", "--no-subject", "--precision=float32", "--quality=full"]
    films = []
    for name, where in (("there", ["--ray", "local"]), ("here", [])):
        command = ["-m", "nst_core", "batch", *folders, "-o", tmp_path / name, *flags, *where]
        done = run(command, **ONE_THREAD)
        assert done.returncode == 0, done.stderr
        films.append(tmp_path / name / "clip-great-wave.mp4")
    there, here = films
    assert np.abs(np.float32(clips.read(there)) - clips.read(here)).mean() < 1
    assert clips.times(there) == clips.times(here)
    assert clips.sound(there) == clips.sound(here)
