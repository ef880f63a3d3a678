"""A run from two pictures to the painted one: targets, schedule, and the frames on the way.

`stream` is a generator of `Frame`s, `stylize` its last one. Nothing runs between two frames that
are asked for, so closing the generator ends the work at once.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from nst_core import images
from nst_core.device import PRECISION_CHOICES
from nst_core.features import LAYERS, POOLINGS, Extractor, load_vgg16
from nst_core.images import ImageSource, Picture
from nst_core.lazy import tf
from nst_core.losses import gram_matrix
from nst_core.preview import load_stylizer, preview, soften
from nst_core.settings import Settings, SettingsError
from nst_core.step import OPTIMIZERS, CompiledStep, State, Targets, Weights, compile_step

StyleSource = ImageSource | Sequence[tuple[ImageSource, float]]

# Steps of different runs in one process take turns on the device. The lock is never held while
# a frame is out, so an abandoned generator blocks nobody.
_device = threading.Lock()


@dataclass(frozen=True)
class Frame:
    """The picture at one moment of a run."""

    image: np.ndarray  # uint8 [H, W, 3]
    step: int  # steps done, 0 for the start
    total_steps: int
    scale: int  # long side in pixels now being worked on
    stage: str  # "preview", "coarse" or "fine"
    losses: dict[str, float]  # of `image`, weighted: total, content, style, tv; empty at step 0
    elapsed: float  # seconds since the run began
    eta: float | None  # seconds left; None before the first step was measured
    done: bool  # whether this is the last frame
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
    """Where a run begins."""

    canvas: np.ndarray  # what the optimisation starts from, float32 [1, H, W, 3] in [0, 1]
    picture: np.ndarray  # what is shown first, of the same form
    stage: str  # of that first frame


Paintings = list[tuple[Picture, float]]  # with weights that sum to 1


def _preview_start(photo: Picture, paintings: Paintings, settings: Settings) -> Start:
    """The feed-forward stylizer's picture, mixed like the paintings."""
    pictures = [preview(photo.rgb, painting.rgb, settings.stylizer) for painting, _ in paintings]
    shares = [share for _, share in paintings]
    picture = np.average(pictures, axis=0, weights=shares).astype(np.float32)
    return Start(soften(picture, photo.rgb), picture, "preview")


def _photo_start(photo: Picture, paintings: Paintings, settings: Settings) -> Start:
    return Start(photo.rgb, photo.rgb, "fine")


def _noise_start(photo: Picture, paintings: Paintings, settings: Settings) -> Start:
    """Gatys' start: white noise."""
    noise = np.random.default_rng(settings.seed).random(photo.rgb.shape, dtype=np.float32)
    return Start(noise, noise, "fine")


def _grey_start(photo: Picture, paintings: Paintings, settings: Settings) -> Start:
    """The course paper's start: a blank canvas."""
    grey = np.full_like(photo.rgb, 0.5)
    return Start(grey, grey, "fine")


INITS: dict[str, Callable[[Picture, Paintings, Settings], Start]] = {
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
    "content_layer": dict.fromkeys(LAYERS),
    "style_layers": dict.fromkeys(LAYERS),
}


def stylize(content: ImageSource, style: StyleSource, settings: Settings | None = None) -> Frame:
    """Paint `content` in the style of `style` and return the last frame.

    Takes and raises what `stream` does.
    """
    *_, last = stream(content, style, settings)
    return last


def stream(
    content: ImageSource, style: StyleSource, settings: Settings | None = None
) -> Generator[Frame, None, None]:
    """Paint `content` in the style of `style`, frame by frame.

    Everything is checked here, at the call; the work begins with the first `next()`. The first
    and the last frame are always sent, those between at most one in `settings.frame_interval`.

    Args:
        content: the photo, as `images.load` takes it.
        style: the painting, or a list of (painting, weight) pairs whose Gram matrices are mixed.
        settings: all other choices; the defaults when left out.

    Raises:
        ImageError: a picture that cannot be used.
        SettingsError: a choice that does not exist, or weights of paintings that make no sense.
        WeightsError: VGG-16's weights are missing or broken.
        PreviewError: the stylizer of the preview cannot be used.
        DivergenceError: while running, a step gave NaN or infinity. The last good frame was
            sent before and is in the error, too.
    """
    settings = settings or Settings()
    check_choices(settings)
    photo = images.load(content, settings.size, settings.enlarge)
    paintings = _load_paintings(style, settings.size)
    load_vgg16(settings.weights)
    if settings.init == "preview":
        load_stylizer(settings.stylizer)
    return _paint(photo, paintings, settings)


def check_choices(settings: Settings) -> None:
    """Raise `SettingsError` for a name that its table does not hold."""
    for field, table in CHOICES.items():
        value = getattr(settings, field)
        for name in [value] if isinstance(value, str) else dict(value):
            if name not in table:
                known = ", ".join(sorted(table))
                raise SettingsError(f"{field} is {name!r}, but it must be one of: {known}.")


