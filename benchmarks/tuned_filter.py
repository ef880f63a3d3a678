"""The feed-forward stylizer tuned for one painting: what some seconds of that gain.

    python -m benchmarks.tuned_filter FOLDER great-wave --objective nearest --seconds 20 60 180

From the painting's style vector on, scale and shift of each conditional instance normalisation and
the kernels of the last three layers are moved by Adam against the engine's own losses, on the
example photos but for `UNSEEN`, one photo a step; with `--patches` also against a discriminator
that learns the painting's patches meanwhile (hinge loss). The parameters are averaged over the last
steps. Pictures of the unseen photos, at 0 seconds and after each of those that were given, go to
FOLDER; their losses and the two numbers of `benchmarks/judge.py` are printed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks import report
from benchmarks.judge import edge_correlation, patch_distance
from nst_core.engine.engine import Engine
from nst_core.engine.job import Job, load_job, palettes_of
from nst_core.engine.step import (
    Targets,
    Weights,
    compiled,
    evaluate_whole,
    image_signature,
    targets_signature,
    weights_signature,
)
from nst_core.lazy import tf
from nst_core.losses import completed
from nst_core.losses.gram import GramBeside
from nst_core.networks.stylizer import load_stylizer, style_vector
from nst_core.pictures import images
from nst_core.pictures.regions import Style
from nst_core.settings import Settings
from page import examples

UNSEEN = ("astronaut", "castle", "cat", "hawa-mahal", "owl")

RATE, DISCRIMINATOR_RATE = 2e-3, 1e-3  # of Adam
MOST_GRADIENT = 10.0  # its norm: the first steps are far too long otherwise
AVERAGED = 0.005  # share of the newest parameters in their average, and more at first
SEED = 0

Parameters = Mapping[str, Any]  # name -> kernel, bias, scale or shift, tensor or variable

# Side, stride and channels of the discriminator's convolutions: it sees patches of 18 px.
PATCH_LAYERS = ((4, 2, 32), (4, 2, 64), (3, 1, 64), (1, 1, 1))


class Example(NamedTuple):
    """A photo, and what pictures of it are compared with."""

    name: str
    job: Job
    targets: Targets


# --- The stylizer -------------------------------------------------------------------------------


def parameters_of(vector: np.ndarray) -> dict[str, tf.Tensor]:
    """All that the stylizer computes with in the style of a vector, as float32."""
    found = {}
    for name, layer in load_stylizer(None).convolutions.items():  # type: ignore[attr-defined]
        kernel = tf.cast(layer.kernel, tf.float32) * layer.scale
        if name.startswith("transformer."):
            key = name.removeprefix("transformer.").removesuffix(".weights")
            found[f"{key}.kernel"], found[f"{key}.bias"] = kernel, tf.identity(layer.bias)
        elif name.startswith("style_params."):
            key = name.removeprefix("style_params.transformer.")
            key = key.replace(".StyleNorm.Conv_1.weights", ".scale")
            key = key.replace(".StyleNorm.Conv.weights", ".shift")
            found[key] = tf.nn.conv2d(vector, kernel, 1, "VALID") + layer.bias
    return found


def is_tuned(name: str) -> bool:
    """Whether a parameter is the style's own, or a kernel of the last layers."""
    return name.endswith((".scale", ".shift")) or (
        name.startswith("expand.") and name.endswith(".kernel")
    )


def stylized(content: tf.Tensor, parameters: Parameters) -> tf.Tensor:
    """What the stylizer's `transform` gives, of parameters in place of a vector."""
    height, width = tf.shape(content)[1], tf.shape(content)[2]
    beyond = [[0, 0], [0, -height % 4], [0, -width % 4], [0, 0]]
    x = tf.pad(content, beyond, mode="SYMMETRIC")

    def mirrored(name: str, x: tf.Tensor, stride: int = 1) -> tf.Tensor:
        kernel = parameters[f"{name}.kernel"]
        sides = [kernel.shape[0] // 2] * 2
        padded = tf.pad(x, [[0, 0], sides, sides, [0, 0]], "REFLECT")
        return tf.nn.conv2d(padded, kernel, stride, "VALID") + parameters[f"{name}.bias"]

    def styled(name: str, x: tf.Tensor) -> tf.Tensor:
        y = mirrored(name, x)
        mean, variance = tf.nn.moments(y, axes=[1, 2], keepdims=True)
        normal = (y - mean) * tf.math.rsqrt(variance + 1e-5)
        return normal * parameters[f"{name}.scale"] + parameters[f"{name}.shift"]

    for number, stride in enumerate((1, 2, 2), start=1):
        x = tf.nn.relu(mirrored(f"contract.conv{number}", x, stride))
    for number in range(1, 6):
        name = f"residual.residual{number}"
        x = x + styled(f"{name}.conv2", tf.nn.relu(styled(f"{name}.conv1", x)))
    for number in (1, 2):
        x = tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)
        x = tf.nn.relu(styled(f"expand.conv{number}.conv", x))
    return tf.sigmoid(styled("expand.conv3.conv", x))[:, :height, :width]


