"""Many visitors at once, and visitors who go away: nothing is lost, mixed up or left running."""

from __future__ import annotations

import contextlib
import itertools
import random
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import clips
import corpus
import gradio_client
import numpy as np
import psutil
import pytest
import visitor
from stranger import CASTLE, LIMIT, LONG, WAVE, Server, Tab

import app
from nst_core import Settings, recipe
from page import choice, choose, controls, examples, films, mirror, paint, share
from page.limits import LIMITS
from page.stage import Shown

pytestmark = pytest.mark.attack

VISITORS = 50


# --- Going away ---------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_a_client_that_hangs_up_ends_its_work(count, server, pair, attack):
    before = len(server.jobs())

    def outcomes() -> list[str]:
        return [job["outcome"] for job in server.jobs()[before:]]

    server.read_events(server.begin(**pair, **LONG), count)
    took = server.wait_until_idle()
    assert server.call("preview", **pair)[0] == "complete"  # it came later: the first has its end
    server.wait_for(lambda: "done" in outcomes() and len(outcomes()) >= (2 if count else 1))
    # Gone before it was taken from the queue, it does not begin either.
    assert sorted(outcomes()) in (["done", "hung up"], ["done", "stopped"], ["done"])
    attack.tell(f"hung up after {count} pictures: the work ended after {took:.2f} s")


def test_a_client_that_is_killed_ends_its_work(server, pair):
    """The connection ends without a word, as when a phone leaves the network."""
    before = len(server.jobs())
    path = server.begin(**pair, **LONG)
    stream = server.http.stream("GET", path)
    events = stream.__enter__()
    lines = events.iter_lines()
    while not next(lines).startswith("event: generating"):
        pass
    connection = events.extensions["network_stream"].get_extra_info("socket")
    connection.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SO_LINGER 0: a reset
    connection.close()
    (job,) = server.wait_for_jobs(before + 1)[before:]
    assert job["outcome"] in ("hung up", "stopped")
    assert job.get("steps", 0) < LONG["steps"]


def test_who_waits_and_goes_away_is_forgotten(server, pair):
    before = len(server.jobs())
    with server.hold_the_turn(pair):
        server.read_events(server.begin(**pair, **LONG), 1)  # its first event: the photo
        (waited,) = server.wait_for_jobs(before + 1)[before:]
        assert server.at_work() == 1
    *_, painted = server.wait_for_jobs(before + 2)[before:]
    assert {waited["outcome"], painted["outcome"]} <= {"hung up", "stopped"}
    assert "steps" not in waited
    assert server.call("preview", **pair)[0] == "complete"


def test_runs_that_are_begun_and_left_at_once_do_not_overlap(server, pair):
    """The fake engine fails where two are painted at once."""
    before = len(server.jobs())
    for _ in range(8):
        server.read_events(server.begin(**pair, **LONG), 2)
    found = server.wait_for_jobs(before + 8)[before:]
    assert {job["outcome"] for job in found} <= {"hung up", "stopped"}


# --- Fifty at once ------------------------------------------------------------------------------


def paint_until_served(server: Server, pair: dict[str, Any], seed: int) -> int:
    """Ask as often as it takes; returns the seed in the recipe."""
    own = server.as_seen_from(f"10.0.0.{seed}")
    while True:
        event, data = own.call("stylize", **pair, steps=2, init="noise", seed=seed)
        if event == "complete":
            return recipe.read(data[0]["path"]).settings.seed
        again = re.search(r"try again in (\d+) s", data["error"])
        assert again, data
        time.sleep(min(3.0, float(again[1])))


def test_fifty_clients_at_once(server, pair, attack):
    server.wait_until_idle()
    before = len(server.jobs())

    def count(outcome: str) -> int:
        return sum(job["outcome"] == outcome for job in server.jobs()[before:])

    with ThreadPoolExecutor(VISITORS) as crowd:
        with server.hold_the_turn(pair):
            work = [crowd.submit(paint_until_served, server, pair, n) for n in range(VISITORS)]
            server.wait_for(lambda: count("BusyError") >= VISITORS - int(LIMITS.waiting))
            assert server.at_work() == 1 + int(LIMITS.waiting)
        began = time.monotonic()
        health = []
        while not all(one.done() for one in work):
            asked = time.monotonic()
            server.at_work()
            health.append(time.monotonic() - asked)
            time.sleep(0.2)
    assert [one.result() for one in work] == list(range(VISITORS))  # nobody got another's picture
    server.wait_for(lambda: count("done") == VISITORS)
    outcomes = {job["outcome"] for job in server.jobs()[before:]}
    assert outcomes <= {"done", "BusyError", "hung up", "stopped"}
    attack.tell(
        f"{VISITORS} clients at once: all served in {time.monotonic() - began:.0f} s, "
        f"{count('BusyError')} times told to try again; health answered in at most "
        f"{max(health):.2f} s"
    )


