"""What a visitor is promised: a first look at once, the time asked for, and how far that goes.

    python -m benchmarks.promises

- the first frame, warm, at 512 px: seconds from the call, the median of a few;
- runs with a time budget: how long they took, and how far the estimates on the way were off;
- 16 seconds at 384 px on the four pairs of the race, on its objective: the loss of the picture.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace

from benchmarks import race, report
from benchmarks.objective import PADDINGS, Judge
from nst_core import Settings, stream
from nst_core.engine.warm_up import warm_up
from page import examples

FIRST_LOOKS = 5
BUDGETS = ((256, 5), (384, 16), (512, 10), (512, 30), (1024, 10), (1024, 30), (1024, 60))
SPRINT_SIZE = 384  # pixels
SPRINT = replace(race.OBJECTIVE, size=SPRINT_SIZE, time_budget=15.7)  # budgets are kept to 2 %


def first_look(size: int = 512) -> str:
    """How long the first frame takes, in a sentence."""
    moments = []
    for content, style in (race.PAIRS * 2)[:FIRST_LOOKS]:
        began = time.perf_counter()
        photo, painting = map(examples.path_of, examples.KINDS, (content, style))
        frames = stream(photo, painting, Settings(size=size))
        next(frames)
        moments.append(time.perf_counter() - began)
        frames.close()
    return (
        f"First frame at {size} px, files read and decoded: {statistics.median(moments):.2f} s "
        f"(median of {FIRST_LOOKS}; {min(moments):.2f} to {max(moments):.2f})."
    )


def keep_budget(size: int, budget: float) -> list[object]:
    """A run with a budget: what it took, and the estimates at a quarter and half of it."""
    photo, painting = map(examples.path_of, examples.KINDS, race.PAIRS[0])
    settings = Settings(size=size, time_budget=budget, frame_interval=0)
    frames = list(stream(photo, painting, settings))
    last = frames[-1]
    errors = []
    for share in (0.25, 0.5):
        then = next(f for f in frames if f.eta is not None and f.elapsed >= share * budget)
        errors.append(f"{(then.elapsed + (then.eta or 0)) / last.elapsed - 1:+.0%}")
    scale = f"{last.scale} px"
    return [size, budget, last.elapsed, f"{last.elapsed / budget - 1:+.1%}", scale, *errors]


def sprint(pair: tuple[str, str]) -> list[object]:
    """The best that 16 s give at 384 px."""
    photo, painting = race.load(pair, SPRINT_SIZE)
    began = time.perf_counter()
    *_, last = stream(photo[0], painting[0], SPRINT)
    seconds = time.perf_counter() - began
    losses = (Judge(photo, painting, padding).loss(last.image) / 1e6 for padding in PADDINGS)
    return [" x ".join(pair), seconds, last.step, *(f"{loss:.1f}" for loss in losses)]


def main() -> None:
    warm_up()
    for pair in race.PAIRS[:1]:
        sprint(pair)  # the objective's own step compiled, and every size's memory touched
    budgets = [keep_budget(size, budget) for size, budget in BUDGETS]
    report.publish(
        "promises",
        first_look(),
        report.table(
            ("px", "budget, s", "took, s", "off", "finest", "estimate at 1/4", "at 1/2"), budgets
        ),
        f"A run at {SPRINT_SIZE} px with a time budget of "
        f"{SPRINT.time_budget:g} s, judged as in [the race](race.md):",
        report.table(
            ("pair", "seconds", "steps", *(f"loss, M, {padding}" for padding in PADDINGS)),
            [sprint(pair) for pair in race.PAIRS],
        ),
    )


if __name__ == "__main__":
    main()
