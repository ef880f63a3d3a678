"""What painting in tiles costs: agreement, time and memory, beside the step on the whole.

    python -m benchmarks.tiling

The gradient's error is the norm of its difference from the whole's, over the norm of that. Times
are of steps that take turns in blocks, so that neither finds the memory as the other left it; the
ratio is that of the medians. Memory is the high-water mark of a process that paints one picture of
the size on an `nst_core.Easel`, with as many steps at full size as fill L-BFGS' short memory,
beside the forecast that its plan was made with. Seams are how much neighbouring pixels differ where
two tiles meet, over how much they do a little before and behind: more than 1 would show. The few
borders of a small picture depend more on what happens to be there.

    python -m benchmarks.tiling --one WIDTH HEIGHT STEPS [--loss nearest] [--file FILE]

paints one picture with a style loss and prints its memory and time, and keeps the picture in FILE;
STEPS are those of all scales together, of which there are four with nearest features; 24 or more
fill L-BFGS' memory at the last one. The pictures of the table are kept in `results/tiling`, to be
looked at.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np
import psutil
from PIL import Image, ImageOps

from benchmarks import report
from benchmarks.roofline import SETTINGS
from benchmarks.scaling import peak_memory
from nst_core import Easel, Engine, Settings
from nst_core.engine import tiles
from nst_core.engine.engine import Problem
from nst_core.engine.objective import Objective
from nst_core.engine.plan import needed
from nst_core.engine.schedule import schedule
from nst_core.engine.step import State
from nst_core.engine.warm_up import warm_up
from nst_core.lazy import tf
from nst_core.networks.network import PRECISIONS
from nst_core.optimizers.optimizer import MEMORIES
from nst_core.pictures import images
from nst_core.pictures.pyramid import resize
from nst_core.pictures.regions import everywhere

EXAMPLES = report.ROOT / "examples"
RESULTS = report.RESULTS / "tiling"
PAIR = EXAMPLES / "content" / "chenonceau.jpg", EXAMPLES / "style" / "great-wave.jpg"

# Height, width, and side of the tiles, which does not divide them.
AGREEMENTS = ((333, 277, 112), (511, 767, 200), (768, 1024, 300), (768, 1024, tiles.SIDE))
SPEEDS = ((683, 1024), (1024, 1024))
SIZES = ((1024, 768), (2048, 1536), (4096, 4096))
BLOCKS, STEPS_PER_BLOCK = 5, 3
LOSSES = ("gram", "nearest")  # whose memory is measured
LBFGS_MEMORY = "short"  # that of all pictures which are too large for anything but tiles


def both_engines(precision: str, side: int) -> dict[str, Engine]:
    return {"whole": Engine(SETTINGS, precision), "tiles": Engine(SETTINGS, precision, side)}


def make_case(engines: dict[str, Engine], height: int, width: int) -> tuple[np.ndarray, Problem]:
    """A noisy photo, float32 [1, H, W, 3] in [0, 1], and what it is compared with."""
    photo, painting = (images.load(path, 1024) for path in PAIR)
    small = resize(photo.rgb, height, width)
    noise = np.random.default_rng(0).normal(0, 0.1, small.shape)
    canvas = np.clip(small + noise, 0, 1).astype(np.float32)
    return canvas, engines["tiles"].problem(small, everywhere(painting))


# --- Agreement ----------------------------------------------------------------------------------


def agreement(height: int, width: int, side: int) -> list[Any]:
    """A row: how far the gradient in tiles is from the whole's, in float32."""
    engines = both_engines("float32", side)
    case = make_case(engines, height, width)
    whole, tiled = (engine.start(*case) for engine in engines.values())
    error = tf.norm(tiled.gradient - whole.gradient) / tf.norm(whole.gradient)
    loss = abs(float(tiled.losses["total"] / whole.losses["total"]) - 1)
    return [f"{width} x {height}", side, f"{float(error):.1e}", f"{loss:.1e}"]


# --- Time ---------------------------------------------------------------------------------------


def slowdown(height: int, width: int, precision: str) -> list[Any]:
    """A row: seconds of a step on the whole and in tiles."""
    engines = both_engines(precision, tiles.SIDE)
    canvas, problem = make_case(engines, height, width)
    states = {name: engine.start(canvas, problem) for name, engine in engines.items()}
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(BLOCKS):
        for name, engine in engines.items():
            states[name], times = _block(engine, states[name], problem)
            seconds[name] += times[1:]  # the first one finds its memory
    whole, tiled = (statistics.median(times) for times in seconds.values())
    return [f"{width} x {height}", precision, whole, tiled, f"{tiled / whole - 1:+.0%}"]