# --- Tuning -------------------------------------------------------------------------------------


class Patches:
    """A discriminator that learns the patches of one painting, [1, H, W, 3] in [0, 1]."""

    def __init__(self, painting: np.ndarray) -> None:
        self._painting = tf.constant(painting)
        draw, channels = tf.keras.initializers.HeNormal(SEED), 3
        self._kernels, self._biases = [], []
        for side, _, count in PATCH_LAYERS:
            self._kernels.append(tf.Variable(draw((side, side, channels, count))))
            self._biases.append(tf.Variable(tf.zeros([count])))
            channels = count
        self._adam = tf.keras.optimizers.Adam(DISCRIMINATOR_RATE, beta_1=0.5)
        self._adam.build([*self._kernels, *self._biases])

    def gradient(self, picture: tf.Tensor) -> tf.Tensor:
        """Of the loss by which a picture passes for the painting; learns one step meanwhile."""
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(picture)
            made, real = self._judged(picture), self._judged(self._painting)
            passed = -tf.reduce_mean(made)
            missed = tf.reduce_mean(tf.nn.relu(1 - real)) + tf.reduce_mean(tf.nn.relu(1 + made))
        own = [*self._kernels, *self._biases]
        self._adam.apply_gradients(zip(tape.gradient(missed, own), own, strict=True))
        return tape.gradient(passed, picture)

    def _judged(self, picture: tf.Tensor) -> tf.Tensor:
        x = 2 * picture - 1
        layers = zip(PATCH_LAYERS, self._kernels, self._biases, strict=True)
        for (_, stride, count), kernel, bias in layers:
            x = tf.nn.conv2d(x, kernel, stride, "VALID") + bias
            x = x if count == 1 else tf.nn.leaky_relu(x, 0.2)
        return x


class Tuning:
    """The stylizer on its way from a painting's style vector to a filter of the painting's own."""

    def __init__(self, painting: Path, settings: Settings, patches: float) -> None:
        self._engine, self._settings = Engine(settings, "bfloat16"), completed(settings)
        if settings.gram_weight:
            terms = (*self._engine.objective.terms, GramBeside())
            self._engine.objective = replace(self._engine.objective, terms=terms)
        self.objective = self._engine.objective
        self._painting = painting
        pixels = images.load(painting, settings.size).rgb
        shown = images.load(painting, examples.PAINTED.size).rgb  # as for the picker's looks
        every = parameters_of(style_vector(shown))
        self._tuned = {name: tf.Variable(own) for name, own in every.items() if is_tuned(name)}
        self._fixed = {name: own for name, own in every.items() if not is_tuned(name)}
        self._mean = {name: own.numpy() for name, own in self._tuned.items()}
        self._patches, self._share = Patches(pixels), patches
        self._adam = tf.keras.optimizers.Adam(RATE, beta_2=0.99)
        self._adam.build(list(self._tuned.values()))
        self._extractor = self.objective.extractor("bfloat16")
        self._extractor.load()
        self._step, self._losses = self._compiled(self._move), self._compiled(self._evaluated)
        self.steps = 0

    def example(self, name: str) -> Example:
        """An example photo with its targets: as the engine paints it, in the painting's colours."""
        photo, styles = examples.path_of("content", name), [Style(self._painting)]
        job, _ = load_job(photo, styles, self._settings, None, self.objective)
        seen = job.photo
        if self.objective.takes_colors:
            seen = job.simplified(palettes_of(job.layout), self._settings.strength)
        return Example(name, job, self._engine.problem(seen.rgb, job.layout).targets)

    def step(self, example: Example) -> None:
        self._step(example.job.photo.rgb, example.targets, self.weights)
        self.steps += 1
        share = max(AVERAGED, 5 / (self.steps + 5))
        for name, own in self._tuned.items():
            self._mean[name] += share * (own.numpy() - self._mean[name])

    def paint(self, photo: np.ndarray) -> np.ndarray:
        """A photo by the averaged parameters; both float32 [1, H, W, 3] in [0, 1]."""
        return np.asarray(stylized(photo, self._fixed | self._mean))

    def losses(self, picture: np.ndarray, targets: Targets) -> dict[str, float]:
        found = self._losses(picture, targets, self.weights)
        return {name: float(loss) for name, loss in found.items()}

    @property
    def weights(self) -> Weights:
        return {
            term.name: {
                name: tf.constant(weight, tf.float32)
                for name, weight in term.weights(self._settings).items()
            }
            for term in self.objective.terms
        }

    def _compiled(self, function: Callable[..., Any]) -> Any:
        terms = self.objective.terms
        targets = targets_signature(terms, 0, "bfloat16")
        return compiled(function, image_signature(), targets, weights_signature(terms))

    def _evaluated(self, picture: tf.Tensor, targets: Targets, weights: Weights) -> Any:
        return evaluate_whole(self.objective.terms, self._extractor, picture, targets, weights)[0]

    def _move(self, photo: tf.Tensor, targets: Targets, weights: Weights) -> Any:
        with tf.GradientTape() as tape:
            picture = stylized(photo, self._fixed | self._tuned)
        losses, gradient = evaluate_whole(
            self.objective.terms, self._extractor, picture, targets, weights
        )
        gradient /= losses["total"]  # or photos of large losses would rule
        if self._share:
            other = self._patches.gradient(picture)
            gradient += self._share * tf.norm(gradient) / (tf.norm(other) + 1e-12) * other
        own = list(self._tuned.values())
        moves = tape.gradient(picture, own, output_gradients=gradient)
        moves, _ = tf.clip_by_global_norm(moves, MOST_GRADIENT)
        self._adam.apply_gradients(zip(moves, own, strict=True))
        return losses["total"]


