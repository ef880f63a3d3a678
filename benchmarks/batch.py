"""What a batch costs beside single runs, and what a second worker brings.

    python -m benchmarks.batch

A batch and back-to-back calls of `stylize` that save their pictures take turns in one warm process.
The cluster is one of Ray's on this machine, whose nodes have one core each; one node and two take
turns with the same pictures, once the workers are warm.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import report
from nst_core import Settings, stylize
from nst_core.many import batch
from nst_core.pictures import images

EXAMPLES = report.ROOT / "examples"
PHOTOS = [EXAMPLES / "content" / f"{name}.jpg" for name in ("castle", "cat", "dog", "owl")]
PAINTINGS = [EXAMPLES / "style" / f"{name}.jpg" for name in ("great-wave", "ejiri")]
SETTINGS = Settings(size=192, steps=6, precision="float32")
ROUNDS = 5
CLUSTER_ROUNDS = 2


def tasks_in(folder: str) -> list[batch.Task]:
    pairs = itertools.product(PHOTOS, PAINTINGS)
    return [
        batch.Task(photo, ((style, 1.0),), SETTINGS, Path(folder) / f"{number}.png")
        for number, (photo, style) in enumerate(pairs)
    ]


def never(task: batch.Task) -> bool:
    return False


def singly(tasks: list[batch.Task]) -> None:
    for task in tasks:
        frame = stylize(task.content, task.style[0][0], task.settings)
        images.save(frame.to_pil(), task.output)


def as_batch(tasks: list[batch.Task], paint_all: batch.PaintAll = batch.paint_here) -> None:
    outcomes = [outcome for _, outcome in batch.run(tasks, paint_all, never)]
    batch.save_summary(outcomes, tasks[0].output.parent)
    if any(outcome.outcome != batch.PAINTED for outcome in outcomes):
        raise RuntimeError(f"not all were painted: {outcomes}")


def beside_single_runs() -> dict[str, list[float]]:
    """Seconds of each round."""
    seconds: dict[str, list[float]] = {"single runs": [], "batch": []}
    with tempfile.TemporaryDirectory() as folder:
        tasks = tasks_in(folder)
        singly(tasks)  # warm
        for _ in range(ROUNDS):
            seconds["single runs"].append(report.seconds(lambda: singly(tasks)))
            seconds["batch"].append(report.seconds(lambda: as_batch(tasks)))
    return seconds


def on_nodes(count: int) -> list[float]:
    """Seconds of each round on a cluster of so many nodes with one core each."""
    command = [sys.executable, "-m", "benchmarks.batch", "--nodes", str(count)]
    # Ray's switch for systems whose firewall would ask: everything stays on the loopback address.
    environment = os.environ | {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    done = subprocess.run(
        command, cwd=report.ROOT, check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    return json.loads(done.stdout.splitlines()[-1])


def paint_on_nodes(count: int) -> list[float]:
    import ray
    from ray.cluster_utils import Cluster

    from nst_core.many import cluster

    here: dict[str, Any] = {"node_ip_address": "127.0.0.1"}
    head = {"num_cpus": 0, "include_dashboard": False, **here}
    machines = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(count):
        machines.add_node(num_cpus=1, **here)
    machines.wait_for_nodes()
    paint_all = cluster.painter(machines.address)
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        tasks = tasks_in(folder)
        as_batch(tasks, paint_all)  # warm
        for _ in range(CLUSTER_ROUNDS):
            began = time.monotonic()
            as_batch(tasks, paint_all)
            seconds.append(time.monotonic() - began)
    ray.shutdown()
    machines.shutdown()
    return seconds


def row(name: str, seconds: list[float], base: list[float]) -> list[Any]:
    median = statistics.median(seconds)
    count = len(PHOTOS) * len(PAINTINGS)
    ratio = statistics.median(base) / median
    return [name, median, min(seconds), max(seconds), 3600 * count / median, f"{ratio:.2f}"]


def main() -> None:
    if sys.argv[1:2] == ["--nodes"]:
        print(json.dumps(paint_on_nodes(int(sys.argv[2]))))
        return
    seconds = beside_single_runs()
    nodes: dict[int, list[float]] = {1: [], 2: []}
    for count in (1, 2, 1, 2):
        nodes[count] += on_nodes(count)
    head = ("", "median, s", "least, s", "most, s", "pictures an hour", "throughput")
    rows = [row(name, times, seconds["single runs"]) for name, times in seconds.items()]
    rows += [row(f"Ray, {count} x 1 core", times, nodes[1]) for count, times in nodes.items()]
    what = (
        f"{len(PHOTOS) * len(PAINTINGS)} pictures of {SETTINGS.size} px with {SETTINGS.steps} "
        f"steps in {SETTINGS.precision}; throughput beside single runs, and beside one node."
    )
    report.publish("batch", what, report.table(head, rows))


if __name__ == "__main__":
    main()
