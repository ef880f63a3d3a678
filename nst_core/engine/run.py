"""One run of an easel: the work between two frames, how far it has come, and the frames."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nst_core.engine import device
from nst_core.engine.engine import Engine, Problem
from nst_core.engine.frame import Frame
from nst_core.engine.job import Job, layout_at, palettes_of
from nst_core.engine.plan import Plan, check_memory, expected_pace
from nst_core.engine.schedule import Progress
from nst_core.engine.step import State
from nst_core.losses import LOSS_NAMES
from nst_core.losses.term import Before
from nst_core.pictures import images
from nst_core.pictures.pyramid import add_detail, resize
from nst_core.pictures.regions import Layout
from nst_core.settings import Settings
from nst_core.stop import StoppedError, StopToken

# Steps of the finest scale that count with their expected time in the pace at coarser scales.
EXPECTED_STEPS = 3


@dataclass(frozen=True)
class Checkpoint:
    """Where a run stands after a step."""

    progress: Progress
    canvas: Any  # float32 [1, H, W, 3] at the scale of `progress`, as array or tensor
    optimizer_state: Any  # None when it was dropped
    coarser: Any  # what the scale before ended at, float32 array; None at the first scale


class Run:
    """One run: the engine, how far it has come, and the frames.

    Args:
        progress: where it begins.
        time_budget: seconds that the steps are made to fit; None leaves them as they are. What
            the first run of a process takes to compile its steps is not taken from them.
    """

    def __init__(
        self,
        job: Job,
        settings: Settings,
        plan: Plan,
        progress: Progress,
        time_budget: float | None,
    ) -> None:
        self._job, self._settings, self._plan = job, settings, plan
        self._time_budget = time_budget
        self._before = job.follows.before if job.follows else None
        self._pace = Pace(progress.work_done)
        with device.LOCK:
            # By whether they work at the size of the result: a style loss may be another before it.
            self._engines = {
                is_finest: Engine(
                    settings,
                    plan.precision,
                    plan.tile,
                    plan.lbfgs_memory,
                    is_finest=is_finest,
                    follows=self._before is not None,
                )
                for is_finest in (False, True)
            }
            self.layout: Layout = job.recolored(settings.color)
            # What the terms see of the photo, and the palettes that pictures are brought to.
            self.seen_photo, self._palettes = job.photo, None
            if self._engines[True].objective.takes_colors:
                self._palettes = palettes_of(self.layout)
                self.seen_photo = job.simplified(self._palettes, settings.strength)
        self._began = self._sent = time.monotonic()
        self._compiling = 0.0  # seconds since then, in which nothing could be painted
        self.progress = progress
        self.canvas: Any = None  # where the next scale starts, as array or tensor
        self.coarser: Any = None  # what the scale before this one ended at; None at the first
        self.optimizer_state: Any = None  # to continue with; None for a new one
        self.state: State  # of the last step at the present scale
        self.last: Frame | None = None

    @property
    def _engine(self) -> Engine:
        """That of the present scale: of the result's size or smaller, wherever the plan ends."""
        scale, plan = self.progress.scale, self._plan
        return self._engines[(scale.height, scale.width) == (plan.height, plan.width)]

    # --- Work ---

    def set_up(self, stop: StopToken) -> Problem | None:
        """Find the targets of the present scale, and give the canvas the photo's detail there.

        Returns None when it is told to stop, which it checks before each measure of a painting,
        each tile of the photo, and each block of a search for matches.
        """
        scale, photo = self.progress.scale, self._job.photo
        shown, small = (
            resize(picture.rgb, scale.height, scale.width) for picture in (photo, self.seen_photo)
        )
        layout = layout_at(self.layout, scale, photo.size[1])
        began = time.monotonic()
        self._engine.prepare_for(small, layout)
        self._compiling += time.monotonic() - began
        with device.LOCK:
            check_memory(self._plan, scale, photo, self.layout, self._engine.objective)
        try:
            for painting in layout.paintings:
                self._engine.measure_painting(painting, small, stop)
            stop.check()
            before = self._before and Before(
                *(resize(part, scale.height, scale.width) for part in self._before)
            )
            problem = self._engine.problem(small, layout, shown, self._query(small), stop, before)
        except StoppedError:
            return None
        self.canvas = add_detail(np.asarray(self.canvas), small, self._engine.objective.detail)
        return problem

    def _query(self, photo: np.ndarray) -> np.ndarray:
        """What the present scale searches matches for: the photo with some of the coarser picture.

        Not of the canvas, which moves on: a run that is gone on with has the same matches.
        """
        share = self._engine.objective.blends_canvas
        if not share or self.coarser is None:
            return photo
        return photo + np.float32(share) * (add_detail(self.coarser, photo) - photo)

    def start(self, problem: Problem) -> None:
        """Find the state before the first step of the present scale."""
        with device.LOCK:
            state = self._engine.start(self.canvas, problem)
            if self.optimizer_state is not None:
                state = state._replace(optimizer=self.optimizer_state)
            self.state = state
            self.canvas = self.optimizer_state = None  # free what may be large

    def step(self, problem: Problem) -> bool:
        """One step, unless it gives NaN or infinity: then the state stays, and False returns."""
        with device.LOCK:
            began = time.monotonic()
            following = self._engine.step(self.state, problem)
            is_finite = bool(following.finite)  # waits until the step is done
            seconds = time.monotonic() - began
        if is_finite:
            self.state = following
            self._count(seconds)
        return is_finite

    def _count(self, seconds: float) -> None:
        """Count a step, and make the steps to come fit the time budget."""
        self._pace.seconds += seconds
        progress = self.progress.after_a_step()
        if self._time_budget is not None:
            spent = time.monotonic() - self._began - self._compiling
            left = self._time_budget - spent
            progress = progress.fitted(left / self._pace_to_come(progress))
        self.progress = progress

    def _pace_to_come(self, progress: Progress) -> float:
        """Seconds per pixel and step, as measured; at first as if some had been as expected.

        Steps at small scales, and the first of all, take longer for their pixels than those that
        the time is for: by themselves they would leave no steps for the small scales.
        """
        if progress.is_finest:
            return self._pace.of(progress)
        expected = expected_pace(self._engines[True].objective, self._plan.precision)
        work = EXPECTED_STEPS * progress.scales[-1].pixels
        return self._pace.of(progress, expected * work, work)

    def to_the_next_scale(self) -> None:
        self.canvas = self.coarser = self.state.image.numpy()
        self.progress = self.progress.at_the_next_scale()

    # --- Frames ---

    @property
    def eta(self) -> float | None:
        """Seconds left, None before the first step was measured."""
        if not self._pace.seconds:
            return None
        return self.progress.work_left * self._pace_to_come(self.progress)

    @property
    def is_frame_due(self) -> bool:
        """Whether it is time for another frame."""
        return time.monotonic() - self._sent >= self._settings.frame_interval

    @property
    def sent_step(self) -> int:
        """The step of the last frame."""
        return self.last.step if self.last else 0

    def start_frame(self, picture: np.ndarray) -> Frame:
        """The picture before anything was optimised, float32 [1, H, W, 3] of the full size."""
        return self._frame(picture, {}, None)

    def preview_frame(self, picture: np.ndarray) -> Frame:
        """The same when it is the stylizer's preview."""
        frame = replace(self.start_frame(picture), stage="preview", scale=max(self._job.photo.size))
        self.last = frame
        return frame

    def frame_of_state(self, eta: float | None) -> Frame:
        """The picture of the present state, with its losses: 0 of terms without weight."""
        losses = dict.fromkeys(("total", *LOSS_NAMES), 0.0)
        losses |= {name: float(loss) for name, loss in self.state.losses.items()}
        return self._frame(self._full_size(self.state.image), losses, eta)

    def frame(self, losses: dict[str, float], eta: float | None) -> Frame:
        """The canvas of the present scale."""
        return self._frame(self._full_size(self.canvas), losses, eta)

    def _full_size(self, canvas: Any) -> np.ndarray:
        return add_detail(np.asarray(canvas), self.seen_photo.rgb, self._engine.objective.detail)

    def _frame(self, picture: np.ndarray, losses: dict[str, float], eta: float | None) -> Frame:
        painted, progress = images.to_uint8(picture), self.progress
        if self._palettes is not None:  # the loss sees directions of colours, but no contrast
            painted = self._job.in_palettes(painted, self._palettes, self._settings.strength)
        self._sent = time.monotonic()
        self.last = Frame(
            image=self._job.finished(painted, self._settings.color),
            painted=painted,
            step=progress.steps_done,
            total_steps=progress.total_steps,
            scale=max(progress.scale.height, progress.scale.width),
            stage="fine" if progress.is_finest else "coarse",
            losses=losses,
            elapsed=self._sent - self._began,
            eta=eta,
            done=progress.is_done,
            plan=replace(self._plan, scales=progress.scales),
            alpha=self._job.photo.alpha,
        )
        return self.last


@dataclass
class Pace:
    """How fast a run goes, measured on the way."""

    work_before: int  # where the measurement began
    seconds: float = 0.0  # in steps since then

    def of(self, progress: Progress, seconds: float = 0.0, work: float = 0.0) -> float:
        """Seconds per pixel and step; needs a step that was done.

        Args:
            seconds, work: that are taken for measured besides.
        """
        return (self.seconds + seconds) / (progress.work_done - self.work_before + work)
