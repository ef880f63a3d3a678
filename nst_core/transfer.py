"""A run from two pictures to the painted one: targets, schedule, and the frames on the way.

`stream` is a generator of `Frame`s, `stylize` its last one. Nothing runs between two frames that
are asked for, so closing the generator ends the work at once.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from nst_core import images, tiles
from nst_core.color import COLOR_MODES
from nst_core.device import PRECISION_CHOICES, expected_pace, xla_helps
from nst_core.features import LAYERS, POOLINGS, Extractor, load_vgg16
from nst_core.images import ImageSource, Picture
from nst_core.job import Job, make_job, make_problem
from nst_core.lazy import tf
from nst_core.preview import load_stylizer, preview
from nst_core.pyramid import add_detail, resize
from nst_core.regions import Layout, StyleSource, as_styles
from nst_core.schedule import Progress, Scale, schedule, schedule_for
from nst_core.settings import Settings, SettingsError, unwanted
from nst_core.step import OPTIMIZERS, CompiledStep, State, Weights, compile_step

# Steps of different runs in one process take turns on the device. The lock is never held while
# a frame is out, so an abandoned generator blocks nobody.
_device = threading.Lock()


@dataclass(frozen=True)
class Frame:
    """The picture at one moment of a run."""

    image: np.ndarray  # uint8 [H, W, 3]
    painted: np.ndarray  # the same before colours were taken from the photo, and parts of it kept
    step: int  # steps done, 0 for the start
    total_steps: int  # with a time budget an estimate, until `done`
    scale: int  # long side in pixels now being worked on; `image` has the full size always
    stage: str  # "preview", "coarse" or "fine"
    losses: dict[str, float]  # weighted: total, content, style, tv; empty until known at `scale`
    elapsed: float  # seconds since the run began
    eta: float | None  # seconds left; None before the first step was measured
    done: bool  # whether this is the last frame
    notice: str = ""  # what was done otherwise than asked for, in words
    alpha: np.ndarray | None = None  # uint8 [H, W]: the photo's transparency, if it has any

    def to_pil(self) -> Image.Image:
        """The picture as a PIL image, RGB, or RGBA where the photo was transparent."""
        return images.to_pil(self.image, self.alpha)


class DivergenceError(ArithmeticError):
    """A step gave NaN or infinity. `frame` is the last good one."""

    def __init__(self, message: str, frame: Frame) -> None:
        super().__init__(message)
        self.frame = frame


class Start(NamedTuple):
    """Where a run begins. Both float32 [1, H, W, 3] in [0, 1]."""

    canvas: np.ndarray  # what the optimisation starts from, of the first scale's size
    picture: np.ndarray  # what is shown first, of the photo's size


# Long side in pixels that the preview is shrunk to for a start, whatever the picture's size: its
# masses and colours survive, its scratch marks in skies and its bands over faces, which a short
# optimisation does not paint away, do not. Chosen by looking at the examples: at 96 px the
# astronaut loses her eyes, at 64 they fade; at 40 she keeps them, and the castle's sky still
# takes the painting's colour.
PREVIEW_MASSES_SIDE = 40

# How much more the content weighs at strength 0 than at 0.5, and how much less at 1.
STRENGTH_RANGE = 30.0


def _preview_start(job: Job, layout: Layout, settings: Settings, first: Scale) -> Start:
    """The feed-forward stylizer's masses, mixed like the paintings, and the photo's detail."""
    photo = job.photo.rgb
    picture = _preview(photo, layout, settings.stylizer)
    small = resize(photo, first.height, first.width)
    factor = min(1.0, PREVIEW_MASSES_SIDE / max(first.height, first.width))
    masses = resize(picture, *(max(2, round(side * factor)) for side in small.shape[1:3]))
    return Start(add_detail(masses, small), picture)


def _preview(photo: np.ndarray, layout: Layout, handle: str | None) -> np.ndarray:
    """Each region's preview in its place; where there is none, the photo."""
    picture = photo
    for region in layout.regions:
        paintings = [(painting.rgb, share) for painting, share in region.paintings]
        part = preview(photo, paintings, handle)
        picture = part if region.place is None else picture + region.place * (part - photo)
    return picture


