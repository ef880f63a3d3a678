"""A run from two pictures to the painted one: starts, scales, steps, and the frames on the way.

`stream` is a generator of `Frame`s, `stylize` its last one. Nothing runs between two frames that
are asked for, so closing the generator ends the work at once; a stop token ends it within a step,
also while the next frame is still being painted.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nst_core.engine import device
from nst_core.engine.choices import check_choices
from nst_core.engine.engine import Engine, Problem, compiled_step
from nst_core.engine.frame import Frame
from nst_core.engine.job import Job, layout_at, load_job
from nst_core.engine.objective import Objective
from nst_core.engine.plan import Plan, check_memory, make_scales, resettled
from nst_core.engine.schedule import Progress
from nst_core.engine.step import State
from nst_core.errors import DivergenceError, OutOfMemoryError, SettingsError
from nst_core.lazy import tf
from nst_core.losses import LOSS_NAMES
from nst_core.networks.extractor import load_model
from nst_core.networks.stylizer import load_stylizer, preview
from nst_core.pictures import images
from nst_core.pictures.images import ImageSource, Picture
from nst_core.pictures.pyramid import add_detail, resize
from nst_core.pictures.regions import Layout, StyleSource, as_styles
from nst_core.settings import OnResume, Settings
from nst_core.starts import INITS
from nst_core.starts.plain import own_start
from nst_core.starts.start import Request, Start
from nst_core.stop import StopToken

Frames = Generator[Frame, None, None]


def stylize(
    content: ImageSource,
    style: StyleSource,
    settings: Settings | None = None,
    keep: ImageSource | None = None,
    *,
    canvas: ImageSource | None = None,
    plan: Plan | None = None,
) -> Frame:
    """Paint `content` in the style of `style` and return the last frame.

    Takes and raises what `stream` does.
    """
    *_, last = stream(content, style, settings, keep, canvas=canvas, plan=plan)
    return last


def stream(
    content: ImageSource,
    style: StyleSource,
    settings: Settings | None = None,
    keep: ImageSource | None = None,
    *,
    canvas: ImageSource | None = None,
    plan: Plan | None = None,
    stop: StopToken | None = None,
) -> Frames:
    """Paint `content` in the style of `style`, frame by frame.

    Everything is checked here, at the call; the work begins with the first `next()`. The first
    and the last frame are always sent, those between at most one in `settings.frame_interval`.

    Args:
        content: the photo, as `images.load` takes it.
        style: the painting, or a list of up to four: (painting, weight) pairs, which are mixed, or
            `Style`s, which may have a mask each; see `regions.lay_out`.
        settings: all other choices; the defaults when left out.
        keep: a mask that is white where the picture stays as in the photo.
        canvas: a picture to start from, instead of what `settings.init` makes.
        plan: of an earlier run of the same photo, to be followed to the step; settled here
            when left out.
        stop: ends the work before the next step when it is told to. If anything was painted since
            the last frame, one more frame is sent.

    Raises:
        ImageError: a picture or a mask that cannot be used.
        SettingsError: a choice that does not exist, weights of paintings that make no sense, or a
            size that does not fit into memory. Only a size that was left open is made smaller
            instead, and the frames' `notice` says so.
        WeightsError: the network's weights are missing or broken.
        PreviewError: the stylizer of the preview cannot be used.
        DivergenceError: while running, a step gave NaN or infinity. The last good frame was
            sent before and is in the error, too.
        OutOfMemoryError: while running, there was not enough memory to go on.
    """
    return Easel(content, style, settings, keep, canvas=canvas, plan=plan).paint(stop)


class Easel:
    """A picture being painted, that can be stopped, kept, and gone on with.

    It takes, and raises at once, what `stream` does. One run at a time goes on an easel: `paint`
    begins anew, `resume` goes on. Between them it holds the optimizer's memory, with L-BFGS some
    260 bytes per pixel, until it is dropped or told to `forget`.
    """

    def __init__(
        self,
        content: ImageSource,
        style: StyleSource,
        settings: Settings | None = None,
        keep: ImageSource | None = None,
        *,
        canvas: ImageSource | None = None,
        plan: Plan | None = None,
    ) -> None:
        self.settings = settings or Settings()
        _check(self.settings)
        styles = as_styles(style)
        self._load: Callable[..., tuple[Job, Plan]] = functools.partial(
            load_job, content, styles, keep=keep
        )
        self._job, self.plan = self._load(
            settings=self.settings, objective=Objective.of(self.settings), plan=plan
        )
        self._canvas = None if canvas is None else _load_canvas(canvas, self._job.photo)
        if self.settings.init == "preview" and canvas is None:
            load_stylizer(self.settings.stylizer)
        self._checkpoint: _Checkpoint | None = None
        # A plan that was given is followed to the step, however long that takes.
        self._time_budget = None if plan else self.settings.time_budget

    @property
    def photo(self) -> Picture:
        """The photo at the size that it is painted at."""
        return self._job.photo

    def recolored(self, frame: Frame, mode: str) -> Frame:
        """A frame of this easel in the colours of another of `COLOR_MODES`, at once.

        Modes that change the painting and not the picture show in what is painted from then on.
        Raises `SettingsError` for an unknown mode.
        """
        return replace(frame, image=self._job.finished(frame.painted, mode))

    @property
    def can_resume(self) -> bool:
        """Whether a step was done, so that there is something to go on with."""
        return self._checkpoint is not None

    def paint(self, stop: StopToken | None = None) -> Frames:
        """Paint from the start; the frames of `stream`."""
        self._checkpoint = None
        return self._paint(stop or StopToken())

    def resume(self, settings: Settings | None = None, stop: StopToken | None = None) -> Frames:
        """Go on from the last step that was done, with the optimizer's memory.

        A run that was stopped has the rest of its steps before it, one that was done as many again
        as it had at its finest scale; with a time budget, it is that time.

        Args:
            settings: what may have changed since. `Spec.on_resume` of each field tells what a
                change means: a new objective drops the optimizer's memory.
            stop: as for `stream`.

        Raises:
            SettingsError: nothing was painted yet, a choice does not exist, or something has
                changed that cannot.
            ImageError, WeightsError: as for `stream`, where pictures or weights are read again.
        """
        settings = settings or self.settings
        _check(settings)
        if self._checkpoint is None:
            raise SettingsError("There is nothing to go on with: no step has been done yet.")
        fixed = self.settings.changed(settings, OnResume.FIXED)
        if fixed:
            name = fixed[0]
            raise SettingsError(
                f"{name} is {getattr(settings, name)}, but the picture was begun with "
                f"{getattr(self.settings, name)}; set it back to go on, or paint anew."
            )
        objective = Objective.of(settings)
        job, checkpoint = self._job, self._checkpoint
        if {"style_scale", "feather"} & set(self.settings.changed(settings, OnResume.OBJECTIVE)):
            job, _ = self._load(settings=settings, objective=objective, plan=self.plan)
        plan = resettled(self.plan, self.settings, settings, job.photo)
        if self.settings.changed(settings, OnResume.OBJECTIVE):
            checkpoint = replace(checkpoint, memory=None)
        self.settings, self._job, self.plan = settings, job, plan
        self._time_budget = settings.time_budget
        return self._resume(checkpoint, stop or StopToken())

    def forget(self) -> None:
        """Give the optimizer's memory back; `resume` then goes on from the picture alone."""
        if self._checkpoint:
            self._checkpoint = replace(self._checkpoint, memory=None)

    # --- The run ---

    def _paint(self, stop: StopToken) -> Frames:
        with _memory_errors_in_words():
            run = _Run(self, Progress(self.plan.scales))
            with device.LOCK:
                if stop:
                    return
                start = self._start(run)
            yield run.first_frame(start.picture)
            run.canvas = start.canvas
            del start  # worth its memory if it is large
            yield from self._optimise(run, stop)

    def _start(self, run: _Run) -> Start:
        scale, settings = run.progress.scale, self.settings
        request = Request(self.photo, run.layout, settings, scale.height, scale.width)
        if self._canvas is not None:
            return own_start(request, self._canvas)
        return INITS[settings.init](request)

    def _resume(self, checkpoint: _Checkpoint, stop: StopToken) -> Frames:
        with _memory_errors_in_words():
            progress = checkpoint.progress
            if progress.is_done:
                height, width = self.photo.rgb.shape[1:3]
                scales = make_scales(
                    height, width, self.settings, Objective.of(self.settings), self.plan.precision
                )
                progress = progress.extended(scales[-1].steps)
            run = _Run(self, progress)
            run.canvas, run.memory = checkpoint.canvas, checkpoint.memory
            yield run.frame({}, None)
            yield from self._optimise(run, stop)

    def _optimise(self, run: _Run, stop: StopToken) -> Frames:
        """Scale after scale. Every `next()` goes as far as the next frame to be shown."""
        while not stop:
            problem = run.set_up()
            # Setting up a finer scale takes as long as some steps: let nobody wait for its first.
            is_finer = run.progress.index > 0 and run.progress.step == 0
            if is_finer and run.is_frame_due:
                yield run.frame({}, run.eta)
            if stop:
                return
            run.start(problem)
            if is_finer and run.is_frame_due:
                yield run.frame_of_state(run.eta)
            yield from self._optimise_scale(run, problem, stop)
            if stop or run.progress.is_finest:
                return
            run.to_the_next_scale()

    def _optimise_scale(self, run: _Run, problem: Problem, stop: StopToken) -> Frames:
        """The steps of one scale, and the frames that are due on the way."""
        while run.progress.step < run.progress.scale.steps and not stop:
            if not run.step(problem):
                if run.sent_step < run.progress.steps_done:
                    yield run.frame_of_state(None)
                raise _divergence(self.settings, run)
            self._checkpoint = _Checkpoint(run.progress, run.state.image, run.state.optimizer)
            if run.progress.is_done or run.is_frame_due:
                yield run.frame_of_state(run.eta)
        if stop and run.sent_step < run.progress.steps_done:
            yield run.frame_of_state(run.eta)