@pytest.mark.parametrize("addresses", [("10.0.1.1", "10.0.1.1"), ("10.0.2.1", "10.0.2.2")])
def test_one_visitor_does_not_keep_the_others_waiting(addresses, server, pair):
    """Four runs of one visitor, then one of another, who comes second and not fifth.

    From the same network address, or from another.
    """
    greedy, other = (
        gradio_client.Client(server.address, verbose=False, headers={"x-forwarded-for": address})
        for address in addresses
    )
    files = [gradio_client.handle_file(str(path)) for path in (CASTLE, WAVE)]
    before = len(server.jobs())

    def done() -> list[int]:
        return [job["size"] for job in server.jobs()[before:] if job["outcome"] == "done"]

    def submit(client: gradio_client.Client, size: int) -> Any:
        return client.submit(*files, size=size, steps=2, api_name="/stylize")

    with server.hold_the_turn(pair):
        mine = [submit(greedy, 64) for _ in range(4)]
        server.wait_for(lambda: server.at_work() == 5)
        theirs = submit(other, 80)
        server.wait_for(lambda: server.at_work() == 6)
    for job in [*mine, theirs]:
        assert job.result(LIMIT)[1].startswith("Done")
    server.wait_for(lambda: len(done()) == 5)
    assert done() == [64, 80, 64, 64, 64]


# --- For long -----------------------------------------------------------------------------------

# By how much what a server holds may grow: within some rounds, and in full from the tenth minute on
# to the end of an hour, when all that it may keep of visitors is long there.
FLAT, FLAT_FOR_AN_HOUR, SETTLED = 0.05, 0.02, 600.0
KEPT = {"NST_FILE_BYTES": "2e7", "NST_PICTURE_BYTES": "2e6", "NST_OPTIMIZER_BYTES": "2e6"}
PLENTY = {"NST_REQUESTS_AT_ONCE": "1e6", "NST_BYTES_AT_ONCE": "1e12"}  # as all are one client


@dataclass
class Ground:
    """A server that keeps little, and what visitors bring there."""

    server: Server
    blocks: Any  # the page, which knows its events
    pair: dict[str, Any]
    clip: Path
    hostile: Iterator[Path]
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def tab(self) -> Tab:
        """The page, opened by somebody new."""
        return Tab(self.server.address, self.blocks, f"visitor {next(self.numbers)}")


@pytest.fixture
def ground(tmp_path, attack, hostile_files, castle_512) -> Iterator[Ground]:
    """In full with the real engine, whose memory may grow."""
    clip = clips.write(tmp_path / "clip.mp4", clips.moving(castle_512, 6, (64, 48)))
    script = visitor.APP if attack.is_full else visitor.FAKE_APP
    with visitor.started(tmp_path, script, **KEPT, **PLENTY) as address:
        server = Server(address, tmp_path)
        pair = server.upload_pair()
        yield Ground(server, app.make_page(), pair, clip, itertools.cycle(hostile_files))