def _photo_start(job: Job, layout: Layout, settings: Settings, first: Scale) -> Start:
    return Start(resize(job.photo.rgb, first.height, first.width), job.photo.rgb)


def _noise_start(job: Job, layout: Layout, settings: Settings, first: Scale) -> Start:
    """Gatys' start: white noise."""
    rng = np.random.default_rng(settings.seed)
    noise = rng.random([1, first.height, first.width, 3], dtype=np.float32)
    return Start(noise, resize(noise, *job.photo.rgb.shape[1:3]))


def _grey_start(job: Job, layout: Layout, settings: Settings, first: Scale) -> Start:
    """The course paper's start: a blank canvas."""
    grey = np.full_like(job.photo.rgb, 0.5)
    return Start(resize(grey, first.height, first.width), grey)


INITS: dict[str, Callable[[Job, Layout, Settings, Scale], Start]] = {
    "preview": _preview_start,
    "content": _photo_start,
    "noise": _noise_start,
    "grey": _grey_start,
}

# Field of `Settings` -> the table that holds its choices.
CHOICES: dict[str, Mapping[str, Any]] = {
    "init": INITS,
    "optimizer": OPTIMIZERS,
    "pooling": POOLINGS,
    "precision": PRECISION_CHOICES,
    "color": COLOR_MODES,
    "content_layer": dict.fromkeys(LAYERS),
    "style_layers": dict.fromkeys(LAYERS),
}


def stylize(
    content: ImageSource,
    style: StyleSource,
    settings: Settings | None = None,
    keep: ImageSource | None = None,
) -> Frame:
    """Paint `content` in the style of `style` and return the last frame.

    Takes and raises what `stream` does.
    """
    *_, last = stream(content, style, settings, keep)
    return last


def stream(
    content: ImageSource,
    style: StyleSource,
    settings: Settings | None = None,
    keep: ImageSource | None = None,
) -> Generator[Frame, None, None]:
    """Paint `content` in the style of `style`, frame by frame.

    Everything is checked here, at the call; the work begins with the first `next()`. The first
    and the last frame are always sent, those between at most one in `settings.frame_interval`.

    Args:
        content: the photo, as `images.load` takes it.
        style: the painting, or a list of up to four: (painting, weight) pairs, whose Gram matrices
            are mixed, or `Style`s, which may have a mask each; see `regions.lay_out`.
        settings: all other choices; the defaults when left out.
        keep: a mask that is white where the picture stays as in the photo.

    Raises:
        ImageError: a picture or a mask that cannot be used.
        SettingsError: a choice that does not exist, weights of paintings that make no sense, or a
            size that does not fit into memory. Only the default size is made smaller instead, and
            the frames' `notice` says so.
        WeightsError: VGG-16's weights are missing or broken.
        PreviewError: the stylizer of the preview cannot be used.
        DivergenceError: while running, a step gave NaN or infinity. The last good frame was
            sent before and is in the error, too.
    """
    return Easel(content, style, settings, keep).paint()


