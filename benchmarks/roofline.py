"""How near the step comes to what the machine can do.

    python -m benchmarks.roofline

For each size and precision: the time of a step, L-BFGS included, the share of it that is L-BFGS,
and the step's arithmetic per second beside that of a product of two large matrices. Machines are
shared and their speed drifts, so all sizes and the product take turns, and what stands in the
table are medians over the rounds, of the ratios too.

The arithmetic is that of the convolutions and the Gram matrices, forward and back; the mirrored
margin around the picture is computed, so the share of the peak counts it, and the last column
shows the share without it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks import report
from nst_core import Settings
from nst_core.features import LAYERS, MARGIN, PRECISIONS, Extractor, load_vgg16
from nst_core.lazy import tf
from nst_core.step import (
    OPTIMIZERS,
    CompiledStep,
    State,
    StyleTargets,
    Targets,
    Weights,
    compile_step,
)

SIZES = (128, 256, 384, 512, 768, 1024)
ROUNDS = 7
SETTINGS = Settings()
STYLE_LAYERS = tuple(layer for layer, _ in SETTINGS.style_layers)
USED_LAYERS = tuple(layer for layer in LAYERS if layer in {SETTINGS.content_layer, *STYLE_LAYERS})
OPTIMIZER = OPTIMIZERS[SETTINGS.optimizer]


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
    total, pixels = 0.0, float(side**2)
    for layer in LAYERS[: LAYERS.index(USED_LAYERS[-1]) + 1]:
        pixels /= 4 if layer.endswith("conv1") and layer != LAYERS[0] else 1
        *window, channels_in, channels = load_vgg16(None).get_layer(layer).kernel.shape
        total += 2 * np.prod(window) * channels_in * channels * pixels
        total += 2 * channels**2 * pixels if layer in STYLE_LAYERS else 0
    return 2 * total


def measure(precision: str, sides: Sequence[int], rounds: int = ROUNDS) -> list[Measurement]:
    """Rounds of a matrix product, a step and an update at each of the sizes."""
    extractor = Extractor(USED_LAYERS, SETTINGS.pooling, None, precision)
    load_vgg16(None)
    choices = extractor, SETTINGS.content_layer, STYLE_LAYERS, OPTIMIZER
    compiled = compile_step(*choices, precision=precision)
    update = tf.function(OPTIMIZER.update, reduce_retracing=True)
    subjects = [_subject(extractor, compiled, update, side) for side in sides]
    multiply = report.matrix_product(precision)
    found = [Measurement(precision, side, [], [], []) for side in sides]
    for _ in range(rounds):
        for subject, own in zip(subjects, found, strict=True):
            own.peaks.append(report.PEAK_FLOP / report.seconds(multiply))
            own.steps.append(report.seconds(partial(_wait, subject.step)))
            own.updates.append(report.seconds(partial(_wait, subject.update)))
    return found


def _subject(extractor: Extractor, compiled: CompiledStep, update: Any, side: int) -> Subject:
    one, rate = tf.constant(1.0), tf.constant(OPTIMIZER.learning_rate)
    weights = Weights(one, one, one, dict.fromkeys(STYLE_LAYERS, one))
    image = tf.constant(np.random.default_rng(0).random([1, side, side, 3], np.float32))
    features = extractor(image)
    # Another painting's Gram matrices would be as good: none is ever reached.
    grams = {layer: tf.zeros([features[layer].shape[-1]] * 2) for layer in STYLE_LAYERS}
    style = StyleTargets(grams, tf.constant(1.0), {})
    targets = Targets(features[SETTINGS.content_layer], (style,))
    state: State = compiled.start(image, targets, weights)
    state = compiled.step(state, targets, weights, rate)  # with a pair in L-BFGS' memory
    subject = Subject(
        partial(compiled.step, state, targets, weights, rate),
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
    work, own = step_flop(found.side + 2 * MARGIN), step_flop(found.side)
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
    "without margin",
)


def draw(found: list[Measurement]) -> None:
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    for color, precision in zip(("C0", "C1"), PRECISIONS, strict=True):
        own = [m for m in found if m.precision == precision]
        speeds = [step_flop(m.side + 2 * MARGIN) / statistics.median(m.steps) / 1e9 for m in own]
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
