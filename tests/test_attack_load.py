"""Many visitors at once, and visitors who go away: nothing is lost, mixed up or left running."""

from __future__ import annotations

import itertools
import random
import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gradio_client
import numpy as np
import psutil
import pytest
from stranger import CASTLE, LONG, WAVE, Server

from nst_core import recipe
from page import turns

pytestmark = pytest.mark.attack

STEP = 1.0  # s; within so long after a visitor has gone the work ends
VISITORS = 50


def check_one_at_a_time(found: list[dict[str, Any]]) -> None:
    """No turn begins before the one before has ended."""
    turns = sorted(
        (job["end"] - job["seconds"] + job["waited"], job["end"])
        for job in found
        if "waited" in job
    )
    overlaps = [end - begin for (_, end), (begin, _) in itertools.pairwise(turns)]
    assert max(overlaps) < 0.01, overlaps  # s, as exact as the log's clock


# --- Going away ---------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_a_client_that_hangs_up_ends_its_work(count, server, pair, attack):
    before = len(server.jobs())
    server.read_events(server.begin(**pair, **LONG), count)
    took = server.wait_until_idle(10)
    assert took < STEP
    if count == 0:  # gone before it was taken from the queue, it must not begin either
        time.sleep(STEP)
        assert server.at_work() == 0
    ended = [job["outcome"] for job in server.jobs()[before:]]
    assert ended == ["stopped"] or (ended == [] and count == 0)
    attack.tell(f"hung up after {count} pictures: the work ended after {took:.2f} s")


def test_a_client_that_is_killed_ends_its_work(server, pair):
    """The connection ends without a word, as when a phone leaves the network."""
    path = server.begin(**pair, **LONG)
    stream = server.http.stream("GET", path)
    events = stream.__enter__()
    lines = events.iter_lines()
    while not next(lines).startswith("event: generating"):
        pass
    connection = events.extensions["network_stream"].get_extra_info("socket")
    connection.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SO_LINGER 0: a reset
    connection.close()
    assert server.wait_until_idle(10) < STEP + 0.5


def test_a_run_that_nobody_reads_ends(server, pair, attack):
    """Its stream is never opened."""
    before = len(server.jobs())
    began = time.monotonic()
    server.begin(**pair, **LONG | {"frame_interval": 0})
    while len(server.jobs()) == before and time.monotonic() - began < 60:
        time.sleep(0.1)
    assert [job["outcome"] for job in server.jobs()[before:]] == ["unread"]
    attack.tell(f"never read: the work ended after {time.monotonic() - began:.1f} s")


def test_who_waits_and_goes_away_is_forgotten(server, pair):
    first = server.begin(**pair, **LONG)
    reader = threading.Thread(target=server.read_events, args=(first, 40))
    reader.start()
    while not server.at_work():
        time.sleep(0.02)
    server.read_events(server.begin(**pair, **LONG), 1)  # its first event: the photo
    reader.join(timeout=60)
    server.wait_until_idle(10)
    assert [job["outcome"] for job in server.jobs()[-2:]] == ["stopped", "stopped"]
    assert server.call("preview", **pair)[0] == "complete"


def test_runs_that_are_begun_and_left_at_once_do_not_overlap(server, pair):
    before = len(server.jobs())
    for _ in range(8):
        server.read_events(server.begin(**pair, **LONG), 2)
    server.wait_until_idle(10)
    found = server.jobs()[before:]
    assert [job["outcome"] for job in found] == ["stopped"] * 8
    check_one_at_a_time(found)


# --- Fifty at once ------------------------------------------------------------------------------


def paint_until_served(server: Server, pair: dict[str, Any], seed: int) -> tuple[int, int]:
    """Ask as often as it takes; returns the seed in the recipe, and how often it was refused."""
    refused = 0
    own = Server(server.address, server.folder)
    while True:
        event, data = own.call("stylize", **pair, steps=2, init="noise", seed=seed)
        if event == "complete":
            return recipe.read(data[0]["path"]).settings.seed, refused
        again = re.search(r"try again in (\d+) s", data["error"])
        assert again, data
        refused += 1
        time.sleep(min(3.0, float(again[1])))


