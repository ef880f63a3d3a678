"""Coarse to fine: at which scales a run works, for how many steps, and how far it has come.

A coarse scale costs a fraction of a full one and settles masses and large strokes, which at full
size would take many steps; the finer scales add what only they can show.

Work is counted in pixels times steps, which time is proportional to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

# Short side in pixels that a scale needs at least: one position of block5.
SHORTEST_SIDE = 16

# What finding the targets and the first loss of a scale takes, in steps there.
SETUP_STEPS = 2

# Fewer steps than this at a scale change little but the grain. A time budget that does not suffice
# for them leaves out the finest scale.
FEWEST_STEPS = 8


@dataclass(frozen=True)
class Scale:
    """One stretch of a run, at one size."""

    height: int  # pixels
    width: int
    steps: int

    @property
    def pixels(self) -> int:
        return self.height * self.width


@dataclass(frozen=True)
class Coarse:
    """How small and how many scales may be."""

    side: int  # pixels that the long side of a coarse scale has at least
    most: int  # scales, the finest among them


def schedule(height: int, width: int, steps: int, coarse: Coarse) -> tuple[Scale, ...]:
    """The scales of a run that ends at `height` x `width`, coarsest first.

    Each is twice the one before, and the steps are shared equally, what is left over going to
    the finest ones. There are never more scales than steps.
    """
    sizes = _sizes(height, width, coarse)[:steps]
    return tuple(
        Scale(*size, steps=steps // len(sizes) + (level < steps % len(sizes)))
        for level, size in reversed(list(enumerate(sizes)))
    )


def schedule_for(height: int, width: int, work: float, coarse: Coarse) -> tuple[Scale, ...]:
    """The scales of a run that has so much work to spend, `FEWEST_STEPS` or more at each.

    Where that does not suffice for `height` x `width`, the run ends at a coarser scale.
    """
    sizes = _sizes(height, width, coarse)
    while len(sizes) > 1 and _equal_steps(sizes, work) < FEWEST_STEPS:
        sizes = sizes[1:]
    steps = max(1, round(_equal_steps(sizes, work)))
    return tuple(Scale(*size, steps) for size in reversed(sizes))


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    scales: tuple[Scale, ...]
    index: int = 0  # of the scale being worked on
    step: int = 0  # steps done there

    @property
    def scale(self) -> Scale:
        return self.scales[self.index]

    @property
    def is_finest(self) -> bool:
        return self.index == len(self.scales) - 1

    @property
    def is_done(self) -> bool:
        return self.is_finest and self.step == self.scale.steps

    @property
    def steps_done(self) -> int:
        return sum(scale.steps for scale in self.scales[: self.index]) + self.step

    @property
    def total_steps(self) -> int:
        return sum(scale.steps for scale in self.scales)

    @property
    def work_done(self) -> int:
        """Steps only: what the measured seconds per step stand for."""
        before = self.scales[: self.index]
        return sum(scale.pixels * scale.steps for scale in before) + self.scale.pixels * self.step

    @property
    def work_left(self) -> int:
        """Steps here, and set-up and steps of the scales to come."""
        coming = self.scales[self.index + 1 :]
        left = self.scale.pixels * (self.scale.steps - self.step)
        return left + sum(scale.pixels * (scale.steps + SETUP_STEPS) for scale in coming)

    def after_a_step(self) -> Progress:
        return replace(self, step=self.step + 1)

    def at_the_next_scale(self) -> Progress:
        return replace(self, index=self.index + 1, step=0)

    def extended(self, steps: int) -> Progress:
        """The same place, with so many more steps at the finest scale."""
        *coarser, finest = self.scales
        return replace(self, scales=(*coarser, replace(finest, steps=finest.steps + steps)))

    def fitted(self, work: float) -> Progress:
        """The same place in a run that has so much work left to spend.

        The steps from here on change: those still to come at this scale, and equally those of
        the later ones. What is done stays done.
        """
        coming = self.scales[self.index + 1 :]
        spare = work - SETUP_STEPS * sum(scale.pixels for scale in coming)
        spare += self.scale.pixels * self.step
        equal = spare / (self.scale.pixels + sum(scale.pixels for scale in coming))
        here = replace(self.scale, steps=max(self.step, round(equal)))
        later = (replace(scale, steps=max(1, round(equal))) for scale in coming)
        return replace(self, scales=(*self.scales[: self.index], here, *later))


def _sizes(height: int, width: int, coarse: Coarse) -> list[tuple[int, int]]:
    """The sizes of a run's scales, finest first."""
    sizes = [(height, width)]
    while len(sizes) < coarse.most and _is_large_enough(
        height >> len(sizes), width >> len(sizes), coarse.side
    ):
        sizes.append((round(height / 2 ** len(sizes)), round(width / 2 ** len(sizes))))
    return sizes


def _is_large_enough(height: int, width: int, side: int) -> bool:
    return max(height, width) >= side and min(height, width) >= SHORTEST_SIDE


def _equal_steps(sizes: list[tuple[int, int]], work: float) -> float:
    """Steps at each of the scales that spend `work` together with setting them up."""
    return work / sum(height * width for height, width in sizes) - SETUP_STEPS