def test_visitors_for_long_leave_nothing_behind(ground, attack):
    """Pictures, films, cameras, reloads, mistakes, hostile files, and runs that are left."""
    rounds, seconds = 24, attack.extent(short=0, full=3600)
    process = psutil.Process(ground.server.pid)
    faults = ground.server.log().count("Traceback")
    samples: list[tuple[float, ...]] = []
    began, chance = time.monotonic(), random.Random(3)
    while len(samples) < rounds or time.monotonic() - began < seconds:
        for visit in chance.sample(VISITS, len(VISITS)):
            visit(ground)
        ground.server.wait_until_idle()
        samples.append((time.monotonic() - began, *held_by(process), disk_of(ground.server)))
    found = np.array(samples)
    settled = found[found[:, 0] >= SETTLED] if attack.is_full else found[rounds // 3 :]
    part = max(1, len(settled) // (6 if attack.is_full else 2))
    early, late = settled[:part, 1:], settled[-part:, 1:]
    memory, threads, files, disk = np.median(late, axis=0) / np.median(early, axis=0) - 1
    attack.tell(
        f"{len(samples) * len(VISITS)} visits in {samples[-1][0]:.0f} s: memory {memory:+.1%} of "
        f"{np.median(early[:, 0]) / 1e6:.0f} MB, threads {threads:+.1%}, open files {files:+.1%}, "
        f"disk {disk:+.1%} of {np.median(early[:, 3]) / 1e6:.0f} MB"
    )
    assert ground.server.log().count("Traceback") == faults
    assert memory < (FLAT_FOR_AN_HOUR if attack.is_full else FLAT)
    assert late[:, 1].max() <= early[:, 1].max() + 2
    assert late[:, 2].max() <= early[:, 2].max() + 5
    assert found[:, 4].max() < 2 * float(KEPT["NST_FILE_BYTES"])


def test_sessions_by_the_thousand_leave_nothing_behind(ground, attack):
    """Each opens the page, chooses a pair, and is never seen again."""
    warm_up, count = 160, attack.extent(short=320, full=10_000)
    process = psutil.Process(ground.server.pid)

    def open_and_choose(number: int) -> None:
        tab = ground.tab()
        assert tab.call(share.arrive, None)
        assert tab.call(choose.choose_pair, str(number % len(examples.PAIRS)))

    def held_after(sessions: Iterator[int]) -> np.ndarray:
        with ThreadPoolExecutor(4) as crowd:
            list(crowd.map(open_and_choose, sessions))
        return np.array(held_by(process))

    numbers = iter(range(count))
    warm = held_after(itertools.islice(numbers, warm_up))
    began = time.monotonic()
    memory, threads, files = held_after(numbers) - warm
    attack.tell(
        f"{count} sessions, after the first {warm_up} {time.monotonic() - began:.0f} s: "
        f"{memory / 1e6:+.0f} MB of {warm[0] / 1e6:.0f}, {threads:+d} threads, {files:+d} files"
    )
    assert memory < FLAT * warm[0]
    assert threads <= 2
    assert files <= 5


def held_by(process: psutil.Process) -> tuple[int, int, int]:
    """Memory in bytes, threads, open files."""
    return process.memory_info().rss, process.num_threads(), process.num_fds()


def disk_of(server: Server) -> int:
    """Bytes of visitors' files."""
    total = 0
    for file in server.cache.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # swept meanwhile
            total += file.stat().st_size
    return total


SIZES = itertools.cycle((64, 96, 128, 80))


def a_run(ground: Ground) -> None:
    run = ground.pair | {"size": next(SIZES), "steps": 2}
    assert ground.server.call("stylize", **run)[0] == "complete"


def a_first_look(ground: Ground) -> None:
    assert ground.server.call("preview", **ground.pair)[0] == "complete"


def a_mistake(ground: Ground) -> None:
    assert ground.server.call("stylize", **ground.pair | {"size": "big"})[0] == "error"


def a_run_that_is_left(ground: Ground) -> None:
    ground.server.read_events(ground.server.begin(**ground.pair, **LONG), 2)


def a_look_at_the_page(ground: Ground) -> None:
    assert ground.server.http.get("").status_code == 200


def a_hostile_file(ground: Ground) -> None:
    file = next(ground.hostile)
    uploaded = ground.server.upload(file.read_bytes(), file.name)
    answer = ground.server.call("preview", **ground.pair | {"content": uploaded})
    assert answer[0] in ("complete", "error"), answer


def a_film(ground: Ground) -> None:
    """Of other settings each time, or it would be there already."""
    clip = ground.server.upload(ground.clip.read_bytes(), "clip.mp4")
    settings = controls.show(Settings(size=64, steps=2, tv_weight=next(ground.numbers)))
    row = [ground.pair["content"], ground.pair["style"], *settings, *DEFAULTS]
    _, status, _ = ground.tab().call(films.paint_film, clip, "quick", *row)
    assert status.startswith("Done")


def a_camera(ground: Ground) -> None:
    """Some frames, which are refused while others paint, and the end without a word or with one."""
    name, _ = ground.tab().call(mirror.begin, "", ground.pair["style"], None, None, None)
    if not name:  # those who were there before are not forgotten yet
        return
    path = f"mirror/{name}"
    for _ in range(3):
        ask = {"weights": "1,1,1,1"}
        told = ground.server.http.post(path, content=FRAME, params=ask)
        assert told.status_code in (200, 503), told.text
    if next(ground.numbers) % 2:
        assert ground.server.http.delete(path).status_code == 204


def a_reload(ground: Ground) -> None:
    """Paint, and come back to the picture."""
    tab = ground.tab()
    settings = controls.show(Settings(size=64, steps=2))
    pair = [ground.pair["content"], ground.pair["style"]]
    shown = Shown(*tab.call(paint.paint, None, *pair, *settings, *DEFAULTS))
    again = tab.call(share.arrive, {"token": shown.token, "asked": {}})
    assert shown.token in again


DEFAULTS = [default for default, _ in choice.MORE.values()]
FRAME = corpus.encoded(corpus.scene(), "jpeg")

VISITS = (
    a_run, a_first_look, a_mistake, a_run_that_is_left, a_look_at_the_page, a_hostile_file, a_film,
    a_camera, a_reload,
)  # fmt: skip
