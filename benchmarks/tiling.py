"""What painting in tiles costs: agreement, time and memory, beside the step on the whole.

    python -m benchmarks.tiling

The gradient's error is the norm of its difference from the whole's, over the norm of that. Times
are of steps that take turns in blocks, so that neither finds the memory as the other left it; the
ratio is that of the medians. Memory is the high-water mark of a process that paints one picture of
the size through `nst_core.stream`, with as many steps at full size as fill L-BFGS' memory, beside
what `nst_core.memory` foretold before the start. Seams are how much neighbouring pixels differ
where two tiles meet, over how much they do a little before and behind: more than 1 would show.
The few borders of a small picture tell more of what happens to be there.

    python -m benchmarks.tiling --one WIDTH HEIGHT STEPS [FILE]

paints one picture and prints its memory and time, and keeps the picture in FILE. The pictures of
the table are kept in `results/tiling`, to be looked at.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from benchmarks import report
from benchmarks.roofline import OPTIMIZER, SETTINGS, STYLE_LAYERS, USED_LAYERS
from benchmarks.scaling import peak_memory
from nst_core import Settings, images, tiles
from nst_core.features import COARSEST_STRIDE, MARGIN, PRECISIONS, Extractor, load_vgg16
from nst_core.lazy import tf
from nst_core.pyramid import resize
from nst_core.step import LBFGS_FRUGAL_MEMORY, CompiledStep, State, StyleTargets, Targets, Weights
from nst_core.step import compile_step as compile_whole

EXAMPLES = report.ROOT / "examples"
RESULTS = report.RESULTS / "tiling"
PAIR = EXAMPLES / "content" / "chenonceau.jpg", EXAMPLES / "style" / "great-wave.jpg"

# Height, width, and side of the tiles, which does not divide them.
AGREEMENTS = ((333, 277, 112), (511, 767, 200), (768, 1024, 300), (768, 1024, tiles.SIDE))
SPEEDS = ((683, 1024), (1024, 1024))
SIZES = ((1024, 768), (2048, 1536), (4096, 4096))
BLOCKS, STEPS_PER_BLOCK = 5, 3


class Case(NamedTuple):
    """A picture to be painted, and what it is compared with."""

    image: tf.Tensor
    targets: Targets
    weights: Weights


def make_case(extractor: Extractor, height: int, width: int) -> Case:
    photo, painting = (images.load(path, 1024).rgb for path in PAIR)
    photo = resize(photo, height, width)
    noise = np.random.default_rng(0).normal(0, 0.1, photo.shape)
    grams = tiles.gram_matrices(extractor, painting, STYLE_LAYERS, {}, tiles.SIDE)
    content = tiles.features_of(extractor, photo, SETTINGS.content_layer, tiles.SIDE)
    weights = Weights(
        tf.constant(SETTINGS.content_weight),
        tf.constant(SETTINGS.style_weight),
        tf.constant(SETTINGS.tv_weight),
        {layer: tf.constant(weight) for layer, weight in SETTINGS.style_layers},
    )
    targets = Targets(content, (StyleTargets(grams, tf.constant(1.0), {}),))
    return Case(tf.constant(np.clip(photo + noise, 0, 1).astype(np.float32)), targets, weights)


def both_steps(extractor: Extractor, side: int) -> dict[str, CompiledStep]:
    load_vgg16(None)
    choices = extractor, SETTINGS.content_layer, STYLE_LAYERS, OPTIMIZER
    return {
        "whole": compile_whole(*choices, precision=extractor.precision),
        "tiles": tiles.compile_step(*choices, side=side),
    }


# --- Agreement ----------------------------------------------------------------------------------


def agreement(height: int, width: int, side: int) -> list[Any]:
    """A row: how far the gradient in tiles is from the whole's, in float32."""
    extractor = Extractor(USED_LAYERS)
    case = make_case(extractor, height, width)
    found = {name: step.start(*case) for name, step in both_steps(extractor, side).items()}
    whole, tiled = found["whole"], found["tiles"]
    error = tf.norm(tiled.gradient - whole.gradient) / tf.norm(whole.gradient)
    loss = abs(float(tiled.losses["total"] / whole.losses["total"]) - 1)
    return [f"{width} x {height}", side, f"{float(error):.1e}", f"{loss:.1e}"]


# --- Time ---------------------------------------------------------------------------------------


