"""What goes wrong around the app: it is killed, told to end, and its disk takes nothing more."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import visitor
from PIL import Image
from playwright.sync_api import expect
from stranger import LONG, Server
from visitor import SHORT, paint_to_the_end, save, visit

from nst_core import recipe

pytestmark = pytest.mark.attack

END = 5.0  # s


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
    with visitor.started(tmp_path) as address:
        server = Server(address, tmp_path)
        server.read_events(server.begin(**server.upload_pair(), **LONG), 3)
        server.wait_until_idle(10)
        path = server.begin(**server.upload_pair(), **LONG)
        with server.http.stream("GET", path) as events:
            lines = events.iter_lines()  # held, or the client would hang up
            next(line for line in lines if "generating" in line)
            process = psutil.Process(server.pid)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
        assert time.monotonic() - began < END
    assert '"server": "ends", "jobs": 1' in server.log()
    assert "Traceback" not in server.log()
    assert unfinished(tmp_path / "cache") == []


def test_killed_and_started_again_the_last_picture_is_still_there(browser, tmp_path):
    port = visitor.free_port()
    with visitor.started(tmp_path, port) as address, visit(browser, address, SHORT) as page:
        paint_to_the_end(page)
        before = save(page, "#save", tmp_path)
        psutil.Process(Server(address, tmp_path).pid).kill()
        page.wait_for_timeout(500)
        with visitor.started(tmp_path, port):
            page.goto(address)
            expect(page.locator("#status")).to_contain_text("Your last picture", timeout=15_000)
            expect(page.locator("#setting-size input[type=number]")).to_have_value("128")
            expect(page.locator("#title")).to_contain_text("Neuschwanstein")
            folder = tmp_path / "again"
            folder.mkdir()
            after = save(page, "#save", folder)
            assert after.read_bytes() == before.read_bytes()
            paint_to_the_end(page)


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
    assert unfinished(server.folder / "cache") == []
    server.wait_until_idle(10)
    assert server.jobs()[-1]["outcome"] == "done"


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
    with read_only(server.folder / "cache"):
        event, data = server.call("stylize", **pair, seed=2, init="noise")
        assert event == "error"
        assert "cannot write pictures now" in data["error"]
        assert server.http.get("health").status_code == 200
    event, data = server.call("stylize", **pair, seed=2, init="noise")
    assert event == "complete"
    assert recipe.read(data[0]["path"]).settings.seed == 2


def test_nothing_depends_on_the_wall_clock():
    """Turns, budgets and frames go by the monotonic clock, which never jumps."""
    for path in [*Path("nst_core").rglob("*.py"), *Path("page").glob("*.py"), Path("app.py")]:
        found = re.findall(r"time\.time\(\)|datetime\.now|utcnow", path.read_text())
        assert not found, path
