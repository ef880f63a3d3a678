"""Our default against the published schedule of its own method: loss against seconds.

    python -m benchmarks.nearest_race               run what is missing, print the table and draw
    python -m benchmarks.nearest_race --report      only print and draw
    python -m benchmarks.nearest_race --size 256    at another size in px than 384

Nearest features are the method of Kolkin et al. (2022, arXiv 2203.13215). Their code spends 200
steps of Adam, at a rate of 2e-3, on the coefficients of a Laplacian pyramid at each of four scales,
and 200 more at the end. Here our engine runs that schedule. What is asked of ours is the loss that
the published schedule ends at, ten times sooner.

The same for all: pictures, network, precision, the terms of the loss and their weights at every
scale, the four scales and their sizes, how matches are found, the painting's palette at the end.

As published: the optimizer and its rate, the number of steps, the photo as the start, and that
hypercolumns are matched at the full size, too, before the last 200 steps. Our engine joins columns
before the full size only, so that stretch has a scale of its own, one pixel smaller. "shorter" is
the same schedule without that stretch, 800 steps instead of 1000.

Not as published, because the objective and what lies between two scales are our engine's for all:
the photo's deep features, edges and palette, Gram matrices and total variation, which theirs does
not have; positions that stay the same at every step of the last stretch, where theirs are drawn
anew; pixels kept in [0, 1] after each step; some of the photo's detail given back where a scale
begins; no rotated copies of the painting, which the author prefers it without.

Ours begins as a default run does, and then goes on at the full size, to show where its curve leads.

The judge is one function for all pictures: the default objective at the full size, computed by the
engine's own terms in float32, on the picture as it would be saved, after the clock has stopped. The
runs' own losses, in their own precision and before the picture gets its palette, are kept beside
it; the last column of the table compares those.

One result is one file in `docs/benchmarks/nearest-race`, as in `race`: a race that was cut off goes
on where it stopped. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import pyramid_adam, race, report
from benchmarks.race import Curve
from nst_core import Easel, Engine, Settings, stream
from nst_core.engine.frame import Frame
from nst_core.engine.job import load_job, palettes_of
from nst_core.engine.objective import Objective
from nst_core.engine.plan import Plan
from nst_core.engine.schedule import Scale
from nst_core.optimizers import OPTIMIZERS
from nst_core.pictures import images
from nst_core.pictures.regions import as_styles

SIZE = 384
PAIRS = (("castle", "great-wave"), ("owl", "auvers"), ("astronaut", "woman-with-fan"))
TIMES_SOONER = 10  # what is asked for

DEFAULT = Settings()
OUR_STEPS = 200  # at the full size, where a default run has a quarter of its steps

PUBLISHED_STEPS = 200  # of each stretch
PUBLISHED = Settings(
    optimizer=pyramid_adam.NAME,
    learning_rate=pyramid_adam.PyramidAdam.learning_rate,
    init="content",
    frame_interval=1.0,  # a picture takes time: fewer than in our run, for a longer one
)

NAME = "nearest-race"
FOLDER = report.FIGURES / NAME  # in git, so that a race can go on another day
PICTURES = report.RESULTS / NAME
GROWTH = 1.05  # a picture is kept where so many times the seconds of the last one have passed


# --- Schedules ----------------------------------------------------------------------------------


def longer(plan: Plan) -> Plan:
    """A default run that goes on at the full size."""
    *coarser, finest = plan.scales
    return replace(plan, scales=(*coarser, replace(finest, steps=OUR_STEPS)))


def shorter(plan: Plan) -> Plan:
    """The published steps at each scale of a plan."""
    return with_steps(plan, PUBLISHED_STEPS)


def published(plan: Plan) -> Plan:
    """The same, with columns joined at the full size before the end: a pixel below it."""
    *coarser, finest = shorter(plan).scales
    joined = Scale(finest.height - 1, finest.width - 1, finest.steps)
    return replace(plan, scales=(*coarser, joined, finest))


def with_steps(plan: Plan, steps: int) -> Plan:
    """The same scales with so many steps at each."""
    return replace(plan, scales=tuple(replace(scale, steps=steps) for scale in plan.scales))


@dataclass(frozen=True)
class Recipe:
    """One contestant."""

    settings: Settings
    schedule: Callable[[Plan], Plan]  # from the plan that a default run has
    look: dict[str, Any]  # in the figure


OURS = "ours"
RECIPES = {
    OURS: Recipe(DEFAULT, longer, race.LOOKS[race.OURS]),
    "published": Recipe(PUBLISHED, published, {"color": "C0"}),
    "shorter": Recipe(PUBLISHED, shorter, {"color": "C0", "linestyle": "--"}),
}


# --- Running ------------------------------------------------------------------------------------


class Contest(NamedTuple):
    """Which recipe paints what, and how large."""

    recipe: str  # among `RECIPES`
    pair: tuple[str, str]
    size: int  # pixels

    @property
    def result_file(self) -> Path:
        return FOLDER / f"{race.file_name(self.recipe, *self.pair, str(self.size))}.json"

    @property
    def pictures_file(self) -> Path:
        return PICTURES / self.result_file.with_suffix(".npz").name


def paint(contest: Contest) -> None:
    """Paint one pair, and keep pictures with their moments: an archive beside the result."""
    OPTIMIZERS.setdefault(pyramid_adam.NAME, pyramid_adam.PyramidAdam())
    photo, painting = (picture[0] for picture in race.load(contest.pair, contest.size))
    recipe = RECIPES[contest.recipe]
    settings = replace(recipe.settings, size=contest.size)
    plan = recipe.schedule(Easel(photo, painting, settings).plan)
    # Imports, tracing, first allocations: with other pictures, since what is found of them is kept.
    mirrored = photo[:, ::-1], painting[:, ::-1]
    deque(stream(*mirrored, settings, plan=with_steps(plan, 1)), maxlen=0)
    run = partial(stream, photo, painting, settings, plan=plan)
    seconds, frames = zip(*timed(run), strict=True)
    np.savez(
        contest.pictures_file,
        seconds=seconds,
        steps=[frame.step for frame in frames],
        own=[own_loss(frame) for frame in frames],
        precision=plan.precision,
        pictures=[frame.image for frame in frames],
    )


def timed(run: Callable[[], Iterable[Frame]]) -> Iterator[tuple[float, Frame]]:
    """Some frames of a run with the seconds since its call, the last one among them."""
    began, kept = time.perf_counter(), 0.0
    for frame in run():
        seconds = time.perf_counter() - began
        if frame.done or seconds >= GROWTH * kept:
            kept = seconds
            yield seconds, frame


def own_loss(frame: Frame) -> float:
    """What the run minimises at the full size; NaN before it."""
    return frame.losses.get("total", np.nan) if frame.stage == "fine" else np.nan


class Judge:
    """The default objective for one photo and one painting, float32 RGB [1, H, W, 3]."""

    def __init__(self, photo: np.ndarray, painting: np.ndarray) -> None:
        settings = replace(DEFAULT, size=max(photo.shape[1:3]))
        objective = Objective.of(settings)
        job, _ = load_job(photo[0], as_styles(painting[0]), settings, None, objective)
        seen = job.simplified(palettes_of(job.layout), settings.strength)
        self._engine = Engine(settings, "float32")
        self._problem = self._engine.problem(seen.rgb, job.layout)

    def losses(self, saved: np.ndarray) -> dict[str, float]:
        """Total and terms, weighted, of a saved picture, uint8 [H, W, 3]."""
        picture = saved[np.newaxis].astype(np.float32) / 255
        found = self._engine.start(picture, self._problem).losses
        return {name: float(loss) for name, loss in found.items()}


def judge(contest: Contest, peaks: dict[str, float]) -> None:
    """Judge the pictures of a run, and keep the result."""
    file = contest.pictures_file
    with np.load(file) as archive:
        seconds, steps, own, pictures = (
            archive[name] for name in ("seconds", "steps", "own", "pictures")
        )
        precision = str(archive["precision"])
    judged = Judge(*race.load(contest.pair, contest.size))
    found = [judged.losses(saved) for saved in pictures]
    images.to_pil(pictures[-1]).save(file.with_suffix(".png"))
    report.keep(
        contest.result_file,
        {
            "seconds": seconds.tolist(),
            "steps": steps.tolist(),
            "losses": {name: [one[name] for one in found] for name in found[0]},
            "own": [None if np.isnan(loss) else loss for loss in own.tolist()],
            "precision": precision,
            "gflops": peaks,
        },
    )
    file.unlink()


def run_missing(recipes: Sequence[str], size: int) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    for pair in PAIRS:
        for recipe in recipes:
            contest = Contest(recipe, pair, size)
            if not contest.result_file.exists():
                print(f"{recipe}: {' x '.join(pair)}", flush=True)
                peaks = race.gflops()
                arguments = ("--size", str(size), "--one", recipe, *pair)
                race.in_a_process("benchmarks.nearest_race", *arguments)
                judge(contest, peaks)


# --- Reporting ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What is known of one contest."""

    judged: Curve
    own: Curve  # by the run's own loss, at the full size
    steps: list[int]  # done at the moments of `judged`

    @classmethod
    def read(cls, contest: Contest) -> Result | None:
        if not contest.result_file.exists():
            return None
        content: dict[str, Any] = json.loads(contest.result_file.read_text())
        moments = zip(content["seconds"], content["own"], strict=True)
        known = [(seconds, loss) for seconds, loss in moments if loss is not None]
        own = Curve(*map(list, zip(*known, strict=True)))
        return cls(Curve(content["seconds"], content["losses"]["total"]), own, content["steps"])