def slowdown(height: int, width: int, precision: str) -> list[Any]:
    """A row: seconds of a step on the whole and in tiles."""
    extractor = Extractor(USED_LAYERS, precision=precision)
    case = make_case(extractor, height, width)
    seconds: dict[str, list[float]] = {}
    steps = both_steps(extractor, tiles.SIDE)
    states = {name: step.start(*case) for name, step in steps.items()}
    for _ in range(BLOCKS):
        for name, step in steps.items():
            states[name], times = _block(step, states[name], case)
            seconds.setdefault(name, []).extend(times[1:])  # the first one finds its memory
    whole, tiled = (statistics.median(seconds[name]) for name in ("whole", "tiles"))
    return [f"{width} x {height}", precision, whole, tiled, f"{tiled / whole - 1:+.0%}"]


def _block(step: CompiledStep, state: State, case: Case) -> tuple[State, list[float]]:
    times = []
    for _ in range(STEPS_PER_BLOCK + 1):
        began = time.monotonic()
        state = step.step(state, case.targets, case.weights, tf.constant(1.0))
        bool(state.finite)  # until it is done
        times.append(time.monotonic() - began)
    return state, times


# --- Memory -------------------------------------------------------------------------------------


def seams(image: np.ndarray) -> float:
    """How much a picture uint8 [H, W, 3] changes from tile to tile, over how much beside that.

    Beside that is up to three strides of block5 before and behind: the gradient of poolings makes
    patterns of that period in any picture, in tiles or not.
    """
    height, width, _ = image.shape
    cut = tiles.split(height + 2 * MARGIN, width + 2 * MARGIN, tiles.SIDE, USED_LAYERS)
    starts = {tile.rows.start for tile in cut}, {tile.columns.start for tile in cut}
    between, beside = [], []
    for axis in (0, 1):
        changes = np.abs(np.diff(image.astype(np.int16), axis=axis)).mean(axis=(1 - axis, 2))
        borders = np.array([start - MARGIN - 1 for start in starts[axis] if start], int)
        between.extend(changes[borders])
        for strides in (-3, -2, -1, 1, 2, 3):
            beside.extend(changes[borders + strides * COARSEST_STRIDE])
    return float(np.mean(between) / np.mean(beside))


def paint(width: int, height: int, steps: int, file: str | None) -> dict[str, float]:
    """Paint one picture in tiles; bytes as foretold and at the peak, and seconds of a last step."""
    import psutil

    from nst_core import memory, stream, transfer

    transfer.warm_up()
    size = max(width, height)
    whole, painting = (Image.open(path) for path in PAIR)
    photo = ImageOps.fit(whole, (whole.width * width // size, whole.width * height // size))
    settings = Settings(size=size, enlarge=True, steps=steps, tile=tiles.SIDE)
    precision = transfer.PRECISION_CHOICES[settings.precision]()
    need = memory.of_tiles(width * height, tiles.most_held(tiles.SIDE), precision)
    foretold = psutil.Process().memory_info().rss + need.total
    done = []
    for frame in stream(photo, painting, settings):
        if frame.scale == size and frame.losses:
            done.append((frame.step, frame.elapsed))
    if file:
        images.save(frame.to_pil(), file)
    (first, began), (last, ended) = done[0], done[-1]
    return {
        "foretold": foretold,
        "peak": peak_memory(),
        "step": (ended - began) / max(1, last - first),
        "elapsed": frame.elapsed,
        "seams": seams(frame.image),
    }


def memory_row(width: int, height: int) -> list[Any]:
    from nst_core.schedule import schedule

    RESULTS.mkdir(parents=True, exist_ok=True)
    size = max(width, height)
    steps = (LBFGS_FRUGAL_MEMORY + 1) * len(schedule(size, size, 100))
    command = [sys.executable, "-m", "benchmarks.tiling", "--one"]
    command += map(str, (width, height, steps, RESULTS / f"{width}x{height}.png"))
    done = subprocess.run(command, cwd=report.ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)
    return [
        f"{width} x {height}",
        f"{found['peak'] / 1e9:.2f}",
        f"{found['foretold'] / 1e9:.2f}",
        found["step"],
        found["elapsed"],
        f"{found['seams']:.2f}",
    ]


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        width, height, steps, *file = sys.argv[2:]
        found = paint(int(width), int(height), int(steps), file[0] if file else None)
        print(json.dumps(found))
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
            ("px", "peak, GB", "foretold, GB", "fine step, s", "run, s", "seams"),
            [memory_row(*shape) for shape in SIZES],
        ),
    )


if __name__ == "__main__":
    main()