def test_fifty_clients_at_once(server, pair, attack):
    server.wait_until_idle(10)
    began = time.monotonic()
    before = len(server.jobs())
    with ThreadPoolExecutor(VISITORS) as crowd:
        work = [crowd.submit(paint_until_served, server, pair, seed) for seed in range(VISITORS)]
        health = []
        while not all(one.done() for one in work):
            asked = time.monotonic()
            server.at_work()
            health.append(time.monotonic() - asked)
            time.sleep(0.2)
    found = [one.result() for one in work]
    assert [seed for seed, _ in found] == list(range(VISITORS))  # nobody got another's picture
    ended = server.jobs()[before:]
    outcomes = Counter(job["outcome"] for job in ended)
    assert outcomes["done"] == VISITORS
    assert set(outcomes) <= {"done", "BusyError"}
    check_one_at_a_time(ended)
    assert outcomes["BusyError"] >= VISITORS - turns.MAX_WAITING - 8
    attack.tell(
        f"{VISITORS} clients at once: all served in {time.monotonic() - began:.0f} s, "
        f"{outcomes['BusyError']} times told to try again; health answered in at most "
        f"{max(health):.2f} s"
    )


def test_one_session_does_not_keep_the_others_waiting(server):
    """Five runs of one visitor, then one of another, who comes second and not sixth."""
    greedy, other = (gradio_client.Client(server.address, verbose=False) for _ in range(2))
    files = [gradio_client.handle_file(str(path)) for path in (CASTLE, WAVE)]

    def submit(client: gradio_client.Client) -> Any:
        return client.submit(*files, size=64, steps=10, api_name="/stylize")

    mine = [submit(greedy) for _ in range(5)]
    while server.at_work() < 5:
        time.sleep(0.02)
    submit(other).result(timeout=60)
    assert sum(job.done() for job in mine) <= 2
    for job in mine:
        assert job.result(timeout=60)[1].startswith("Done")
    with pytest.raises(Exception, match="pictures of yours are waiting already; try again in"):
        [job.result(timeout=60) for job in [submit(greedy) for _ in range(7)]]
    server.wait_until_idle(60)


# --- For long -----------------------------------------------------------------------------------

FLAT = 0.05  # by how much the memory may grow after the warm-up


def test_visitors_for_long_leave_nothing_behind(server, pair, attack):
    """Runs, first looks, mistakes and runs that are left, one after another."""
    seconds = attack.extent(short=15, full=1800)
    log_start = len(server.jobs())
    process = psutil.Process(server.pid)
    samples: list[tuple[int, int, int]] = []
    began = time.monotonic()
    chance = random.Random(3)
    visits = Counter()
    while time.monotonic() - began < seconds:
        for visit in chance.sample(list(VISITS), len(VISITS)):
            VISITS[visit](server, pair)
            visits[visit] += 1
        server.wait_until_idle(10)
        samples.append((process.memory_info().rss, process.num_threads(), process.num_fds()))
    third = len(samples) // 3
    early, late = np.array(samples[third : 2 * third]), np.array(samples[2 * third :])
    memory, threads, files = np.median(late, axis=0) / np.median(early, axis=0) - 1
    cache = sum(file.stat().st_size for file in (server.folder / "cache").rglob("*"))
    attack.tell(
        f"{seconds} s of visits, {sum(visits.values())} of them, "
        f"{len(server.jobs()) - log_start} jobs: memory {memory:+.1%}, threads {threads:+.1%}, "
        f"open files {files:+.1%}, cache {cache / 1e6:.0f} MB"
    )
    assert memory < FLAT
    assert late[:, 1].max() <= early[:, 1].max() + 2
    assert late[:, 2].max() <= early[:, 2].max() + 5


SIZES = itertools.cycle((64, 96, 128, 80))


def a_run(server: Server, pair: dict[str, Any]) -> None:
    assert server.call("stylize", **pair | {"size": next(SIZES), "steps": 2})[0] == "complete"


def a_first_look(server: Server, pair: dict[str, Any]) -> None:
    assert server.call("preview", **pair)[0] == "complete"


def a_mistake(server: Server, pair: dict[str, Any]) -> None:
    assert server.call("stylize", **pair | {"size": "big"})[0] == "error"


def a_run_that_is_left(server: Server, pair: dict[str, Any]) -> None:
    server.read_events(server.begin(**pair, **LONG), 2)


def a_look_at_the_page(server: Server, _pair: dict[str, Any]) -> None:
    assert server.http.get("").status_code == 200


VISITS = {
    visit.__name__: visit
    for visit in (a_run, a_first_look, a_mistake, a_run_that_is_left, a_look_at_the_page)
}
