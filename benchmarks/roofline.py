"""How near the step comes to what the machine can do.

    python -m benchmarks.roofline

For each size and precision: the time of a step, L-BFGS included, the share of it that is L-BFGS,
and the step's arithmetic per second beside that of a product of two large matrices. Machines are
shared and their speed drifts, so all sizes and the product take turns, and what stands in the
table are medians over the rounds, of the ratios too.

The arithmetic is that of the convolutions and of the style loss' products between channels, forward
and back; the padding around the picture is computed, so the share of the peak counts it, and the
last column shows the share without it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks import report
from nst_core import Engine, Settings
from nst_core.engine.objective import Objective
from nst_core.lazy import tf
from nst_core.networks.network import PRECISIONS
from nst_core.pictures.images import Picture
from nst_core.pictures.regions import everywhere

SIZES = (128, 256, 384, 512, 768, 1024)
ROUNDS = 7
SETTINGS = Settings()
OBJECTIVE = Objective.of(SETTINGS)
OPTIMIZER = OBJECTIVE.optimizer("full")
PADDING = OBJECTIVE.network.padding


class Measurement(NamedTuple):
    """One step at one size and precision: seconds of each round, and FLOP/s of the product."""

    precision: str
    side: int  # pixels, of a square picture
    steps: list[float]
    updates: list[float]  # L-BFGS alone
    peaks: list[float]


class Subject(NamedTuple):
    """What is measured at one size, ready to be called."""

    step: Callable[[], Any]
    update: Callable[[], Any]


def step_flop(side: int) -> float:
    """Arithmetic of a step for a square picture: each product once forward and once back."""
    return OBJECTIVE.flop * side**2


def measure(precision: str, sides: Sequence[int], rounds: int = ROUNDS) -> list[Measurement]:
    """Rounds of a matrix product, a step and an update at each of the sizes."""
    engine = Engine(SETTINGS, precision)
    update = tf.function(OPTIMIZER.update, reduce_retracing=True)
    subjects = [_subject(engine, update, side) for side in sides]
    multiply = report.matrix_product(precision)
    found = [Measurement(precision, side, [], [], []) for side in sides]
    for _ in range(rounds):
        for subject, own in zip(subjects, found, strict=True):
            own.peaks.append(report.PEAK_FLOP / report.seconds(multiply))
            own.steps.append(report.seconds(partial(_wait, subject.step)))
            own.updates.append(report.seconds(partial(_wait, subject.update)))
    return found


def _subject(engine: Engine, update: Any, side: int) -> Subject:
    photo = np.random.default_rng(0).random([1, side, side, 3], np.float32)
    # Another painting would be as good: its Gram matrices are never reached.
    black = Picture(np.zeros([1, 64, 64, 3], np.float32))
    problem = engine.problem(photo, everywhere(black))
    state = engine.step(engine.start(photo, problem), problem)  # so the next has a curvature pair
    rate = tf.constant(OPTIMIZER.learning_rate)
    subject = Subject(
        partial(engine.step, state, problem),
        partial(update, state.image, state.gradient, state.optimizer, rate),
    )
    for work in subject:
        _wait(work)  # traced and warm
    return subject


def _wait(work: Callable[[], Any]) -> None:
    """Do it until the last tensor is really there, on a GPU too."""
    tf.nest.flatten(work())[-1].numpy()


def shares_of_the_peak(found: Measurement, work: float) -> float:
    """Median over the rounds of `work` per second and the product's speed just before."""
    pairs = zip(found.steps, found.peaks, strict=True)
    return statistics.median(work / step / peak for step, peak in pairs)


def row(found: Measurement) -> list[Any]:
    work, own = step_flop(found.side + 2 * PADDING), step_flop(found.side)
    step = statistics.median(found.steps)
    return [
        found.precision,
        found.side,
        step,
        f"{statistics.median(found.updates) / step:.1%}",
        work / 1e9,
        work / step / 1e9,
        statistics.median(found.peaks) / 1e9,
        f"{shares_of_the_peak(found, work):.0%}",
        f"{shares_of_the_peak(found, own):.0%}",
    ]


HEAD = (
    "precision",
    "px",
    "step, s",
    "L-BFGS",
    "GFLOP",
    "GFLOP/s",
    "peak GFLOP/s",
    "of the peak",
    "without padding",
)


def draw(found: list[Measurement]) -> None:
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    for color, precision in zip(("C0", "C1"), PRECISIONS, strict=True):
        own = [m for m in found if m.precision == precision]
        speeds = [step_flop(m.side + 2 * PADDING) / statistics.median(m.steps) / 1e9 for m in own]
        sides = [m.side for m in own]
        axis.plot(sides, speeds, "o-", color=color, label=f"step, {precision}")
        peaks = [statistics.median(m.peaks) / 1e9 for m in own]
        axis.plot(sides, peaks, ":", color=color, label=f"matrix product, {precision}")
    axis.set(xlabel="side of a square picture, px", ylabel="GFLOP/s", xscale="log")
    axis.set_xticks(SIZES, [str(side) for side in SIZES])
    axis.set_xticks([], minor=True)
    axis.set_ylim(bottom=0)
    axis.grid(True, alpha=0.2)
    axis.legend()
    report.save_figure(figure, "roofline")


def main() -> None:
    found = [one for precision in PRECISIONS for one in measure(precision, SIZES)]
    draw(found)
    report.publish("roofline", report.table(HEAD, [row(one) for one in found]))


if __name__ == "__main__":
    main()