@dataclass(frozen=True)
class _Checkpoint:
    """Where a run stands after a step."""

    progress: Progress
    canvas: Any  # float32 [1, H, W, 3] at the scale of `progress`, as array or tensor
    memory: Any  # the optimizer's state, None for none


class _Run:
    """One run: the engine, how far it has come, and the frames."""

    def __init__(self, easel: Easel, progress: Progress) -> None:
        self._settings, self._job, self._plan = easel.settings, easel._job, easel.plan
        self._time_budget = easel._time_budget
        self._began = time.monotonic()
        self._sent = self._began
        self._pace = _Pace(progress.work_done)
        plan = easel.plan
        with device.LOCK:
            self._engine = Engine(self._settings, plan.precision, plan.tile, plan.lbfgs_memory)
            self.layout: Layout = self._job.recolored(self._settings.color)
        self.progress = progress
        self.canvas: Any = None  # where the next scale starts, as array or tensor
        self.memory: Any = None  # the optimizer's state to go on with, None for none
        self.state: State  # of the last step at the present scale
        self.last: Frame | None = None

    # --- Work ---

    def set_up(self) -> Problem:
        """Find the targets of the present scale, and give the canvas the photo's detail there."""
        with device.LOCK:
            scale, photo = self.progress.scale, self._job.photo
            check_memory(self._plan, scale, photo, self.layout, self._engine.objective)
            small = resize(photo.rgb, scale.height, scale.width)
            problem = self._engine.problem(small, layout_at(self.layout, scale, photo.size[1]))
            self.canvas = add_detail(np.asarray(self.canvas), small)
        return problem

    def start(self, problem: Problem) -> None:
        """Find the state before the first step of the present scale."""
        with device.LOCK:
            state = self._engine.start(self.canvas, problem)
            if self.memory is not None:
                state = state._replace(optimizer=self.memory)
            self.state = state
            self.canvas = self.memory = None  # worth their memory if they are large

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
            left = self._began + self._time_budget - time.monotonic()
            progress = progress.fitted(left / self._pace.of(progress))
        self.progress = progress

    def to_the_next_scale(self) -> None:
        self.canvas = self.state.image.numpy()
        self.progress = self.progress.at_the_next_scale()

    # --- Frames ---

    @property
    def eta(self) -> float | None:
        """Seconds left, None before the first step was measured."""
        return self._pace.eta(self.progress)

    @property
    def is_frame_due(self) -> bool:
        """Whether it is time for another frame."""
        return time.monotonic() - self._sent >= self._settings.frame_interval

    @property
    def sent_step(self) -> int:
        """The step of the last frame."""
        return self.last.step if self.last else 0

    def first_frame(self, picture: np.ndarray) -> Frame:
        """The start, before anything was optimised."""
        frame = self._frame(picture, {}, None)
        if self._settings.init == "preview":
            frame = replace(frame, stage="preview", scale=max(self._job.photo.size))
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
        return add_detail(np.asarray(canvas), self._job.photo.rgb)

    def _frame(self, picture: np.ndarray, losses: dict[str, float], eta: float | None) -> Frame:
        painted, progress = images.to_uint8(picture), self.progress
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
class _Pace:
    """How fast a run goes, measured on the way."""

    work_before: int  # where the measurement began
    seconds: float = 0.0  # in steps since then

    def of(self, progress: Progress) -> float:
        """Seconds per pixel and step; needs a step that was done."""
        return self.seconds / (progress.work_done - self.work_before)

    def eta(self, progress: Progress) -> float | None:
        """Seconds left, None before the first step was measured."""
        return progress.work_left * self.of(progress) if self.seconds else None


