"""A run from two pictures to the painted one: starts, scales, steps, and the frames on the way.

`stream` is a generator of `Frame`s, `stylize` its last one. Nothing runs between two frames that
are asked for, so closing the generator ends the work at once; a stop token ends it within a step,
also while the next frame is still being painted.
"""

from __future__ import annotations

import contextlib
import functools
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

import numpy as np

from nst_core.engine import device
from nst_core.engine.choices import check_choices
from nst_core.engine.engine import Problem
from nst_core.engine.frame import Frame
from nst_core.engine.job import Follows, Job, load_job, palettes_of
from nst_core.engine.memory import nbytes
from nst_core.engine.objective import Objective
from nst_core.engine.origins import Origins, find_origins
from nst_core.engine.plan import Plan, check_tiles, make_scales, resettled
from nst_core.engine.run import Checkpoint, Run
from nst_core.engine.schedule import Progress
from nst_core.errors import DivergenceError, OutOfMemoryError, SettingsError
from nst_core.lazy import tf
from nst_core.networks.extractor import load_model
from nst_core.networks.stylizer import load_stylizer
from nst_core.pictures import images
from nst_core.pictures.images import ImageSource, Picture
from nst_core.pictures.pyramid import resize
from nst_core.pictures.regions import StyleSource, as_styles
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
    frames = stream(content, style, settings, keep, canvas=canvas, plan=plan)
    (last,) = deque(frames, maxlen=1)
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
    and the last frame are always sent, those between at most one in `settings.frame_interval`; a
    run that is stopped before its start sends none.

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


def origins(
    picture: ImageSource,
    style: StyleSource,
    settings: Settings | None = None,
    keep: ImageSource | None = None,
) -> Origins:
    """Where each place of a finished picture comes from: the most similar place of its paintings.

    `Easel.origins` tells it without a file between.

    Args:
        picture: what was painted.
        style, settings, keep: that it was painted with, as for `stream`.

    Raises:
        ImageError, SettingsError, WeightsError, OutOfMemoryError: as `stream` does.
    """
    settings = replace(settings or Settings(), subject=False)  # nothing here depends on it
    _check(settings)
    with _memory_errors_in_words():
        objective = Objective.of(settings)
        job, plan = load_job(picture, as_styles(style), settings, keep, objective)
        return find_origins(job.photo.rgb, job, settings, plan.precision)


# Settings that the pictures and masks depend on: where they change, those are loaded again.
RELOADING = {"style_scale", "feather", "subject"}


