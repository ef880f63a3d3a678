"""What so many visitors an hour cost in machines, and how long they wait: a simulation.

    python -m benchmarks.capacity                         the tables, from what was measured
    python -m benchmarks.capacity --price 0.5             with a price for an hour of a machine
    python -m benchmarks.capacity --workload sketch       for another kind of picture
    python -m benchmarks.capacity measure                 measure how long pictures take, here
    python -m benchmarks.capacity check                   visitors on the real app, and the model's

Visitors come independently of each other (a Poisson process) and paint one picture each. A machine
paints one at a time, as `page/turns.py` has it, with its limits. What a picture takes is drawn from
the measured times. A visitor's picture lives in the process that painted it, so each belongs to
one machine; `POLICIES` are ways to choose it.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import functools
import itertools
import json
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import simpy

from benchmarks import report
from nst_core import Settings, stylize
from nst_core.presets import PRESETS
from page.limits import LIMITS

FOLDER = report.ROOT / "docs" / "capacity"
MEASURED, CHECK = FOLDER / "measured.json", FOLDER / "check.json"

RATES = (1, 100, 10_000)  # visitors an hour
PATIENCE = 10.0  # s that 95 of 100 visitors may wait at most: longer, and people leave a page
WORKLOADS: dict[str, Settings] = {
    "sketch": PRESETS["sketch"].settings,
    "gallery": PRESETS["gallery"].settings,  # what the page opens with
    "512 px, 60 steps": Settings(size=512, steps=60),
}
PAIRS = (("castle", "great-wave"), ("cat", "ejiri"), ("owl", "great-wave"))
MAX_VISITORS, MIN_VISITORS = 40_000, 4_000  # of a simulation
SEED = 7


# --- The model ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Crowd:
    """When visitors come, and for how long each one's picture is painted, in seconds."""

    arrivals: np.ndarray  # ascending
    services: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """How it went."""

    waits: np.ndarray  # s, of those who were served
    turned_away: int
    use: float  # share of the machines' time that they painted

    @property
    def share_turned_away(self) -> float:
        return self.turned_away / (self.turned_away + len(self.waits))

    def percentile(self, percent: float) -> float:
        return float(np.percentile(self.waits, percent)) if len(self.waits) else 0.0


Choose = Callable[[Sequence[simpy.Resource], np.random.Generator], simpy.Resource]


def any_machine(machines: Sequence[simpy.Resource], rng: np.random.Generator) -> simpy.Resource:
    return machines[int(rng.integers(len(machines)))]


def least_busy(machines: Sequence[simpy.Resource], rng: np.random.Generator) -> simpy.Resource:
    return min(machines, key=lambda machine: machine.count + len(machine.queue))


# Which machine a balancer gives to a visitor who is new.
POLICIES: dict[str, Choose] = {"least busy": least_busy, "any": any_machine}


def simulate(
    crowd: Crowd, machines: int, policy: str, max_waiting: float = LIMITS.waiting
) -> Outcome:
    """Let a crowd come to so many machines."""
    environment, rng = simpy.Environment(), np.random.default_rng(SEED)
    resources = [simpy.Resource(environment) for _ in range(machines)]
    waits: list[float] = []
    painted, turned_away = 0.0, 0

    def visit(service: float) -> Generator[simpy.Event, Any, Any]:
        nonlocal painted, turned_away
        machine = POLICIES[policy](resources, rng)
        if machine.count and len(machine.queue) >= max_waiting:
            turned_away += 1
            return
        came = environment.now
        with machine.request() as turn:
            yield turn
            waits.append(environment.now - came)
            painted += min(service, LIMITS.turn_seconds)
            yield environment.timeout(min(service, LIMITS.turn_seconds))

    def come() -> Generator[simpy.Event, Any, Any]:
        for arrival, service in zip(crowd.arrivals, crowd.services, strict=True):
            yield environment.timeout(arrival - environment.now)
            environment.process(visit(float(service)))

    environment.process(come())
    environment.run()
    return Outcome(np.array(waits), turned_away, painted / (machines * environment.now))


def make_crowd(
    rate: float, count: int, services: Sequence[float] | np.ndarray, seed: int = SEED
) -> Crowd:
    """So many visitors at `rate` an hour, with services drawn from those measured."""
    rng = np.random.default_rng(seed)
    return Crowd(
        np.cumsum(rng.exponential(3600 / rate, count)), rng.choice(np.asarray(services), count)
    )


def machines_needed(crowd: Crowd, policy: str) -> int:
    """The fewest machines with which 95 of 100 visitors wait no longer than `PATIENCE`."""
    hours = (crowd.arrivals[-1] - crowd.arrivals[0]) / 3600
    fewest = max(1, int(crowd.services.sum() / 3600 / hours))
    for machines in itertools.count(fewest):
        found = simulate(crowd, machines, policy)
        if not found.turned_away and found.percentile(95) <= PATIENCE:
            return machines
    raise AssertionError("counting never ends")


