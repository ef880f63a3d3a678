"""What several paintings, regions and other colours cost.

    python -m benchmarks.controls

Steps are measured in turns, one of each kind in every round, L-BFGS included; the ratio to a step
with one painting is the median of the rounds' ratios. Colours are those of a square picture of
1024 px, photo and painting alike.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks import report
from nst_core import Engine, Settings, Style
from nst_core.colors import COLOR_MODES
from nst_core.engine.engine import Problem
from nst_core.engine.step import State
from nst_core.networks.network import PRECISIONS
from nst_core.pictures import images
from nst_core.pictures.regions import lay_out
from page import examples

SETTINGS = Settings()
SIZE, ROUNDS = 512, 21
COLOR_SIZE, COLOR_ROUNDS = 1024, 9

PHOTO = examples.path_of("content", "castle")
WAVE, KANDINSKY = (examples.path_of("style", name) for name in ("great-wave", "composition-viii"))


def band(left: float, right: float) -> np.ndarray:
    """A mask of a part of the width, between these shares of it."""
    mask = np.zeros([64, 64], np.uint8)
    mask[:, round(left * 64) : round(right * 64)] = 255
    return mask


def oval() -> np.ndarray:
    """A mask of an oval in the middle, a quarter of the picture."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    return (((x / 0.5) ** 2 + (y / 0.64) ** 2 < 1) * 255).astype(np.uint8)


def quarters() -> list[Style]:
    edges = (0, 0.25, 0.5, 0.75, 1)
    paintings = (WAVE, KANDINSKY, WAVE, KANDINSKY)
    bands = zip(paintings, edges[:-1], edges[1:], strict=True)
    return [Style(painting, mask=band(left, right)) for painting, left, right in bands]


# What stands beside one painting: paintings, and what is kept.
KINDS: dict[str, tuple[list[Style], np.ndarray | None]] = {
    "one painting": ([Style(WAVE)], None),
    "two paintings, mixed": ([Style(WAVE, 2), Style(KANDINSKY, 1)], None),
    "one, and half of the photo kept": ([Style(WAVE)], band(0.5, 1)),
    "one in the left half, one in the right": (
        [Style(WAVE, 1, band(0, 0.5)), Style(KANDINSKY)],
        None,
    ),
    "the same, and a fifth kept": ([Style(WAVE, 1, band(0, 0.4)), Style(KANDINSKY)], band(0.8, 1)),
    "one inside an oval, one outside": ([Style(WAVE, 1, oval()), Style(KANDINSKY)], None),
    "four in four quarters": (quarters(), None),
}


@dataclass
class Run:
    """A run in the middle, to take one more step of."""

    engine: Engine
    problem: Problem
    state: State
    seconds: list[float] = field(default_factory=list)

    def go_on(self) -> None:
        self.state = self.engine.step(self.state, self.problem)
        self.state.image.numpy()  # until it is really there


def begin(engine: Engine, styles: list[Style], keep: np.ndarray | None) -> Run:
    photo = images.load(PHOTO, SIZE)
    paintings = [images.load(style.image, SIZE) for style in styles]
    layout = lay_out(styles, paintings, photo, keep, SETTINGS.feather)
    problem = engine.problem(photo.rgb, layout)
    run = Run(engine, problem, engine.start(photo.rgb, problem))
    run.go_on()  # warm, and the next step has a curvature pair
    return run


def steps(precision: str) -> list[list[Any]]:
    """Rows of the table of steps."""
    engine = Engine(SETTINGS, precision)
    runs = {kind: begin(engine, styles, keep) for kind, (styles, keep) in KINDS.items()}
    for _ in tqdm(range(ROUNDS), desc=precision):
        for run in runs.values():
            run.seconds.append(report.seconds(run.go_on))
    base = next(iter(runs.values())).seconds
    return [
        [
            precision,
            kind,
            statistics.median(run.seconds),
            f"{statistics.median(a / b for a, b in zip(run.seconds, base, strict=True)):.3f}",
        ]
        for kind, run in runs.items()
    ]


def colors() -> list[list[Any]]:
    """Rows of the table of colours."""
    photo, painting = (
        images.to_pil(images.to_uint8(images.load(path).rgb)).resize((COLOR_SIZE, COLOR_SIZE))
        for path in (PHOTO, WAVE)
    )
    rows = []
    for mode in COLOR_MODES.values():
        for change, of_what in ((mode.painting, "painting"), (mode.picture, "picture")):
            if change is not None:
                work = partial(change, np.asarray(painting), np.asarray(photo))
                times = [report.seconds(work) for _ in range(COLOR_ROUNDS)]
                rows.append([mode.label, of_what, f"{statistics.median(times) * 1000:.0f}"])
    return rows


def main() -> None:
    report.publish(
        "controls",
        f"Steps at {SIZE} px, {ROUNDS} rounds.",
        report.table(
            ("precision", "what is painted", "step, s", "ratio"),
            [row for precision in PRECISIONS for row in steps(precision)],
        ),
        f"Colours at {COLOR_SIZE} x {COLOR_SIZE} px, {COLOR_ROUNDS} rounds: once, before the run, "
        "on the painting, or on each picture that is shown.",
        report.table(("colours", "changes the", "ms"), colors()),
    )


if __name__ == "__main__":
    main()