class Easel:
    """A picture being painted, that can be stopped, kept, and gone on with.

    It takes, and raises at once, what `stream` does; of a film's frame also what that `follows` on,
    and then the photo has that size already. One run at a time goes on an easel: `paint`
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
        follows: Follows | None = None,
    ) -> None:
        self.settings = settings or Settings()
        _check(self.settings)
        styles = as_styles(style)
        self._load: Callable[..., tuple[Job, Plan]] = functools.partial(
            load_job, content, styles, keep=keep, follows=follows
        )
        self._job, self.plan = self._load(
            settings=self.settings, objective=Objective.of(self.settings), plan=plan
        )
        self._canvas = None if canvas is None else _load_canvas(canvas, self._job.photo)
        if self.settings.init == "preview" and canvas is None:
            load_stylizer(self.settings.stylizer)
        self._checkpoint: Checkpoint | None = None
        # A plan that was given is followed to the step, however long that takes.
        self._time_budget = None if plan else self.settings.time_budget

    @property
    def photo(self) -> Picture:
        """The photo at the size that it is painted at."""
        return self._job.photo

    @property
    def nbytes(self) -> int:
        """Bytes of its pictures and masks, without the optimizer's memory."""
        kept = self._checkpoint
        return self._job.nbytes + (nbytes([kept.canvas, kept.coarser]) if kept else 0)

    @property
    def memory_nbytes(self) -> int:
        """Bytes of the optimizer's memory."""
        return nbytes(self._checkpoint.optimizer_state) if self._checkpoint else 0

    @property
    def canvas(self) -> np.ndarray:
        """The picture as the last step left it, before its colours were brought to the paintings'.

        Float32 [1, H, W, 3] in [0, 1], at the scale of that step. Raises `SettingsError` where no
        step was done.
        """
        checkpoint = self._checkpoint  # a run in another thread may go on meanwhile
        if checkpoint is None:
            raise SettingsError("There is no picture yet: no step has been done.")
        return np.asarray(checkpoint.canvas)

    def recolored(self, frame: Frame, mode: str) -> Frame:
        """A frame of this easel in the colours of another of `COLOR_MODES`, at once.

        Modes that change the painting and not the picture show in what is painted from then on.
        Raises `SettingsError` for an unknown mode.
        """
        return replace(frame, image=self._job.finished(frame.painted, mode))

    def shown(self, canvas: np.ndarray) -> np.ndarray:
        """A picture as a frame would show it: with the paintings' palette, and the colours.

        Args:
            canvas: [H, W, 3] in levels of 0 to 255, uint8 or float32, of the photo's size.

        Returns it as uint8.
        """
        settings = self.settings
        if Objective.of(settings).takes_colors:
            palettes = palettes_of(self._job.recolored(settings.color))
            canvas = self._job.in_palettes(canvas, palettes, settings.strength)
        levels = np.rint(canvas).clip(0, 255).astype(np.uint8)
        return self._job.finished(levels, settings.color)

    def origins(self) -> Origins:
        """Where each place of the picture so far comes from, see `Origins`; takes about a second.

        Of the picture as the last step left it, before its palette and its colours were brought to
        the paintings' or the photo's.

        Raises:
            SettingsError: no step was done yet.
            OutOfMemoryError: there is not enough memory for it.
        """
        with _memory_errors_in_words():
            canvas = self.canvas
            return find_origins(canvas, self._job, self.settings, self.plan.precision)

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

        A run that was stopped has the rest of its steps before it. One that was done gets as many
        more as the settings give its finest scale; with a time budget, it is that time.

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
                "{setting} is {value}, but the picture was begun with {begun}; set it back to go "
                "on, or paint anew.",
                setting=name,
                value=getattr(settings, name),
                begun=getattr(self.settings, name),
            )
        objective = Objective.of(settings)
        job, checkpoint = self._job, self._checkpoint
        if RELOADING & set(self.settings.changed(settings, OnResume.OBJECTIVE)):
            job, _ = self._load(settings=settings, objective=objective, plan=self.plan)
        plan = resettled(self.plan, self.settings, settings, job.photo)
        check_tiles(plan, objective)
        if self.settings.changed(settings, OnResume.OBJECTIVE):
            checkpoint = replace(checkpoint, optimizer_state=None)
        self.settings, self._job, self.plan = settings, job, plan
        self._time_budget = settings.time_budget
        return self._resume(checkpoint, stop or StopToken())

    def forget(self) -> None:
        """Give the optimizer's memory back; `resume` then goes on from the picture alone."""
        if self._checkpoint:
            self._checkpoint = replace(self._checkpoint, optimizer_state=None)

    # --- The run ---

    def _paint(self, stop: StopToken) -> Frames:
        with _memory_errors_in_words():
            run = self._run(Progress(self.plan.scales))
            with device.LOCK:
                if stop.is_set():
                    return
                start = self._start(run)
                if stop.is_set():
                    return
            is_preview = self.settings.init == "preview" and self._canvas is None
            yield (run.preview_frame if is_preview else run.start_frame)(start.picture)
            run.canvas = start.canvas
            del start  # worth its memory if it is large
            yield from self._optimise(run, stop)

    def _run(self, progress: Progress) -> Run:
        return Run(self._job, self.settings, self.plan, progress, self._time_budget)

    def _start(self, run: Run) -> Start:
        scale, settings = run.progress.scale, self.settings
        request = Request(run.seen_photo, run.layout, settings, scale.height, scale.width)
        if self._canvas is not None:
            return own_start(request, self._canvas)
        return INITS[settings.init](request)

    def _resume(self, checkpoint: Checkpoint, stop: StopToken) -> Frames:
        with _memory_errors_in_words():
            progress = checkpoint.progress
            if progress.is_done:
                height, width = self.photo.rgb.shape[1:3]
                scales = make_scales(
                    height, width, self.settings, Objective.of(self.settings), self.plan.precision
                )
                progress = progress.extended(scales[-1].steps)
            run = self._run(progress)
            run.canvas, run.optimizer_state = checkpoint.canvas, checkpoint.optimizer_state
            run.coarser = checkpoint.coarser
            yield run.frame({}, None)
            yield from self._optimise(run, stop)

    def _optimise(self, run: Run, stop: StopToken) -> Frames:
        """Scale after scale. Every `next()` goes as far as the next frame to be shown."""
        while not stop.is_set():
            problem = run.set_up(stop)
            if problem is None:
                break
            # Setting up a finer scale takes as long as some steps: let nobody wait for its first.
            is_finer = run.progress.index > 0 and run.progress.step == 0
            if is_finer and run.is_frame_due:
                yield run.frame({}, run.eta)
            if stop.is_set():
                break
            run.start(problem)
            if is_finer and run.is_frame_due:
                yield run.frame_of_state(run.eta)
            yield from self._optimise_scale(run, problem, stop)
            if stop.is_set() or run.progress.is_finest:
                return
            run.to_the_next_scale()
        if run.sent_step < run.progress.steps_done:  # stopped between two scales
            yield run.frame({}, run.eta)

    def _optimise_scale(self, run: Run, problem: Problem, stop: StopToken) -> Frames:
        """The steps of one scale, and the frames that are due on the way."""
        while run.progress.step < run.progress.scale.steps and not stop.is_set():
            if not run.step(problem):
                if run.sent_step < run.progress.steps_done:
                    yield run.frame_of_state(None)
                raise _divergence(self.settings, run)
            self._checkpoint = Checkpoint(
                run.progress, run.state.image, run.state.optimizer, run.coarser
            )
            if run.progress.is_done or run.is_frame_due:
                yield run.frame_of_state(run.eta)
        if stop.is_set() and run.sent_step < run.progress.steps_done:
            yield run.frame_of_state(run.eta)


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


def _divergence(settings: Settings, run: Run) -> DivergenceError:
    assert run.last is not None
    return DivergenceError(
        "Step {step} gave NaN or infinity with the optimizer {optimizer!r}; "
        "try a smaller learning rate or smaller weights. The picture before it is kept.",
        run.last,
        step=run.progress.steps_done + 1,
        optimizer=settings.optimizer,
    )
