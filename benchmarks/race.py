"""Ours against the recipes that people use today: loss of the saved picture against seconds.

    python -m benchmarks.race             run what is missing, then print the table and draw
    python -m benchmarks.race --report    only print and draw

Each contestant paints each pair in a process of its own, one after the other, with its own warm
start before the clock starts; one result is one file in `docs/benchmarks/race`, so a race that was
cut off goes on where it stopped, and deleting a file runs that part again. Each file holds what the
machine could do just before, to tell whether it still was the same. Nothing else should run on the
machine meanwhile.

Pictures are kept at about sixty moments of a run, as 8 bits like a saved file, and judged after
the clock has stopped (see `objective.py`).
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.objective import (
    CONTENT_LAYER,
    CONTENT_WEIGHT,
    PADDINGS,
    STYLE_LAYERS,
    Judge,
)
from benchmarks.peers import PEERS, Picture
from nst_core import Settings, stream
from nst_core.networks.network import PRECISIONS
from nst_core.pictures import images
from page import examples

SIZE = 256
PAIRS = (
    ("castle", "great-wave"),
    ("owl", "auvers"),
    ("horses", "composition-viii"),
    ("brandenburg-gate", "moulin-de-la-galette"),
)
# A default run of keras.io's recipe takes over 15 minutes here: it races on two pairs.
FEWER_PAIRS = {"keras.io": PAIRS[:2]}

# Ours with the judge's weights: by default the deeper style layers count less.
OBJECTIVE = Settings(
    style_loss="gram",
    content_layer=CONTENT_LAYER,
    content_weight=CONTENT_WEIGHT,
    style_layers=tuple(STYLE_LAYERS.items()),
)

# Ours runs longer than its default, to show where its curve leads. At this size there is one
# scale, so it begins as a default run does.
OURS = "ours"
OUR_STEPS = 400

CONTESTANTS = (OURS, *PEERS)
FOLDER = report.FIGURES / "race"  # in git, so that a race can go on another day
PICTURES = report.RESULTS / "race"
MOMENTS = 60  # at which a picture is kept


def pairs_of(contestant: str) -> tuple[tuple[str, str], ...]:
    return FEWER_PAIRS.get(contestant, PAIRS)


def result_file(contestant: str, pair: tuple[str, str]) -> Path:
    return FOLDER / f"{file_name(contestant, *pair)}.json"


def file_name(*words: str) -> str:
    """Words as the name of a file, without its ending."""
    return "-".join(words).replace(" ", "-").replace(",", "").replace(".", "-")


def pictures_file(contestant: str, pair: tuple[str, str]) -> Path:
    return PICTURES / result_file(contestant, pair).with_suffix(".npz").name


# --- Running ------------------------------------------------------------------------------------


def paint(contestant: str, pair: tuple[str, str]) -> None:
    """Paint one pair and keep its pictures with their moments: an archive beside the result."""
    photo, painting = load(pair, SIZE)
    total = OUR_STEPS if contestant == OURS else PEERS[contestant].steps
    for _ in islice(_paint(contestant, photo, painting), 3):
        pass  # imports, tracing, first allocations
    moments = _moments(total)
    kept: list[tuple[int, float, np.ndarray]] = []
    began = time.perf_counter()
    for step, picture in enumerate(islice(_paint(contestant, photo, painting), total), start=1):
        if step in moments:
            saved = picture()
            kept.append((step, time.perf_counter() - began, saved))
    steps, seconds, pictures = map(np.array, zip(*kept, strict=True))
    np.savez(pictures_file(contestant, pair), steps=steps, seconds=seconds, pictures=pictures)


def judge(contestant: str, pair: tuple[str, str], peaks: dict[str, float]) -> None:
    """Judge the pictures of a run, and keep the result."""
    file = pictures_file(contestant, pair)
    with np.load(file) as archive:
        steps, seconds, pictures = (archive[name] for name in ("steps", "seconds", "pictures"))
    losses = {}
    for padding in PADDINGS:
        loss = Judge(*load(pair, SIZE), padding).loss
        losses[padding] = [loss(saved) for saved in pictures]
    images.to_pil(pictures[-1]).save(file.with_suffix(".png"))
    report.keep(
        result_file(contestant, pair),
        {"steps": steps.tolist(), "seconds": seconds.tolist(), "losses": losses, "gflops": peaks},
    )
    file.unlink()


def load(pair: tuple[str, str], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Photo and painting as everybody gets them."""
    content, style = pair
    return (
        images.load(examples.path_of("content", content), size).rgb,
        images.load(examples.path_of("style", style), size).rgb,
    )


def _paint(contestant: str, photo: np.ndarray, painting: np.ndarray) -> Iterator[Picture]:
    if contestant != OURS:
        return PEERS[contestant].paint(photo, painting)
    return _ours(photo, painting)