def shuffled(known: list[Example]) -> Iterator[Example]:
    """The examples without end, each time in another order."""
    chance = np.random.default_rng(SEED)
    while True:
        for number in chance.permutation(len(known)):
            yield known[number]


# --- Numbers and pictures -----------------------------------------------------------------------


def judged(tuning: Tuning, unseen: list[Example], painting: np.ndarray, file: str) -> list[float]:
    """Means over the unseen photos: total and style loss in millions, edges, patches."""
    numbers = []
    for example in unseen:
        picture = tuning.paint(example.job.photo.rgb)
        losses = tuning.losses(picture, example.targets)
        pixels = images.to_uint8(picture)
        Image.fromarray(pixels).save(file.format(example.name))
        edges = edge_correlation(pixels, example.job.pixels)
        patches = patch_distance(pixels, painting)
        numbers.append([losses["total"] / 1e6, losses["style"] / 1e6, edges, patches])
    return [float(mean) for mean in np.mean(numbers, axis=0)]


def main() -> None:
    parser = argparse.ArgumentParser(description="What tuning the stylizer gains.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("painting", choices=examples.NAMES["style"])
    parser.add_argument("--objective", choices=("nearest", "gram"), default="nearest")
    parser.add_argument("--averages", type=float, help="Gram matrices beside, by their gram_weight")
    parser.add_argument("--patches", type=float, default=0.0, help="of the objective's gradient")
    parser.add_argument("--seconds", type=float, nargs="+", default=[20.0, 60.0, 180.0])
    parser.add_argument("--size", type=int, default=256)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    beside = "-averages" * bool(options.averages) + "-patches" * bool(options.patches)
    name = f"{options.painting}-{{}}-{options.objective}{beside}"

    settings = Settings(
        style_loss=options.objective, gram_weight=options.averages, size=options.size
    )
    painting = examples.path_of("style", options.painting)
    tuning = Tuning(painting, settings, options.patches)
    unseen = [tuning.example(photo) for photo in UNSEEN]
    known = [tuning.example(photo) for photo in examples.NAMES["content"] if photo not in UNSEEN]
    pixels = images.to_uint8(images.load(painting, options.size).rgb)

    rows, spent, order = [], 0.0, shuffled(known)
    for seconds in [0.0, *sorted(options.seconds)]:
        while spent < seconds:
            began = time.perf_counter()
            tuning.step(next(order))
            spent += time.perf_counter() - began
        file = str(options.folder / f"{name}-{seconds:g}.png")
        rows.append([f"{seconds:g}", tuning.steps, *judged(tuning, unseen, pixels, file)])
    head = ["seconds", "steps", "loss, M", "style, M", "edges", "patches"]
    print(report.machine(), report.table(head, rows), sep="\n\n")


if __name__ == "__main__":
    main()