HEAD = (
    "schedule",
    "pair",
    "seconds",
    "its loss, M",
    "ours there in, s",
    "times sooner",
    "by their own losses",
)


def publish(size: int) -> None:
    rows = [row for pair in PAIRS for row in rows_of(pair, size)]
    legend = (
        f"At {size} px. *published*: {PUBLISHED_STEPS} steps of Adam on the pyramid at each scale "
        f"and {PUBLISHED_STEPS} at the end; *shorter*: without those that join columns at the full "
        f"size; *default*: where a default run of ours ends. Asked for: {TIMES_SOONER} times "
        "sooner. The last column compares the runs' own losses, before the picture has its palette."
    )
    report.publish(NAME, legend, report.table(HEAD, rows))


def rows_of(pair: tuple[str, str], size: int) -> list[list[Any]]:
    """The rows of one pair, for those who have run."""
    results = {name: Result.read(Contest(name, pair, size)) for name in RECIPES}
    ours = results.pop(OURS)
    if ours is None:
        return []
    rows = [[name, " x ".join(pair), *compared(ours, one)] for name, one in results.items() if one]
    return [*rows, ["default", " x ".join(pair), *default_end(ours), "-", "-", "-"]]


def compared(ours: Result, theirs: Result) -> list[Any]:
    """How long theirs took and what it ended at, when ours was there, and how often sooner."""
    reached = ours.judged.seconds_to(theirs.judged.losses[-1])
    return [
        theirs.judged.seconds[-1],
        theirs.judged.losses[-1] / 1e6,
        f"not in {ours.judged.seconds[-1]:.0f} s" if reached is None else reached,
        times_sooner(ours.judged, theirs.judged),
        times_sooner(ours.own, theirs.own),
    ]


