"""The memory forecast: against a real run, and under limits."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from conftest import ROOT

from nst_core.engine import device, memory
from nst_core.engine.memory import MemoryModel
from nst_core.engine.objective import Objective
from nst_core.engine.plan import Choice, needed
from nst_core.settings import DEFAULT_SIZE, Settings


@pytest.mark.memory
@pytest.mark.parametrize("style_loss", ["gram", "nearest"])
@pytest.mark.parametrize(("precision", "style_scale"), [("float32", "1"), (None, "2")])
def test_the_forecast_agrees_with_a_real_run(precision, style_scale, style_loss):
    """It may ask for too much, by half of what a run adds, but not for too little.

    With a painting of the photo's size, and with a larger one and what is fastest here; at the
    usual size, of which what a run takes whatever its size is a small part.
    """
    kind = precision or device.fastest_precision(), style_scale, style_loss
    size = str(DEFAULT_SIZE)
    command = [sys.executable, "-m", "benchmarks.scaling", "--one", size, *kind]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    added, forecast = (found[key] - found["before"] for key in ("peak", "forecast"))
    assert 0.95 * added < forecast < 1.5 * added


def test_a_run_of_the_fitting_size_needs_what_there_is():
    room, photo, painting = 2e9, 2000 * 1000, 3000 * 500
    model = MemoryModel(activations=296, precision="bfloat16", optimizer=240)
    need = model.of_whole(photo, painting)
    factor = need.fitting_factor(room)
    assert 0 < factor < 1
    fitted = [round(pixels * factor**2) for pixels in (photo, painting)]
    assert model.of_whole(*fitted).total == pytest.approx(room, rel=1e-3)
    assert need.fitting_factor(memory.BYTES_PER_RUN / 2) == 0


def test_what_a_need_is_made_of():
    """A painting counts where it needs more than a step does; in tiles only what is held does."""
    model = MemoryModel(activations=296, precision="float32", optimizer=240)
    unfolding = memory.unfolding_bytes(1000)
    step = 1000 * (memory.BYTES_PER_PIXEL + 240 + 296 * 9) + unfolding
    assert model.of_whole(1000, 1000).total == pytest.approx(memory.BYTES_PER_RUN + step)
    assert model.of_whole(1000, 1500).total == model.of_whole(1000, 1000).total
    large = memory.BYTES_PER_RUN + 9000 * 296 * 5.3
    assert model.of_whole(1000, 9000).total == pytest.approx(large)
    tiled = model.of_tiles(1000, 500)
    assert tiled.growing == 1000 * (memory.BYTES_PER_TILED_PIXEL + 240)
    held = memory.BYTES_PER_RUN + 500 * 296 * 5.75 + memory.unfolding_bytes(500)
    assert tiled.fixed == pytest.approx(held)
    assert model.of_tiles(2000, 500).fixed == tiled.fixed


@pytest.mark.parametrize("painting", [100, 500_000, 4_000_000])
@pytest.mark.parametrize("room", [0.13e9, 0.4e9, 0.9e9, 1.5e9, 3e9])
def test_the_fitting_size_is_the_largest_that_fits(painting, room):
    """Below the limit of what is unfolded, and above."""
    model = MemoryModel(activations=296, precision="float32", optimizer=240)
    factor = model.of_whole(1_000_000, painting).fitting_factor(room)

    def at(factor: float) -> float:
        return model.of_whole(round(1e6 * factor**2), round(painting * factor**2)).total

    assert at(0.999 * factor) <= room < at(1.001 * factor)


@pytest.mark.parametrize(
    ("limit", "used", "statistics", "line"),
    [
        ("memory.max", "memory.current", "memory.stat", "inactive_file 1000"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "memory/memory.stat",
            "total_inactive_file 1000",
        ),
    ],
)
def test_a_containers_limit_counts(limit, used, statistics, line, tmp_path):
    free = memory.available(tmp_path)
    (tmp_path / limit).parent.mkdir(exist_ok=True)
    (tmp_path / used).write_text("11000\n")
    (tmp_path / statistics).write_text(f"file 2000\n{line}\n")
    (tmp_path / limit).write_text("10000\n")
    pooled = memory.available(tmp_path)  # nothing is left but what earlier runs left behind
    (tmp_path / limit).write_text("50000\n")
    assert memory.available(tmp_path) - pooled == pytest.approx(memory.SHARE * 40_000)
    (tmp_path / limit).write_text("max\n")
    assert memory.available(tmp_path) == pytest.approx(free, rel=0.2)


def test_ulimit_counts():
    code = "from nst_core.engine import memory; print(memory.available())"
    command = f"ulimit -v 1000000 && {sys.executable} -c '{code}'"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT)
    assert 0 < float(done.stdout) < 1000000 * 1024, done


LIMITED = """
import json, resource, psutil
from nst_core import Settings, SettingsError, stream, stylize
from nst_core.engine.warm_up import warm_up