def _telling_of_memory(
    run: Callable[..., Generator[Frame, None, None]],
) -> Callable[..., Generator[Frame, None, None]]:
    """The same run; an allocation that fails in it is a `MemoryError` with words."""

    @functools.wraps(run)
    def told(*arguments: Any) -> Generator[Frame, None, None]:
        try:
            yield from run(*arguments)
        except (MemoryError, tf.errors.ResourceExhaustedError, tf.errors.AbortedError) as error:
            # oneDNN, which has no memory for a convolution or pooling, aborts it.
            raise MemoryError(
                "There was not enough memory to go on; the picture so far is kept. "
                "Choose a smaller size, or close other programs."
            ) from error

    return told


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
    ) -> None:
        settings = settings or Settings()
        check_choices(settings)
        styles = as_styles(style)
        job = make_job(content, styles, settings, keep)
        load_vgg16(settings.weights)
        if settings.init == "preview":
            load_stylizer(settings.stylizer)
        self.settings = settings
        self._job = job
        self._standing: _Standing | None = None

    @property
    def photo(self) -> Picture:
        """The photo at the size that it is painted at."""
        return self._job.photo

    def recolored(self, frame: Frame, mode: str) -> Frame:
        """A frame of this easel in the colours of another of `COLOR_MODES`, at once.

        Modes that change the painting and not the picture show in what is painted from then on.
        """
        return replace(frame, image=self._job.finished(frame.painted, mode))

    @property
    def can_resume(self) -> bool:
        """Whether a step was done, so that there is something to go on with."""
        return self._standing is not None

    def paint(self) -> Generator[Frame, None, None]:
        """Paint from the start; the frames of `stream`."""
        self._standing = None
        return self._paint()

    def resume(self, settings: Settings | None = None) -> Generator[Frame, None, None]:
        """Go on from the last step that was done, with the optimizer's memory.

        A run that was stopped has the rest of its steps before it, one that was done as many again
        as it had at its finest scale; with a time budget, it is that time.

        Args:
            settings: what may have changed since; the size may not, and the start does not matter.

        Raises:
            SettingsError: nothing was painted yet, the size has changed, or a choice does not
                exist.
        """
        settings = settings or self.settings
        check_choices(settings)
        if self._standing is None:
            raise SettingsError("There is nothing to go on with: no step has been done yet.")
        if (settings.size, settings.enlarge) != (self.settings.size, self.settings.enlarge):
            raise SettingsError(
                f"size is {settings.size}, but the picture was begun at {self.settings.size}; "
                "set it back to go on, or paint anew."
            )
        standing, self.settings = self._standing, settings
        if standing.optimizer != settings.optimizer:
            standing = replace(standing, memory=None)
        return self._resume(standing)

    def forget(self) -> None:
        """Give the optimizer's memory back; `resume` then goes on from the picture alone."""
        if self._standing:
            self._standing = replace(self._standing, memory=None)

    @_telling_of_memory
    def _paint(self) -> Generator[Frame, None, None]:
        settings, job = self.settings, self._job
        run = _Run(job, settings, began=time.monotonic())
        progress = Progress(run.scales())
        with _device:
            layout = job.recolored(settings.color)
            start = INITS[settings.init](job, layout, settings, progress.scale)
        first = run.first_frame(start.picture, progress)
        standing = _Standing(progress, start.canvas, settings.optimizer, None)
        del start  # worth its memory if it is large
        yield first
        yield from self._optimise(run, standing, first)

    @_telling_of_memory
    def _resume(self, standing: _Standing) -> Generator[Frame, None, None]:
        run = _Run(self._job, self.settings, began=time.monotonic())
        progress = standing.progress
        if progress.is_done:
            progress = progress.extended(run.scales()[-1].steps)
        standing = replace(standing, progress=progress)
        first = run.frame(standing.canvas, progress, {}, None)
        yield first
        yield from self._optimise(run, standing, first)

    def _optimise(
        self, run: _Run, standing: _Standing, last: Frame
    ) -> Generator[Frame, None, None]:
        """The steps. Every `next()` goes as far as the next frame to be shown."""
        settings, job = run.settings, self._job
        progress, canvas, memory = standing.progress, standing.canvas, standing.memory
        sent = time.monotonic()
        with _device:
            choices = _static_choices(settings)
            layout = job.recolored(settings.color)
            weights, rate = _loss_weights(settings), _learning_rate(settings)

        pace = _Pace(progress.work_done)
        while True:
            with _device:
                job.check_memory(progress.scale, choices[0].precision)
                compiled = _compiled(*choices, job.regions, job.tile_at(progress.scale))
                problem = make_problem(choices[0], job, layout, settings, progress.scale)
                canvas = add_detail(canvas, problem.photo)
            # Setting up a finer scale takes as long as some steps: let nobody wait for its first.
            is_set_up = progress.index > 0 and progress.step == 0
            if is_set_up and _is_due(settings, sent):
                sent = time.monotonic()
                yield run.frame(canvas, progress, {}, pace.eta(progress))
            with _device:
                state: State = compiled.start(tf.constant(canvas), problem.targets, weights)
                if memory is not None:
                    state = state._replace(optimizer=memory)
                canvas = memory = None  # worth their memory if they are large
            if is_set_up and _is_due(settings, sent):
                last = run.frame_of(state, progress, pace.eta(progress))
                sent = time.monotonic()
                yield last
            while progress.step < progress.scale.steps:
                with _device:
                    began = time.monotonic()
                    following: State = compiled.step(state, problem.targets, weights, rate)
                    is_finite = bool(following.finite)  # waits until the step is done
                    now = time.monotonic()
                if not is_finite:
                    if last.step < progress.steps_done:
                        last = run.frame_of(state, progress, None)
                        yield last
                    raise _divergence(settings, progress.steps_done + 1, last)
                state, progress = following, progress.after_a_step()
                self._standing = _Standing.of(state, progress, settings)
                pace.seconds += now - began
                progress = run.in_time(progress, now, pace)
                if progress.is_done or _is_due(settings, sent):
                    last = run.frame_of(state, progress, pace.eta(progress))
                    sent = now
                    yield last
            if progress.is_finest:
                return
            progress, canvas = progress.at_the_next_scale(), state.image.numpy()


