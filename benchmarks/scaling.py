"""Time and memory from 128 to 1024 pixels.

    python -m benchmarks.scaling

Times are those of a step on square pictures, L-BFGS included, measured in turns as `roofline` does.
Memory is the high-water mark of a process that paints one picture of the size on an
`nst_core.Easel`, beside the forecast that its plan was made with.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
from PIL import Image

from benchmarks import report, roofline
from nst_core import Easel, Settings
from nst_core.engine.objective import Objective
from nst_core.engine.plan import needed
from nst_core.engine.schedule import schedule
from nst_core.engine.warm_up import warm_up
from nst_core.networks.network import PRECISIONS
from nst_core.optimizers.optimizer import MEMORIES
from nst_core.pictures import images

SIZES = (128, 192, 256, 384, 512, 768, 1024)
STEPS_PER_SCALE = MEMORIES["full"].pairs + 1  # enough to fill it
RANGE = (256, 1024)  # where the time per pixel and step should be the same


class Measurement(NamedTuple):
    """One size and precision."""

    precision: str
    size: int  # pixels, of a square picture
    step: float  # seconds
    peak: float  # bytes
    forecast: float  # bytes


def paint(
    size: int, precision: str, style_scale: float | str = 1, style_loss: str = "gram"
) -> dict[str, float]:
    """Paint at one size; returns this process's bytes: before, as forecast, and at the peak."""
    photo, painting = (
        _square(images.load(report.ROOT / "examples" / name, 1024, enlarge=True).rgb[0], size)
        for name in ("content/castle.jpg", "style/great-wave.jpg")
    )
    style_scale = float(style_scale)
    settings = Settings(
        style_loss=style_loss, size=size, precision=precision, style_scale=style_scale
    )
    warm_up(settings)
    before = psutil.Process().memory_info().rss
    coarse = Objective.of(settings).coarse
    steps = STEPS_PER_SCALE * len(schedule(size, size, STEPS_PER_SCALE, coarse))
    settings = replace(settings, steps=steps)
    easel = Easel(photo, painting, settings)
    pixels = size**2, round(size * style_scale) ** 2
    need = needed(*pixels, precision, easel.plan, Objective.of(settings))
    deque(easel.paint(), maxlen=0)
    return {"before": before, "forecast": before + need.total, "peak": peak_memory()}


def _square(picture: np.ndarray, size: int) -> np.ndarray:
    side = min(picture.shape[:2])
    crop = Image.fromarray((picture[:side, :side] * 255).astype(np.uint8))
    return np.asarray(crop.resize((size, size), Image.Resampling.LANCZOS))


def peak_memory() -> int:
    """Bytes: the high-water mark of this process. `ru_maxrss` would count the parent's too."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise OSError("This system does not report a process's peak memory; Linux does.")


def measure(precision: str) -> list[Measurement]:
    found = []
    for timed in roofline.measure(precision, SIZES):
        command = [sys.executable, "-m", "benchmarks.scaling", "--one", str(timed.side), precision]
        done = subprocess.run(
            command, cwd=report.ROOT, check=True, stdout=subprocess.PIPE, text=True
        )
        step, memory = statistics.median(timed.steps), json.loads(done.stdout)
        found.append(Measurement(precision, timed.side, step, memory["peak"], memory["forecast"]))
    return found


def in_range(found: list[Measurement]) -> list[Measurement]:
    low, high = RANGE
    return [one for one in found if low <= one.size <= high]


def exponent(found: list[Measurement]) -> float:
    """The power of the number of pixels that the time of a step grows with, over `RANGE`."""
    inside = in_range(found)
    pixels = [np.log(one.size**2) for one in inside]
    return float(np.polyfit(pixels, [np.log(one.step) for one in inside], 1)[0])


def row(found: Measurement) -> list[Any]:
    return [
        found.precision,
        found.size,
        found.step,
        found.step / found.size**2 * 1e6,
        f"{found.peak / 1e9:.2f}",
        f"{found.forecast / 1e9:.2f}",
        f"{found.forecast / found.peak - 1:+.0%}",
    ]


HEAD = ("precision", "px", "step, s", "us per pixel", "peak, GB", "forecast, GB", "error")


def draw(results: dict[str, list[Measurement]]) -> None:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for precision, found in results.items():
        sizes = [one.size for one in found]
        left.plot(sizes, [one.step for one in found], "o-", label=precision)
        (line,) = right.plot(sizes, [one.peak / 1e9 for one in found], "o-", label=precision)
        forecast = [one.forecast / 1e9 for one in found]
        right.plot(sizes, forecast, ":", color=line.get_color(), label=f"{precision}, forecast")
    left.set(xscale="log", yscale="log", ylabel="seconds per step")
    left.set_xticks(SIZES, [str(size) for size in SIZES])
    left.set_xticks([], minor=True)
    right.set(ylabel="peak memory, GB")
    right.set_ylim(bottom=0)
    for axis in (left, right):
        axis.set_xlabel("side of a square picture, px")
        axis.grid(True, which="both", alpha=0.2)
        axis.legend()
    report.save_figure(figure, "scaling")


def growth(precision: str, found: list[Measurement]) -> str:
    """How time grows, in a sentence."""
    paces = [one.step / one.size**2 for one in in_range(found)]
    return (
        f"{precision}, {RANGE[0]} to {RANGE[1]} px: time grows with the number of pixels to the "
        f"power of {exponent(found):.3f}; the slowest pixel takes {max(paces) / min(paces):.2f} "
        "times the fastest."
    )


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        size, precision, *rest = sys.argv[2:]
        print(json.dumps(paint(int(size), precision, *rest)))
        return
    results = {precision: measure(precision) for precision in PRECISIONS}
    draw(results)
    rows = [row(one) for found in results.values() for one in found]
    report.publish("scaling", report.table(HEAD, rows), *map(growth, results, results.values()))


if __name__ == "__main__":
    main()