def limit(room):
    maximum = psutil.Process().memory_info().vms + room
    resource.setrlimit(resource.RLIMIT_AS, (maximum, resource.RLIM_INFINITY))

warm_up(Settings(style_loss="gram"))
pair = "examples/content/castle.jpg", "examples/style/great-wave.jpg"
small = {"init": "content", "precision": "float32"}
frames = stream(*pair, Settings(style_loss="gram", size=640, steps=6, **small))
frame = next(frames)
limit(50_000_000)
try:
    for frame in frames:
        pass
except MemoryError as error:
    failed = [str(error), list(frame.image.shape)]
limit(400_000_000)
try:
    stream(*pair, Settings(style_loss="gram", size=768, **small))
except SettingsError as error:
    refused = str(error)
shrunk = stylize(*pair, Settings(style_loss="gram", steps=2, **small))
print(json.dumps([failed, refused, [shrunk.notice, shrunk.done, max(shrunk.image.shape)]]))
"""


@pytest.mark.memory
def test_under_a_real_limit():
    """A run whose next allocation fails, one that is refused, and one that is made to fit.

    The allocation is one of TensorFlow's own; the libraries below it may fail otherwise.
    """
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    failed, refused, shrunk = json.loads(done.stdout)
    assert "not enough memory" in failed[0]
    assert failed[1] == [427, 640, 3]
    assert re.search(r"size is 768, which needs .* GB are free; try size=\d+", refused)
    notice, is_done, side = shrunk
    assert re.search(r"not enough free memory for 512 px: painted at \d+ px", notice)
    assert is_done
    assert 64 <= side < 512


LONG_FILM = """
import itertools, json, sys, psutil, pytest
sys.path.insert(0, "tests")
import clips, fake_engine
from pathlib import Path
from nst_core import Film, Settings
from nst_core.pictures import images

fake_engine.install(pytest.MonkeyPatch(), fake_engine.Steps())
folder, count = Path(sys.argv[1]), int(sys.argv[2])
photo = images.to_uint8(images.load("examples/content/castle.jpg", 512).rgb)
turns = [*range(0, 200), *range(200, 0, -1)]
frames = [photo[100:164, turns[n % 400]:turns[n % 400] + 96] for n in range(count)]
clip = clips.write(folder / "clip.mp4", frames, sound="aac")
film = Film(clip, "examples/style/great-wave.jpg", folder / "out.mp4",
            Settings(size=96, steps=2, subject=False))
process = psutil.Process()
print(json.dumps([process.memory_info().rss for frame in film.paint()]))
"""


@pytest.mark.memory
def test_the_memory_of_a_film_does_not_grow_with_its_length(tmp_path):
    """Between its second and its last quarter, in bytes for each frame: far less than a frame."""
    count = 400
    command = [sys.executable, "-c", LONG_FILM, str(tmp_path), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    held = json.loads(done.stdout.splitlines()[-1])
    assert len(held) == count
    quarter = count // 4
    early, late = (max(held[start : start + quarter]) for start in (quarter, count - quarter))
    assert (late - early) / (2 * quarter) < 96 * 64 * 3


def test_what_terms_take_is_free_before_the_first_layers_unfold(monkeypatch):
    objective, choice = Objective.of(Settings(style_loss="nearest")), Choice(None, "full")

    def total(*, unfolds: bool) -> float:
        monkeypatch.setattr(memory, "_uses_onednn", lambda: not unfolds)
        return needed(512**2, 512**2, "float32", choice, objective).total

    more = (memory.UNFOLDING_BYTES_PER_PIXEL - objective.bytes_per_pixel("float32")) * 512**2
    assert more > 0
    assert total(unfolds=True) == pytest.approx(total(unfolds=False) + more)
