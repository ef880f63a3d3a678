"""A batch on a Ray cluster: one model in each worker, pictures there and back as bytes.

Ray does the scheduling: it starts the workers, hands them tasks, and gives to others what was lost
with a machine. A clip is split at its cuts: each shot is painted by itself, and all are joined. The
folders need not be shared, since the driver reads all files and writes all results; this package,
and a weights file or stylizer that the settings name, have to be on every machine. Ray is an extra:
`pip install -r requirements-ray.txt`.

GPUs are asked for where the cluster has them; that was written with care and never run.
"""

from __future__ import annotations

import functools
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nst_core.engine.device import fastest_precision
from nst_core.errors import BatchError
from nst_core.files import write_whole
from nst_core.films.cuts import Shot
from nst_core.many import batch, clips
from nst_core.many.batch import TASK_ERRORS, Numbered, Outcome, PaintAll
from nst_core.many.clips import Assembly
from nst_core.many.task import Task
from nst_core.stop import StoppedError, StopToken

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
    functions = {one: remote(one) for one in (_paint, _paint_shot)}
    max_running = AHEAD * _workers(resources)
    jobs = _jobs(tasks, precision, stop)
    job = next(jobs, None)
    running: dict[Any, Job] = {}
    try:
        while (job or running) and not stop.is_set():
            if job and len(running) < max_running:
                if isinstance(job, Job):
                    running[functions[job.function].remote(*job.arguments)] = job
                else:
                    yield job
                job = next(jobs, None)
                continue
            for ended in ray.wait(list(running), timeout=STOP_INTERVAL)[0]:
                yield from running.pop(ended).received(ended)
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


@dataclass(frozen=True)
class Job:
    """What a worker is handed over: a picture, or a shot of a clip."""

    number: int
    task: Task
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    take: Callable[[Any], Outcome | None]  # what the function returned

    def received(self, reference: Any) -> Iterator[tuple[int, Outcome]]:
        """The outcome of its task, if it is known by now."""
        import ray

        try:
            outcome = self.take(ray.get(reference))
        except (ray.exceptions.RayError, *TASK_ERRORS) as error:
            outcome = batch.failed(self.task, str(error))
        if outcome:
            yield self.number, outcome


def _jobs(
    tasks: Sequence[Numbered], precision: str, stop: StopToken
) -> Iterator[Job | tuple[int, Outcome]]:
    """What workers are handed over, one by one, and the outcomes of what they cannot be."""
    for number, task in tasks:
        try:
            if task.is_clip:
                yield from _shots(number, task, precision, stop)
            else:
                sent = RemoteTask.of(task, precision)
                yield Job(number, task, _paint, (sent,), functools.partial(_kept, task))
        except StoppedError:
            return
        except TASK_ERRORS as error:
            yield number, batch.failed(task, str(error))


def _shots(
    number: int, task: Task, precision: str, stop: StopToken
) -> Iterator[Job | tuple[int, Outcome]]:
    import ray

    film = ShotByShot(Assembly(task, stop))
    sent = ray.put(RemoteTask.of(task, precision))  # once, for all shots
    for shot in film.begin():
        take = functools.partial(film.take, shot)
        yield Job(number, task, _paint_shot, (sent, shot), take)
    if film.outcome:
        yield number, film.outcome


class ShotByShot:
    """A clip on its way through the cluster."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly, self._missing = assembly, assembly.missing()
        self.outcome: Outcome | None = None

    def begin(self) -> Iterator[Shot]:
        """The shots to be painted; none after one that failed."""
        if not self._missing:
            self._join()
        for shot in tuple(self._missing):
            if self.outcome is None:
                yield shot

    def take(self, shot: Shot, painted: tuple[str, list[bytes]]) -> Outcome | None:
        """Keep a shot, or why there is none; the outcome when that settles it."""
        reason, pieces = painted
        if self.outcome:
            return None
        if reason:
            self.outcome = batch.failed(self._assembly.task, reason)
            return self.outcome
        self._assembly.keep(shot, pieces)
        self._missing.remove(shot)
        if not self._missing:
            self._join()
        return self.outcome

    def _join(self) -> None:
        self._assembly.join()
        self.outcome = batch.film_done(self._assembly.task, self._assembly.size)


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


def _paint_shot(sent: RemoteTask, shot: Shot) -> tuple[str, list[bytes]]:
    """In a worker: why a shot could not be painted, or nothing and its pieces."""
    with tempfile.TemporaryDirectory() as folder:
        task = batch.with_precision(sent.unpacked(Path(folder)), sent.precision)
        try:
            return "", clips.film_of(task).paint_shot(shot)
        except TASK_ERRORS as error:
            return str(error), []


def _kept(task: Task, sent: tuple[Outcome, bytes]) -> Outcome:
    """Keep what a worker sent; its outcome in terms of the driver's files."""
    outcome, data = sent
    if data:
        write_whole(data, task.output)
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
