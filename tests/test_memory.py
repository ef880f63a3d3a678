"""The memory forecast: against a real run, and under limits."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from conftest import ROOT

from nst_core import memory
from nst_core.features import PRECISIONS


@pytest.mark.parametrize(
    ("precision", "style_scale"), [*((one, "1") for one in PRECISIONS), ("bfloat16", "2")]
)
def test_the_forecast_agrees_with_a_real_run(precision, style_scale):
    command = [sys.executable, "-m", "benchmarks.scaling", "--one", "512", precision, style_scale]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["foretold"] == pytest.approx(found["peak"], rel=0.25)


def test_a_run_of_the_fitting_size_needs_what_there_is():
    room, photo, painting = 2e9, 2000 * 1000, 3000 * 500
    needs = memory.of_whole(photo, painting, "bfloat16")
    factor = needs.fitting_factor(room)
    assert 0 < factor < 1
    fitted = [round(pixels * factor**2) for pixels in (photo, painting)]
    assert memory.of_whole(*fitted, "bfloat16").total == pytest.approx(room, rel=1e-3)
    assert needs.fitting_factor(memory.BYTES_PER_RUN / 2) == 0


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
    (tmp_path / limit).write_text("50000\n")
    (tmp_path / used).write_text("11000\n")
    (tmp_path / statistics).write_text(f"file 2000\n{line}\n")
    assert memory.available(tmp_path) == pytest.approx(memory.SHARE * 40_000)
    (tmp_path / limit).write_text("max\n")
    assert memory.available(tmp_path) == pytest.approx(free, rel=0.2)


def test_ulimit_counts():
    code = "from nst_core import memory; print(memory.available())"
    command = f"ulimit -v 1000000 && {sys.executable} -c '{code}'"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT)
    assert 0 < float(done.stdout) < 1000000 * 1024, done


FAILING = """
import json, resource, psutil
from nst_core import Settings, stream, stylize
from nst_core.transfer import warm_up
warm_up()
pair = "examples/content/castle.jpg", "examples/style/great-wave.jpg"
frames = stream(*pair, Settings(size=768, steps=6, init="content", precision="float32"))
frame = next(frames)
room = psutil.Process().memory_info().vms + ROOM
resource.setrlimit(resource.RLIMIT_AS, (room, resource.RLIM_INFINITY))
told = ""
try:
    for frame in frames:
        pass
except MemoryError as error:
    told = str(error)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
after = stylize(*pair, Settings(size=128, steps=2))
print(json.dumps([told, frame.step, list(frame.image.shape), after.done]))
"""


def test_an_allocation_that_fails_ends_that_run_only():
    """One of TensorFlow's own, at the next step; the libraries below it may fail otherwise."""
    code = FAILING.replace("ROOM", "50_000_000")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    told, _step, shape, is_done = json.loads(done.stdout)
    assert "not enough memory" in told
    assert shape == [512, 768, 3]
    assert is_done
