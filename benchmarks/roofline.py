"""How near the step comes to what the machine can do.

    python -m benchmarks.roofline             all, kept as a table and a figure
    python -m benchmarks.roofline --px 512    a step of each kind at one size, printed alone

For each size and precision: the time of a step, L-BFGS included, the share of it that is L-BFGS,
and the step's arithmetic per second beside that of a product of two large matrices. Machines are
shared and their speed drifts, so all sizes and the product take turns, and what stands in the
table are medians over the rounds, of the ratios too.

The arithmetic is that of the convolutions and of the terms' products, forward and back: between
channels for Gram matrices, also for those beside nearest features; of the picture's features with
all of a painting's samples, where matches are found at every step; with the filters of the edges.
The padding around the picture is computed, so the share of the peak counts it, and the last column
shows the share without it.
"""

from __future__ import annotations

import argparse
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
SETTINGS = Settings(style_loss="gram")
OBJECTIVE = Objective.of(SETTINGS)
OPTIMIZER = OBJECTIVE.optimizer("full")
PADDING = OBJECTIVE.network.padding


class Work(NamedTuple):
    """Whose step is measured: of which style loss, at the finest scale or before it."""

    settings: Settings
    is_finest: bool
    sides: Sequence[int]

    @property
    def objective(self) -> Objective:
        return Objective.of(self.settings, is_finest=self.is_finest)


NEAREST = Settings(style_loss="nearest")
WORKS = {
    "Gram matrices": Work(SETTINGS, True, SIZES),
    "nearest, joined": Work(NEAREST, False, (256, 512)),
    "nearest, by layer": Work(NEAREST, True, (256, 512, 1024)),
}


class Measurement(NamedTuple):
    """One step at one size and precision: seconds of each round, and FLOP/s of the product."""

    work: str  # among `WORKS`
    precision: str
    side: int  # pixels, of a square picture
    steps: list[float]
    updates: list[float]  # L-BFGS alone
    peaks: list[float]


class Subject(NamedTuple):
    """What is measured at one size, ready to be called."""

    step: Callable[[], Any]
    update: Callable[[], Any]


def step_flop(side: int, work: str = "Gram matrices") -> float:
    """Arithmetic of a step for a square picture: each product once forward and once back."""
    return WORKS[work].objective.flop * side**2


def measure(
    precision: str, sides: Sequence[int], rounds: int = ROUNDS, work: str = "Gram matrices"
) -> list[Measurement]:
    """Rounds of a matrix product, a step and an update at each of the sizes."""
    settings, is_finest, _ = WORKS[work]
    engine = Engine(settings, precision, is_finest=is_finest)
    update = tf.function(OPTIMIZER.update, reduce_retracing=True)
    subjects = [_subject(engine, update, side) for side in sides]
    multiply = report.matrix_product(precision)
    found = [Measurement(work, precision, side, [], [], []) for side in sides]
    for _ in range(rounds):
        for subject, own in zip(subjects, found, strict=True):
            own.peaks.append(report.PEAK_FLOP / report.seconds(multiply))
            own.steps.append(report.seconds(partial(_wait, subject.step)))
            own.updates.append(report.seconds(partial(_wait, subject.update)))
    return found


def _subject(engine: Engine, update: Any, side: int) -> Subject:
    photo, painting = np.random.default_rng(0).random([2, 1, side, side, 3], np.float32)
    problem = engine.problem(photo, everywhere(Picture(painting)))
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
    work, own = (step_flop(side, found.work) for side in (found.side + 2 * PADDING, found.side))
    step = statistics.median(found.steps)
    return [
        found.work,
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
    "style loss",
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
        own = [m for m in found if (m.precision, m.work) == (precision, "Gram matrices")]
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
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--px", type=int, help="side of the only size that is measured")
    side = parser.parse_args().px
    found = [
        one
        for precision in PRECISIONS
        for name, work in WORKS.items()
        for one in measure(precision, (side,) if side else work.sides, work=name)
    ]
    table = report.table(HEAD, [row(one) for one in found])
    if side:
        print(table)
        return
    report.publish("roofline", table)
    draw(found)


if __name__ == "__main__":
    main()
