"""How soon the work ends once a run is stopped.

    python -m benchmarks.stopping

Seconds from the moment when a stop token is set, during a step, to the end of the generator, over
the median seconds of a step. The token is set by another thread, which calls `stop()`, or by a
deadline, which is a condition of the token. With a frame interval of 0 every step gives a frame;
with 1000 s none comes between the first and the last, so nobody could close the generator. Closing
it is not measured, because nothing runs between two frames.
"""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tqdm import tqdm

from benchmarks import report
from nst_core import Easel, Settings, StopToken
from nst_core.engine.schedule import Scale
from page import examples

SIZES = (64, 512, 1024)
INTERVALS = (0, 1000)  # s, between frames
PAIR = examples.path_of("content", "castle"), examples.path_of("style", "great-wave")
PACE_STEPS = 8  # of the run that the median is taken of
PHASES = (0.1, 0.3, 0.5, 0.7, 0.9)  # how much of a step is done when the token is set

# The run looks at its token thrice before the first step, and then before each.
LOOKS = 6  # after so many, the step begins in which the token is set


def set_by_call(wait: float, moments: list[float]) -> StopToken:
    """A token that another thread sets so many seconds into a step, and notes the moment."""

    def stop() -> None:
        moments.append(time.perf_counter())
        token.stop()

    def look() -> str:
        if next(looks) == LOOKS:
            threading.Timer(wait, stop).start()
        return ""

    looks, token = itertools.count(1), StopToken(look)
    return token


def set_by_deadline(wait: float, moments: list[float]) -> StopToken:
    """A token with a deadline, so many seconds into a step."""

    def look() -> str:
        if next(looks) == LOOKS:
            moments.append(time.perf_counter() + wait)
        return "deadline" if moments and time.perf_counter() > moments[0] else ""

    looks = itertools.count(1)
    return StopToken(look)


WAYS: dict[str, Callable[[float, list[float]], StopToken]] = {
    "stop()": set_by_call,
    "deadline": set_by_deadline,
}


def make_easel(size: int, interval: float, steps: int) -> Easel:
    """A picture to be painted at its full size from the first step on."""
    settings = Settings(size=size, style_loss="gram", precision="float32", frame_interval=interval)
    plan = Easel(*PAIR, settings).plan
    finest = Scale(plan.height, plan.width, steps)
    return Easel(*PAIR, settings, plan=replace(plan, scales=(finest,)))


def seconds_of_a_step(size: int) -> float:
    _, *frames = make_easel(size, 0, PACE_STEPS).paint()
    return statistics.median(
        after.elapsed - before.elapsed for before, after in itertools.pairwise(frames)
    )


def seconds_to_end(size: int, interval: float, way: str, wait: float) -> float:
    """From the moment when the token is set, so long after a step has begun, to the end."""
    moments: list[float] = []
    token = WAYS[way](wait, moments)
    deque(make_easel(size, interval, steps=1000).paint(token), maxlen=0)
    return time.perf_counter() - moments[0]


def rows(size: int) -> list[list[Any]]:
    step = seconds_of_a_step(size)
    found = []
    for way, interval in tqdm(list(itertools.product(WAYS, INTERVALS)), desc=f"{size} px"):
        ends = [seconds_to_end(size, interval, way, phase * step) / step for phase in PHASES]
        found.append([size, way, interval, step, statistics.median(ends), max(ends)])
    return found


def main() -> None:
    head = ("px", "set by", "frame interval, s", "step, s", "median, steps", "longest, steps")
    report.publish(
        "stopping",
        "From the moment when a stop token is set to the end of the run, counted in steps; "
        f"{len(PHASES)} runs each, float32.",
        report.table(head, [row for size in SIZES for row in rows(size)]),
    )


if __name__ == "__main__":
    main()