# --- Measuring ----------------------------------------------------------------------------------


def measure() -> None:
    """Seconds of whole pictures of each workload, on this machine, in turns."""
    examples = report.ROOT / "examples"
    found: dict[str, list[float]] = {name: [] for name in WORKLOADS}
    stylize(examples / "content/cat.jpg", examples / "style/ejiri.jpg", Settings(steps=2))  # warm
    for content, style in PAIRS:
        for name, settings in WORKLOADS.items():
            began = time.monotonic()
            stylize(examples / f"content/{content}.jpg", examples / f"style/{style}.jpg", settings)
            found[name].append(round(time.monotonic() - began, 2))
    report.keep(MEASURED, {"machine": report.machine(), "seconds": found})


def measured() -> dict[str, list[float]]:
    return json.loads(MEASURED.read_text())["seconds"]


# --- The check ----------------------------------------------------------------------------------

CHECKED = {"size": 160, "steps": 12}  # a picture that takes a second or two
CHECKED_PAIR = ("content/castle.jpg", "style/great-wave.jpg")
WARM = 4  # pictures before the visitors come
VISITS, USE = 90, 0.65  # how many, and the share of time that the machine is to be painting


def check() -> None:
    """Let visitors come to the real app, and put their waits beside the model's."""
    from tests import visitor

    with tempfile.TemporaryDirectory() as folder, visitor.started(Path(folder)) as address:
        log = Path(folder) / "app.log"
        with httpx.Client(base_url=address, timeout=600) as client:
            pair = [_upload(client, report.ROOT / "examples" / name) for name in CHECKED_PAIR]
            paint = functools.partial(_paint, client, *pair)
            for _ in range(WARM):
                paint()
            alone = _jobs(log)[1:]
            rate = 3600 * USE / statistics.fmean(job["seconds"] for job in alone)
            gaps = np.random.default_rng(SEED).exponential(3600 / rate, VISITS)
            with concurrent.futures.ThreadPoolExecutor(VISITS) as pool:
                for gap in gaps:
                    time.sleep(gap)
                    pool.submit(paint)
        jobs = _jobs(log)[WARM:]
    report.keep(CHECK, _beside_the_model(jobs, rate))


def _upload(client: httpx.Client, path: Path) -> dict[str, Any]:
    files = {"files": (path.name, path.read_bytes())}
    answer = client.post("gradio_api/upload", files=files).raise_for_status()
    return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}}


def _paint(client: httpx.Client, photo: dict[str, Any], painting: dict[str, Any]) -> None:
    """Paint through the HTTP interface, and read all that it streams."""
    asked = {"content": photo, "style": painting, **CHECKED}
    answer = client.post("gradio_api/call/v2/stylize", json=asked).raise_for_status()
    client.get(f"gradio_api/call/stylize/{answer.json()['event_id']}").raise_for_status()


def _jobs(log: Path) -> list[dict[str, float]]:
    """The jobs in the app's log, in the order in which they came: when, waited, painted."""
    found = []
    for clock, line in re.findall(r"^(.{23}) ({\"job\".*})$", log.read_text(), re.MULTILINE):
        job = json.loads(line)
        ended = datetime.strptime(clock, "%Y-%m-%d %H:%M:%S,%f").timestamp()
        waited, whole = job["waited"], job["seconds"]
        found.append({"came": ended - whole, "waited": waited, "seconds": whole - waited})
    return sorted(found, key=lambda job: job["came"])


def _beside_the_model(jobs: list[dict[str, float]], rate: float) -> dict[str, Any]:
    services = np.array([job["seconds"] for job in jobs])
    came = np.array([job["came"] for job in jobs])
    same = simulate(Crowd(came - came[0] + 1, services), 1, "any")
    others = [
        simulate(make_crowd(rate, len(jobs), services, seed), 1, "any") for seed in range(400)
    ]
    rows = {
        "real visitors": np.array([job["waited"] for job in jobs]),
        "the model, the same visitors": same.waits,
    }
    return {
        "machine": report.machine(),
        "visitors": len(jobs),
        "an hour": round(rate),
        "seconds of a picture": _summary(services),
        "waits": {name: _summary(waits) for name, waits in rows.items()},
        "mean waits of others": [  # 5, 50 and 95 % of them
            round(float(np.percentile([one.waits.mean() for one in others], percent)), 2)
            for percent in (5, 50, 95)
        ],
    }


