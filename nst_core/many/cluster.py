"""A batch on a Ray cluster: one model in each worker, pictures there and back as bytes.

Ray does the scheduling: it starts the workers, hands them tasks, and gives to others what was lost
with a machine. The folders need not be shared, since the driver reads all pictures and writes all
results; this package, and a weights file or stylizer that the settings name, have to be on every
machine. Ray is an extra:
`pip install -r requirements-ray.txt`.

GPUs are asked for where the cluster has them; that was written with care and never run.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nst_core.engine.device import fastest_precision
from nst_core.errors import BatchError
from nst_core.files import write_whole
from nst_core.many import batch
from nst_core.many.batch import TASK_ERRORS, Numbered, Outcome, PaintAll, Task
from nst_core.stop import StopToken

LOCAL = "local"  # instead of an address: a cluster of this machine alone

# Processor cores of a worker. With one, every core paints a picture of its own and none waits for
# another; a GPU's worker needs it only to keep the GPU busy.
CORES = 1

# How often a picture is begun again because the machine that painted it was lost.
MAX_RETRIES = 5

# Tasks that are handed over per worker: one is painted, one is on its way.
AHEAD = 2

STOP_INTERVAL = 0.5  # s, between two looks at the stop token while workers paint


def painter(address: str) -> PaintAll:
    """What `batch.run` wants, on the cluster at `address`, like 10.0.0.1:6379, or `LOCAL`.

    The pictures are those of a run on one machine of the same kind with `CORES` cores; with more,
    or another kind of processor, the last digits of the sums differ.

    Raises `BatchError` when Ray is not installed or there is no cluster at this address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise BatchError(
            "--ray needs Ray, which is not installed: pip install -r requirements-ray.txt"
        ) from None
    where = {"include_dashboard": False} if address == LOCAL else {"address": address}
    try:
        ray.init(
            **where, ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR
        )
    except Exception as error:  # Ray raises whatever the network leads it to
        raise BatchError(f"There is no Ray cluster at {address!r}: {error}") from error
    return _paint_all


@dataclass(frozen=True)
class RemoteTask:
    """A task with its pictures, as it travels to a worker."""

    task: Task
    pictures: Mapping[Path, bytes]
    precision: str  # what "auto" comes to on this cluster

    @classmethod
    def of(cls, task: Task, precision: str = "auto") -> RemoteTask:
        paths = {task.content, *(path for path, _ in task.style)}
        return cls(task, {path: path.read_bytes() for path in paths}, precision)

    def unpacked(self, folder: Path) -> Task:
        """The task as it is in another folder. Names stay, because recipes hold them."""
        there = {}
        for number, (path, data) in enumerate(self.pictures.items()):
            there[path] = folder / str(number) / path.name
            there[path].parent.mkdir()
            there[path].write_bytes(data)
        style = tuple((there[path], weight) for path, weight in self.task.style)
        output = folder / self.task.output.name
        return replace(self.task, content=there[self.task.content], style=style, output=output)


def _paint_all(tasks: Sequence[Numbered], stop: StopToken) -> Iterator[tuple[int, Outcome]]:
    """Paint on the cluster that this process is connected to; outcomes in the order they end."""
    import ray

    if not tasks:
        return
    resources = ray.cluster_resources()
    remote = ray.remote(max_retries=MAX_RETRIES, **_worker_options(resources))
    # Not each worker for itself: machines of several kinds might choose differently.
    try:
        precision = ray.get(remote(_precision).remote())
    except ray.exceptions.RayError as error:
        raise BatchError(f"The cluster's workers cannot be used: {error}") from error
    paint = remote(_paint)
    max_running = AHEAD * _workers(resources)
    waiting = deque(tasks)
    running: dict[Any, Numbered] = {}
    try:
        while (waiting or running) and not stop.is_set():
            if waiting and len(running) < max_running:
                number, task = waiting.popleft()
                try:
                    sent = RemoteTask.of(task, precision)
                except OSError as error:
                    yield number, batch.failed(task, str(error))
                else:
                    running[paint.remote(sent)] = number, task
                continue
            for ended in ray.wait(list(running), timeout=STOP_INTERVAL)[0]:
                number, task = running.pop(ended)
                yield number, _received(task, ended)
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def _precision() -> str:
    """In a worker: what `auto` comes to there."""
    return fastest_precision()


def _paint(sent: RemoteTask) -> tuple[Outcome, bytes]:
    """In a worker: paint, and return the outcome and the PNG; it is empty if that failed."""
    with tempfile.TemporaryDirectory() as folder:
        task = sent.unpacked(Path(folder))
        outcome = batch.paint(task, precision=sent.precision)
        assert outcome is not None, "nobody can stop it here"
        done = outcome.outcome == batch.PAINTED
        return outcome, task.output.read_bytes() if done else b""


def _received(task: Task, reference: Any) -> Outcome:
    """Keep what a worker sent; its outcome in terms of the driver's files."""
    import ray

    try:
        outcome, data = ray.get(reference)
        if data:
            write_whole(data, task.output)
    except (ray.exceptions.RayError, *TASK_ERRORS) as error:
        return batch.failed(task, str(error))
    own = batch.to_do(task)
    return replace(outcome, content=own.content, style=own.style, output=own.output)


def _worker_options(resources: Mapping[str, float]) -> dict[str, Any]:
    """What a worker gets of the cluster, and keeps to."""
    limits = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    return {
        "num_cpus": CORES,
        "num_gpus": 1 if resources.get("GPU") else 0,
        "runtime_env": {"env_vars": dict.fromkeys(limits, str(CORES))},
    }


def _workers(resources: Mapping[str, float]) -> int:
    return max(1, int(resources.get("GPU") or resources.get("CPU", 0) / CORES))