@contextlib.contextmanager
def _memory_errors_in_words() -> Iterator[None]:
    """Turns an allocation that fails into an `OutOfMemoryError`."""
    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError, tf.errors.AbortedError) as error:
        # oneDNN, which has no memory for a convolution or pooling, aborts it.
        raise OutOfMemoryError(
            "There was not enough memory to go on; the picture so far is kept. "
            "Choose a smaller size, or close other programs."
        ) from error


# --- Checks -------------------------------------------------------------------------------------


def _check(settings: Settings) -> None:
    """Raise `SettingsError` or `WeightsError` for settings that no run can have."""
    check_choices(settings)
    load_model(settings.network, settings.weights)


def _load_canvas(source: ImageSource, photo: Picture) -> np.ndarray:
    """A picture to start from, brought to the photo's size, float32 [1, H, W, 3]."""
    width, height = photo.size
    return resize(images.load(source).rgb, height, width)


def _divergence(settings: Settings, run: _Run) -> DivergenceError:
    assert run.last is not None
    return DivergenceError(
        f"Step {run.progress.steps_done + 1} gave NaN or infinity with the optimizer "
        f"{settings.optimizer!r}; "
        "try a smaller learning rate or smaller weights. The picture before it is kept.",
        run.last,
    )


# --- Warming up ---------------------------------------------------------------------------------


def warm_up() -> None:
    """Import TensorFlow, load both nets and compile the default step, before anyone waits."""
    grey = np.full([1, 64, 64, 3], 0.5, np.float32)
    with device.LOCK:
        preview(grey, [(grey, 1.0)], None)
        Engine(Settings(), device.fastest_precision()).prepare()


def is_warm() -> bool:
    """Whether a step was compiled already, so that a run begins without a wait."""
    return compiled_step.cache_info().currsize > 0