def _summary(values: np.ndarray) -> dict[str, float]:
    found = {
        "mean": values.mean(),
        "median": np.median(values),
        "95 %": np.percentile(values, 95),
    }
    return {name: round(float(value), 2) for name, value in found.items()}


# --- The tables ---------------------------------------------------------------------------------


def crowd_for(rate: float, services: Sequence[float]) -> Crowd:
    """Visitors of some hours, or of many for rates at which few come."""
    return make_crowd(rate, int(min(MAX_VISITORS, max(MIN_VISITORS, 4 * rate))), services)


def row(rate: int, crowd: Crowd, machines: int, policy: str) -> list[Any]:
    found = simulate(crowd, machines, policy)
    return [
        f"{rate:,}",
        machines,
        policy,
        f"{found.use:.0%}",
        found.percentile(50),
        found.percentile(95),
        f"{found.share_turned_away:.1%}",
    ]


def waits_table(services: Sequence[float]) -> str:
    """Waiting beside the number of machines, around what is needed."""
    rows = []
    for rate in RATES:
        crowd = crowd_for(rate, services)
        needed = machines_needed(crowd, "least busy")
        counts = sorted({max(1, round(needed * part)) for part in (0.85, 0.95, 1, 1.1)})
        rows += [row(rate, crowd, count, "least busy") for count in counts]
        rows.append(row(rate, crowd, needed, "any"))
    head = ("visitors/h", "machines", "balancer", "in use", "median wait, s", "95 %, s", "away")
    return report.table(head, rows)


def costs_table(services: Sequence[float], price: float | None) -> str:
    """Machines needed, and what 1,000 pictures cost in machine-hours and, with a price, money."""
    rows = []
    for rate in RATES:
        needed = machines_needed(crowd_for(rate, services), "least busy")
        hours = needed / rate * 1000
        money = [] if price is None else [f"{needed * price:.2f}", f"{hours * price:.2f}"]
        rows.append([f"{rate:,}", needed, f"{hours:.1f}", *money])
    head = ["visitors/h", "machines", "machine-hours for 1,000 pictures"]
    head += [] if price is None else ["an hour", "1,000 pictures"]
    return report.table(head, rows)


def check_table() -> str:
    """What `check` found."""
    found = json.loads(CHECK.read_text())
    rows = [[name, *waits.values()] for name, waits in found["waits"].items()]
    low, middle, high = found["mean waits of others"]
    return (
        f"{found['visitors']} visitors at {found['an hour']} an hour on the app; a picture took "
        f"{found['seconds of a picture']['mean']} s on average.\n\n"
        + report.table(("wait, s", "mean", "median", "95 %"), rows)
        + f"\n\nOther crowds at this rate have mean waits of {middle} s in the model, nine of ten "
        f"between {low} and {high} s."
    )


def draw(services: Sequence[float]) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, rate in zip(axes, RATES[1:], strict=True):
        crowd = crowd_for(rate, services)
        needed = machines_needed(crowd, "least busy")
        counts = sorted({max(1, round(needed * part)) for part in np.linspace(0.8, 1.6, 9)})
        for policy in POLICIES:
            waits = [simulate(crowd, count, policy).percentile(95) for count in counts]
            axis.plot(counts, waits, "o-", label=policy)
        axis.axhline(PATIENCE, color="gray", linestyle=":", label="aim")
        axis.set(
            title=f"{rate:,} visitors an hour", xlabel="machines", ylabel="95 of 100 wait less, s"
        )
        axis.locator_params(axis="x", integer=True)
        axis.set_yscale("symlog", linthresh=1)
        axis.set_ylim(bottom=0)
        axis.grid(True, alpha=0.2)
        axis.legend(title="balancer")
    FOLDER.mkdir(exist_ok=True)
    figure.savefig(FOLDER / "waits.svg", metadata={"Date": None})


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity")
    parser.add_argument("what", nargs="?", choices=["measure", "check"])
    parser.add_argument("--workload", choices=WORKLOADS, default="gallery")
    parser.add_argument("--price", type=float, help="of a machine for an hour")
    options = parser.parse_args(arguments)
    if options.what:
        {"measure": measure, "check": check}[options.what]()
        return
    services = measured()[options.workload]
    draw(services)
    text = "\n\n".join(
        [
            "# Capacity, the tables",
            f"Printed by `python -m benchmarks.capacity`, for the workload {options.workload!r}: a "
            f"picture takes {statistics.fmean(services):.1f} s on average.",
            costs_table(services, options.price),
            waits_table(services),
            "![Waiting time against the number of machines](waits.svg)",
            "## Real visitors beside the model",
            check_table(),
        ]
    )
    print(text)
    (FOLDER / "tables.md").write_text(f"{text}\n")


if __name__ == "__main__":
    main()