def warm_up() -> None:
    """Import TensorFlow, load both nets and compile the default step, before anyone waits."""
    grey = np.full([1, 64, 64, 3], 0.5, np.float32)
    preview(grey, grey, None)
    load_vgg16(None)  # outside the trace, or the step would be traced a second time
    _compiled(*_static_choices(Settings()))


def is_warm() -> bool:
    """Whether a step was compiled already, so that a run begins without a wait."""
    return _compiled.cache_info().currsize > 0


def _load_paintings(style: StyleSource, size: int) -> Paintings:
    pairs = style if isinstance(style, (list, tuple)) else [(style, 1.0)]
    try:
        sources, weights = zip(*pairs, strict=True)
        total = sum(weights)
        shares = [weight / total for weight in weights]
    except (TypeError, ValueError, ZeroDivisionError):
        shares = []
    if not shares or min(weights) < 0 or not np.isfinite(shares).all():
        raise SettingsError(
            "style must be a painting, or a list of (painting, weight) pairs with weights of 0 "
            "or more that do not sum to 0."
        )
    return [
        (images.load(source, size), share) for source, share in zip(sources, shares, strict=True)
    ]


def _static_choices(settings: Settings) -> tuple[Extractor, str, tuple[str, ...], str]:
    """What the compiled step depends on, and nothing that may change without compiling again."""
    style_layers = tuple(layer for layer, _ in settings.style_layers)
    layers = tuple(layer for layer in LAYERS if layer in {settings.content_layer, *style_layers})
    precision = PRECISION_CHOICES[settings.precision]()
    extractor = Extractor(layers, settings.pooling, settings.weights, precision)
    return extractor, settings.content_layer, style_layers, settings.optimizer


@functools.lru_cache(maxsize=8)
def _compiled(
    extractor: Extractor, content_layer: str, style_layers: tuple[str, ...], optimizer: str
) -> CompiledStep:
    """The compiled step, kept between runs."""
    return compile_step(extractor, content_layer, style_layers, OPTIMIZERS[optimizer])


def _targets(
    extractor: Extractor,
    photo: Picture,
    paintings: Paintings,
    settings: Settings,
) -> Targets:
    content = tf.cast(extractor(tf.constant(photo.rgb))[settings.content_layer], tf.float32)
    grams = {layer: 0.0 for layer, _ in settings.style_layers}
    for painting, share in paintings:
        features = extractor(tf.constant(painting.rgb))
        grams = {
            layer: gram + share * gram_matrix(features[layer]) for layer, gram in grams.items()
        }
    return Targets(content, grams)


def _loss_weights(settings: Settings) -> Weights:
    return Weights(
        tf.constant(settings.content_weight),
        tf.constant(settings.style_weight),
        tf.constant(settings.tv_weight),
        {layer: tf.constant(weight) for layer, weight in settings.style_layers},
    )


def _paint(
    photo: Picture, paintings: Paintings, settings: Settings
) -> Generator[Frame, None, None]:
    """The run itself. Every `next()` goes as far as the next frame to be shown."""
    run = _Run(photo, settings, began=time.monotonic())
    with _device:
        start = INITS[settings.init](photo, paintings, settings)
    last = run.frame(start.picture, 0, start.stage, {}, None)
    yield last
    sent = time.monotonic()

    with _device:
        choices = _static_choices(settings)
        compiled = _compiled(*choices)
        targets = _targets(choices[0], photo, paintings, settings)
        weights, rate = _loss_weights(settings), _learning_rate(settings)
        state: State = compiled.start(tf.constant(start.canvas), targets, weights)

    first_step = time.monotonic()
    for step in range(1, settings.steps + 1):
        with _device:
            following: State = compiled.step(state, targets, weights, rate)
            is_finite = bool(following.finite)  # waits until the step is done
        if not is_finite:
            if last.step < step - 1:
                last = run.frame_of(state, step - 1, None)
                yield last
            raise _divergence(settings, step, last)
        state = following
        now = time.monotonic()
        if step == settings.steps or now - sent >= settings.frame_interval:
            seconds_per_step = (now - first_step) / step
            last = run.frame_of(state, step, seconds_per_step * (settings.steps - step))
            sent = now
            yield last


@dataclass(frozen=True)
class _Run:
    """What all frames of one run have in common."""

    photo: Picture
    settings: Settings
    began: float  # time.monotonic() at its start

    def frame_of(self, state: State, step: int, eta: float | None) -> Frame:
        losses = {name: float(loss) for name, loss in state.losses.items()}
        return self.frame(state.image.numpy(), step, "fine", losses, eta)

    def frame(
        self,
        image: np.ndarray,
        step: int,
        stage: str,
        losses: dict[str, float],
        eta: float | None,
    ) -> Frame:
        return Frame(
            image=images.to_uint8(image),
            step=step,
            total_steps=self.settings.steps,
            scale=max(self.photo.size),
            stage=stage,
            losses=losses,
            elapsed=time.monotonic() - self.began,
            eta=eta,
            done=step == self.settings.steps,
            alpha=self.photo.alpha,
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