def times_sooner(ours: Curve, theirs: Curve) -> float | str:
    """The seconds that theirs took over those after which ours was where it ended."""
    reached = ours.seconds_to(theirs.losses[-1])
    return "-" if reached is None else theirs.seconds[-1] / reached


def default_end(ours: Result) -> list[float]:
    """Seconds and loss, in millions, at the end of a default run."""
    end = next(i for i, step in enumerate(ours.steps) if step >= DEFAULT.steps)
    return [ours.judged.seconds[end], ours.judged.losses[end] / 1e6]


def draw(size: int) -> None:
    panels = {
        " x ".join(pair): {
            name: found.judged
            for name in RECIPES
            if (found := Result.read(Contest(name, pair, size)))
        }
        for pair in PAIRS
    }
    race.draw_curves(NAME, panels, {name: recipe.look for name, recipe in RECIPES.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=SIZE, help="long side in px")
    parser.add_argument("--report", action="store_true", help="only print the table and draw")
    parser.add_argument("--only", choices=RECIPES, help="run what is missing of one alone")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        recipe, *pair = arguments.one
        paint(Contest(recipe, (pair[0], pair[1]), arguments.size))
        return
    if not arguments.report:
        run_missing([arguments.only] if arguments.only else list(RECIPES), arguments.size)
    draw(arguments.size)
    publish(arguments.size)


if __name__ == "__main__":
    main()