def _is_due(settings: Settings, sent: float) -> bool:
    """Whether it is time for another frame, the last one having been `sent` then."""
    return time.monotonic() - sent >= settings.frame_interval


def check_choices(settings: Settings) -> None:
    """Raise `SettingsError` for a name that its table does not hold."""
    for field, table in CHOICES.items():
        value = getattr(settings, field)
        for name in [value] if isinstance(value, str) else dict(value):
            if name not in table:
                known = ", ".join(sorted(table))
                raise unwanted(field, name, f"one of: {known}")


def warm_up() -> None:
    """Import TensorFlow, load both nets and compile the default step, before anyone waits."""
    grey = np.full([1, 64, 64, 3], 0.5, np.float32)
    preview(grey, [(grey, 1.0)], None)
    load_vgg16(None)  # outside the trace, or the step would be traced a second time
    _compiled(*_static_choices(Settings()), 0, None)


def is_warm() -> bool:
    """Whether a step was compiled already, so that a run begins without a wait."""
    return _compiled.cache_info().currsize > 0


def _static_choices(settings: Settings) -> tuple[Extractor, str, tuple[str, ...], str]:
    """What the compiled step depends on, and nothing that may change without compiling again."""
    style_layers = tuple(layer for layer, _ in settings.style_layers)
    layers = tuple(layer for layer in LAYERS if layer in {settings.content_layer, *style_layers})
    precision = PRECISION_CHOICES[settings.precision]()
    extractor = Extractor(layers, settings.pooling, settings.weights, precision)
    return extractor, settings.content_layer, style_layers, settings.optimizer


def compiled_by(settings: Settings) -> Any:
    """What has to be equal for two runs to share what is compiled."""
    return _static_choices(settings), settings.tile


@functools.lru_cache(maxsize=8)
def _compiled(
    extractor: Extractor,
    content_layer: str,
    style_layers: tuple[str, ...],
    optimizer: str,
    regions: int,
    tile: int | None,
) -> CompiledStep:
    """The compiled step, kept between runs; in tiles of this side, or None for the whole."""
    choices = extractor, content_layer, style_layers, OPTIMIZERS[optimizer]
    if tile is None:
        return compile_step(
            *choices, regions=regions, precision=extractor.precision, use_xla=xla_helps()
        )
    return tiles.compile_step(*choices, regions=regions, side=tile)