def _block(engine: Engine, state: State, problem: Problem) -> tuple[State, list[float]]:
    times = []
    for _ in range(STEPS_PER_BLOCK + 1):
        began = time.monotonic()
        state = engine.step(state, problem)
        bool(state.finite)  # until it is done
        times.append(time.monotonic() - began)
    return state, times


# --- Memory -------------------------------------------------------------------------------------


def seams(image: np.ndarray, objective: Objective) -> float:
    """How much a picture uint8 [H, W, 3] changes from tile to tile, over how much beside that.

    Beside that is up to three of the network's coarsest strides before and behind: the gradient of
    poolings makes patterns of that period in any picture, in tiles or not.
    """
    network = objective.network
    height, width = (side + 2 * network.padding for side in image.shape[:2])
    cut = tiles.split(height, width, tiles.SIDE, network, objective.layers)
    starts = {tile.rows.start for tile in cut}, {tile.columns.start for tile in cut}
    between, beside = [], []
    for axis in (0, 1):
        changes = np.abs(np.diff(image.astype(np.int16), axis=axis)).mean(axis=(1 - axis, 2))
        borders = np.array([start - network.padding - 1 for start in starts[axis] if start], int)
        between.extend(changes[borders])
        for strides in (-3, -2, -1, 1, 2, 3):
            beside.extend(changes[borders + strides * network.coarsest_stride])
    return float(np.mean(between) / np.mean(beside))


def paint(width: int, height: int, steps: int, loss: str, file: str | None) -> dict[str, float]:
    """Paint one picture in tiles: bytes as forecast and at the peak, and seconds of a last step."""
    size = max(width, height)
    whole, painting = (Image.open(path) for path in PAIR)
    photo = ImageOps.fit(whole, (whole.width * width // size, whole.width * height // size))
    settings = Settings(
        size=size,
        style_loss=loss,
        enlarge=True,
        steps=steps,
        tile=tiles.SIDE,
        lbfgs_memory=LBFGS_MEMORY,
    )
    objective = Objective.of(settings)
    warm_up(settings)
    before = psutil.Process().memory_info().rss
    easel = Easel(photo, painting, settings)
    pixels = width * height  # the painting has fewer
    need = needed(pixels, pixels, easel.plan.precision, easel.plan, objective)
    done = []
    for frame in easel.paint():
        if frame.scale == size and frame.losses:
            done.append((frame.step, frame.elapsed))
    if file:
        images.save(frame.to_pil(), file)
    (first, began), (last, ended) = done[0], done[-1]
    return {
        "forecast": before + need.total,
        "peak": peak_memory(),
        "step": (ended - began) / max(1, last - first),
        "elapsed": frame.elapsed,
        "seams": seams(frame.image, objective),
    }


def memory_row(width: int, height: int, loss: str) -> list[Any]:
    RESULTS.mkdir(parents=True, exist_ok=True)
    coarse = Objective.of(Settings(style_loss=loss)).coarse
    steps = (MEMORIES[LBFGS_MEMORY].pairs + 1) * len(schedule(height, width, 100, coarse))
    command = [sys.executable, "-m", "benchmarks.tiling", "--one"]
    command += map(str, (width, height, steps))
    command += ["--loss", loss, "--file", str(RESULTS / f"{loss}-{width}x{height}.png")]
    done = subprocess.run(command, cwd=report.ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)
    return [
        loss,
        f"{width} x {height}",
        f"{found['peak'] / 1e9:.2f}",
        f"{found['forecast'] / 1e9:.2f}",
        found["step"],
        found["elapsed"],
        f"{found['seams']:.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--one", nargs=3, type=int, metavar=("WIDTH", "HEIGHT", "STEPS"))
    parser.add_argument("--loss", choices=LOSSES, default="nearest", help="of the one picture")
    parser.add_argument("--file", help="where the one picture is kept")
    arguments = parser.parse_args()
    if arguments.one:
        width, height, steps = arguments.one
        print(json.dumps(paint(width, height, steps, arguments.loss, arguments.file)))
        return
    report.publish(
        "tiling",
        report.table(
            ("px", "tile", "gradient's error", "loss' error"),
            [agreement(*case) for case in AGREEMENTS],
        ),
        report.table(
            ("px", "precision", "whole, s", "tiles, s", "overhead"),
            [slowdown(*shape, precision) for shape in SPEEDS for precision in PRECISIONS],
        ),
        report.table(
            ("style loss", "px", "peak, GB", "forecast, GB", "fine step, s", "run, s", "seams"),
            [memory_row(*shape, loss) for loss in LOSSES for shape in SIZES],
        ),
    )


if __name__ == "__main__":
    main()
