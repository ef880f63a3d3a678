"""What goes wrong around the app: it is told to end, and its disk takes nothing more."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import visitor
from conftest import ROOT
from PIL import Image
from stranger import LIMIT, LONG, Server

from nst_core import recipe

pytestmark = pytest.mark.attack


def unfinished(folder: Path) -> list[Path]:
    """Files that somebody could take for a picture and that are none."""
    broken = []
    for path in [*folder.rglob("*.png"), *folder.rglob("*.jpg")]:
        try:
            with Image.open(path) as image:
                image.load()
        except OSError:
            broken.append(path)
    return broken


def test_told_to_end_during_a_run(tmp_path):
    """While pictures are written, one after another."""
    with visitor.started(tmp_path, visitor.FAKE_APP) as address:
        server = Server(address, tmp_path)
        with server.watch(server.begin(**server.upload_pair(), **LONG)) as events:
            for _ in range(5):
                next(events)
            process = psutil.Process(server.pid)
            process.send_signal(signal.SIGTERM)
            assert process.wait(LIMIT) == 0
    assert '"server": "ends", "jobs": 1' in server.log()
    assert "Traceback" not in server.log()
    assert list(server.cache.rglob("frame.jpg"))
    assert unfinished(server.cache) == []


def test_killed_at_random_moments(attack):
    """Films, batches and runs of the page: nothing is half-written, and everything goes on."""
    count = attack.extent(6, 100)
    command = [sys.executable, ROOT / "tests" / "killed.py", str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count('"killed": true') == count
    attack.tell(f"Killed {count} times at random moments, and gone on with.")


def test_a_full_disk_is_told_and_costs_nothing(server):
    """No file may grow beyond 20 kB; painted as before as soon as there is room again."""
    pair = server.upload_pair() | {"size": 384, "steps": 2}
    assert server.call("stylize", **pair)[0] == "complete"
    limit = (20_000, resource.RLIM_INFINITY)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, limit)
    event, data = server.call("stylize", **pair, seed=1, init="noise")
    assert event == "error"
    assert "cannot write pictures now" in data["error"]
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    event, data = server.call("stylize", **pair, seed=1, init="noise")
    assert event == "complete"
    assert recipe.read(data[0]["path"]).settings.seed == 1
    assert unfinished(server.cache) == []
    server.wait_for(lambda: server.jobs()[-1]["outcome"] == "done")


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nobody can make anything in a folder, not even root, whom permissions do not stop."""
    ways = {True: ("chattr", "+i", "-i"), False: ("chmod", "a-w", "u+w")}
    command, on, off = ways[os.geteuid() == 0]
    subprocess.run([command, on, folder], check=True)
    try:
        yield
    finally:
        subprocess.run([command, off, folder], check=True)


def test_a_read_only_cache_is_told_and_costs_nothing(server):
    pair = server.upload_pair() | {"steps": 2}
    assert server.call("stylize", **pair)[0] == "complete"
    with read_only(server.cache):
        event, data = server.call("stylize", **pair, seed=2, init="noise")
        assert event == "error"
        assert "cannot write pictures now" in data["error"]
        assert server.http.get("health").status_code == 200
    event, data = server.call("stylize", **pair, seed=2, init="noise")
    assert event == "complete"
    assert recipe.read(data[0]["path"]).settings.seed == 2


def test_nothing_depends_on_the_wall_clock():
    """Turns, budgets and frames go by the monotonic clock, which never jumps."""
    paths = [*(ROOT / "nst_core").rglob("*.py"), *(ROOT / "page").rglob("*.py"), ROOT / "app.py"]
    assert len(paths) > 20
    for path in paths:
        found = re.findall(r"time\.time\(\)|datetime\.now|utcnow", path.read_text())
        assert not found, path
