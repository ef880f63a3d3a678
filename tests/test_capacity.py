"""The capacity model against formulas of queueing theory, and against itself."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import capacity
from benchmarks.capacity import Crowd, make_crowd, simulate

COUNT = 60_000


@pytest.fixture(scope="module")
def exponential():
    """Visitors every 10 s on average, whose pictures take 7 s on average."""
    rng = np.random.default_rng(3)
    return Crowd(np.cumsum(rng.exponential(10, COUNT)), rng.exponential(7, COUNT))


def test_one_machine_is_as_the_formula_says(exponential):
    """M/M/1: use rho, mean wait rho s / (1 - rho)."""
    found = simulate(exponential, 1, "any", max_waiting=float("inf"))
    assert found.use == pytest.approx(0.7, rel=0.02)
    assert found.waits.mean() == pytest.approx(0.7 * 7 / 0.3, rel=0.06)


def test_equal_pictures_halve_the_wait(exponential):
    """M/D/1: half of M/M/1's (Pollaczek and Khinchine)."""
    equal = Crowd(exponential.arrivals, np.full(COUNT, 7.0))
    found = simulate(equal, 1, "any", max_waiting=float("inf"))
    assert found.waits.mean() == pytest.approx(0.7 * 7 / 0.3 / 2, rel=0.06)


def test_a_full_queue_turns_away_as_the_formula_says():
    """M/M/1/K, one painted and two waiting: (1 - rho) rho^3 / (1 - rho^4) find it full."""
    rng = np.random.default_rng(4)
    crowd = Crowd(np.cumsum(rng.exponential(10, COUNT)), rng.exponential(9, COUNT))
    found = simulate(crowd, 1, "any", max_waiting=2)
    full = 0.1 * 0.9**3 / (1 - 0.9**4)
    assert found.share_turned_away == pytest.approx(full, rel=0.06)
    assert found.turned_away + len(found.waits) == COUNT


@pytest.mark.parametrize("policy", capacity.POLICIES)
def test_more_machines_make_nobody_wait_longer(policy):
    crowd = make_crowd(600, 4000, [10.0, 30.0])
    waits = [simulate(crowd, machines, policy).waits.mean() for machines in (3, 4, 6, 12)]
    assert waits == sorted(waits, reverse=True)


def test_the_machines_needed_are_the_fewest():
    crowd = make_crowd(300, 4000, [29.0, 31.0])
    needed = capacity.machines_needed(crowd, "least busy")
    assert simulate(crowd, needed, "least busy").percentile(95) <= capacity.PATIENCE
    fewer = simulate(crowd, needed - 1, "least busy")
    assert fewer.percentile(95) > capacity.PATIENCE or fewer.turned_away


def test_what_was_measured_is_there():
    seconds = capacity.measured()
    assert set(seconds) == set(capacity.WORKLOADS)
    assert all(time > 0 for times in seconds.values() for time in times)
