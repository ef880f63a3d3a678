"""Many visitors at once, and visitors who go away: nothing is lost, mixed up or left running."""

from __future__ import annotations

import itertools
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gradio_client
import numpy as np
import psutil
import pytest
from stranger import CASTLE, LIMIT, LONG, WAVE, Server

from nst_core import recipe
from page.limits import LIMITS

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

FLAT = 0.05  # by how much the memory may grow after the warm-up


def test_visitors_for_long_leave_nothing_behind(server, pair, attack):
    """Runs, first looks, mistakes and runs that are left, one after another."""
    rounds = attack.extent(short=48, full=600)
    process = psutil.Process(server.pid)
    samples: list[tuple[int, int, int]] = []
    began, jobs = time.monotonic(), len(server.jobs())
    chance = random.Random(3)
    for _ in range(rounds):
        for visit in chance.sample(VISITS, len(VISITS)):
            visit(server, pair)
        server.wait_until_idle()
        samples.append((process.memory_info().rss, process.num_threads(), process.num_fds()))
    third = len(samples) // 3
    early, late = np.array(samples[third : 2 * third]), np.array(samples[2 * third :])
    memory, threads, files = np.median(late, axis=0) / np.median(early, axis=0) - 1
    cache = sum(file.stat().st_size for file in server.cache.rglob("*"))
    attack.tell(
        f"{rounds * len(VISITS)} visits in {time.monotonic() - began:.0f} s, "
        f"{len(server.jobs()) - jobs} jobs: memory {memory:+.1%}, threads {threads:+.1%}, "
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


VISITS = (a_run, a_first_look, a_mistake, a_run_that_is_left, a_look_at_the_page)