def _ours(photo: np.ndarray, painting: np.ndarray) -> Iterator[Picture]:
    """Our run on the objective of the race, but longer; the start counts as its first picture."""
    settings = replace(OBJECTIVE, size=SIZE, steps=OUR_STEPS, frame_interval=0)
    for frame in stream(photo[0], painting[0], settings):
        yield partial(np.asarray, frame.image)


def _moments(steps: int) -> set[int]:
    return {round(step) for step in np.geomspace(1, steps, MOMENTS)}


def run_missing(contestants: Sequence[str]) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    for contestant in contestants:
        for pair in pairs_of(contestant):
            if not result_file(contestant, pair).exists():
                print(f"{contestant}: {' x '.join(pair)}", flush=True)
                peaks = gflops()
                in_a_process("benchmarks.race", "--one", contestant, *pair)
                judge(contestant, pair, peaks)


def gflops() -> dict[str, float]:
    """What the machine can do just now, in each precision."""
    return {name: report.peak_flops(name) / 1e9 for name in PRECISIONS}


def in_a_process(module: str, *arguments: str) -> None:
    """Run a module of the project in a process of its own, to the end."""
    subprocess.run([sys.executable, "-m", module, *arguments], cwd=report.ROOT, check=True)


# --- Reporting ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """One contestant on one pair."""

    seconds: list[float]
    losses: list[float]

    @classmethod
    def read(cls, contestant: str, pair: tuple[str, str], padding: str) -> Curve | None:
        file = result_file(contestant, pair)
        if not file.exists():
            return None
        content: dict[str, Any] = json.loads(file.read_text())
        return cls(content["seconds"], content["losses"][padding])

    def seconds_to(self, loss: float) -> float | None:
        """When the curve first reached a loss."""
        return next(
            (s for s, own in zip(self.seconds, self.losses, strict=True) if own <= loss), None
        )


HEAD = ("recipe", "pair", "border", "seconds", "its loss, M", "ours there in, s", "times sooner")


def publish() -> None:
    rows = [
        row
        for contestant in PEERS
        for pair in pairs_of(contestant)
        for padding in PADDINGS
        if (row := _row(contestant, pair, padding))
    ]
    sources = "\n".join(f"- {name}: {peer.source}" for name, peer in PEERS.items())
    legend = (
        f"At {SIZE} px. *Border* is how the judge pads each convolution: by repeating the border, "
        "which nobody optimised, or with zeros, which all recipes but ours did."
    )
    report.publish("race", legend, report.table(HEAD, rows), sources)


def _row(contestant: str, pair: tuple[str, str], padding: str) -> list[Any] | None:
    ours, theirs = (Curve.read(name, pair, padding) for name in (OURS, contestant))
    if ours is None or theirs is None:
        return None
    loss, seconds = theirs.losses[-1], theirs.seconds[-1]
    reached = ours.seconds_to(loss)
    head = [contestant, " x ".join(pair), padding, seconds, loss / 1e6]
    if reached is None:
        return [*head, f"not in {ours.seconds[-1]:.0f} s", "-"]
    return [*head, reached, seconds / reached]


LOOKS: dict[str, dict[str, Any]] = {
    OURS: {"color": "C3", "linewidth": 2.5},
    "pystiche": {"color": "C1"},
    "pystiche, same objective": {"color": "C1", "linestyle": "--"},
    "TensorFlow tutorial": {"color": "C2"},
    "keras.io": {"color": "C0"},
}


def draw() -> None:
    panels = {
        " x ".join(pair): {
            contestant: curve
            for contestant in LOOKS
            if (curve := Curve.read(contestant, pair, "repeat"))
        }
        for pair in PAIRS
    }
    draw_curves("race", panels, LOOKS)


def draw_curves(
    name: str, panels: dict[str, dict[str, Curve]], looks: dict[str, dict[str, Any]]
) -> None:
    """Keep a figure with a panel for each title, and in it a curve for each contestant."""
    import matplotlib.pyplot as plt

    rows = math.isqrt(len(panels))
    columns = -(-len(panels) // rows)
    size = (5.5 * columns, 4 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    for axis, (title, curves) in zip(axes.flat, panels.items(), strict=False):
        for contestant, curve in curves.items():
            losses = [loss / 1e6 for loss in curve.losses]
            axis.plot(curve.seconds, losses, label=contestant, **looks[contestant])
        axis.set(title=title, xscale="log", yscale="log")
        axis.set(xlabel="seconds", ylabel="loss of the saved picture, millions")
        axis.grid(True, which="both", alpha=0.2)
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    report.save_figure(figure, name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--report", action="store_true", help="only print the table and draw")
    parser.add_argument("--only", choices=CONTESTANTS, help="run what is missing of one alone")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        contestant, *pair = arguments.one
        paint(contestant, (pair[0], pair[1]))
        return
    if not arguments.report:
        run_missing([arguments.only] if arguments.only else CONTESTANTS)
    draw()
    publish()


if __name__ == "__main__":
    main()