def content_weight(settings: Settings) -> float:
    """alpha as the strength makes it: at 0 `STRENGTH_RANGE` times as much, at 1 as little."""
    return settings.content_weight * STRENGTH_RANGE ** (1 - 2 * settings.strength)


def _loss_weights(settings: Settings) -> Weights:
    return Weights(
        tf.constant(content_weight(settings)),
        tf.constant(settings.style_weight),
        tf.constant(settings.tv_weight),
        {layer: tf.constant(weight) for layer, weight in settings.style_layers},
    )


@dataclass(frozen=True)
class _Standing:
    """Where a run stands after a step."""

    progress: Progress
    canvas: Any  # float32 [1, H, W, 3] at the scale of `progress`, as array or tensor
    optimizer: str  # whose memory it is
    memory: Any  # the optimizer's state, None for none

    @classmethod
    def of(cls, state: State, progress: Progress, settings: Settings) -> _Standing:
        return cls(progress, state.image, settings.optimizer, state.optimizer)


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


@dataclass(frozen=True)
class _Run:
    """What all frames of one run have in common."""

    job: Job
    settings: Settings
    began: float  # time.monotonic() at its start

    def scales(self) -> tuple[Scale, ...]:
        """The schedule: for the steps asked for, or for the time."""
        height, width = self.job.photo.rgb.shape[1:3]
        if self.settings.time_budget is None:
            return schedule(height, width, self.settings.steps)
        precision = PRECISION_CHOICES[self.settings.precision]()
        return schedule_for(height, width, self.settings.time_budget / expected_pace(precision))

    def in_time(self, progress: Progress, now: float, pace: _Pace) -> Progress:
        """The steps to come made to fit the time budget, from the pace measured so far."""
        if self.settings.time_budget is None:
            return progress
        seconds_left = self.began + self.settings.time_budget - now
        return progress.fitted(seconds_left / pace.of(progress))

    def first_frame(self, picture: np.ndarray, progress: Progress) -> Frame:
        """The start, before anything was optimised."""
        frame = self._frame(picture, progress, {}, None)
        if self.settings.init == "preview":
            return replace(frame, stage="preview", scale=max(self.job.photo.size))
        return frame

    def frame_of(self, state: State, progress: Progress, eta: float | None) -> Frame:
        """The picture of `state`, with its losses."""
        losses = {name: float(loss) for name, loss in state.losses.items()}
        return self.frame(state.image, progress, losses, eta)

    def frame(
        self, canvas: Any, progress: Progress, losses: dict[str, float], eta: float | None
    ) -> Frame:
        """A canvas of the present scale, brought to full size."""
        picture = add_detail(np.asarray(canvas), self.job.photo.rgb)
        return self._frame(picture, progress, losses, eta)

    def _frame(
        self,
        picture: np.ndarray,
        progress: Progress,
        losses: dict[str, float],
        eta: float | None,
    ) -> Frame:
        painted = images.to_uint8(picture)
        return Frame(
            image=self.job.finished(painted, self.settings.color),
            painted=painted,
            step=progress.steps_done,
            total_steps=progress.total_steps,
            scale=max(progress.scale.height, progress.scale.width),
            stage="fine" if progress.is_finest else "coarse",
            losses=losses,
            elapsed=time.monotonic() - self.began,
            eta=eta,
            done=progress.is_done,
            notice=self.job.notice,
            alpha=self.job.photo.alpha,
        )


def _learning_rate(settings: Settings) -> tf.Tensor:
    rate = settings.learning_rate
    return tf.constant(OPTIMIZERS[settings.optimizer].learning_rate if rate is None else rate)


def _divergence(settings: Settings, step: int, last: Frame) -> DivergenceError:
    return DivergenceError(
        f"Step {step} gave NaN or infinity with the optimizer {settings.optimizer!r}; "
        "try a smaller learning rate or smaller weights. The picture before it is kept.",
        last,
    )
