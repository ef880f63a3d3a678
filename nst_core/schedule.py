"""Coarse to fine: at which scales a run works, and for how many steps at each.

A coarse scale costs a fraction of a full one and settles masses and large strokes, which at full
size would take many steps; the finer scales add what only they can show.
"""

from __future__ import annotations

from dataclasses import dataclass

# Long side in pixels that no coarse scale is smaller than. From a preview start, a scale of
# 192 px under one of 384 lowered no loss at the same cost; 256 under 512 did, on both pairs tried.
COARSEST_SIDE = 256

# What finding the targets and the first loss of a scale takes, in steps there.
SETUP_STEPS = 2

# Short side in pixels that a scale needs at least: one position of block5.
SHORTEST_SIDE = 16


@dataclass(frozen=True)
class Scale:
    """One stretch of a run, at one size."""

    height: int  # pixels
    width: int
    steps: int

    @property
    def pixels(self) -> int:
        return self.height * self.width


def schedule(height: int, width: int, steps: int) -> tuple[Scale, ...]:
    """The scales of a run that ends at `height` x `width`, coarsest first.

    Each is twice the one before, and the steps are shared equally, what is left over going to
    the finest ones. There are never more scales than steps.
    """
    count = 1
    while count < steps and _is_large_enough(height >> count, width >> count):
        count += 1
    return tuple(
        Scale(
            height=round(height / 2**level),
            width=round(width / 2**level),
            steps=steps // count + (level < steps % count),
        )
        for level in reversed(range(count))
    )


def _is_large_enough(height: int, width: int) -> bool:
    return max(height, width) >= COARSEST_SIDE and min(height, width) >= SHORTEST_SIDE


def work_left(scales: tuple[Scale, ...], index: int, step: int) -> float:
    """The work left after `step` steps of scale `index`, as a multiple of all steps done so far.

    Work is pixels times steps, which time is proportional to.
    """
    left = scales[index].pixels * (scales[index].steps - step)
    left += sum(scale.pixels * (scale.steps + SETUP_STEPS) for scale in scales[index + 1 :])
    done = scales[index].pixels * step
    done += sum(scale.pixels * scale.steps for scale in scales[:index])
    return left / done
