"""One step of the optimisation: move, project, and look at the losses and their gradient there.

There is one `start` and one `step`. What differs is how a picture's loss and gradient are found, an
`Evaluate`: on the whole picture, where all of a step is one compiled function, or tile by tile
(`tiled_step.py`). What changes from run to run enters as tensors, so that each is traced once for
all sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from nst_core.lazy import tf
from nst_core.losses.term import Part, Term
from nst_core.networks.extractor import Extractor
from nst_core.optimizers.optimizer import Optimizer

Weights = dict[str, dict[str, Any]]  # name of a term -> `Term.weights` as float32 scalars


class Kept(NamedTuple):
    """What of the picture stays as in the photo."""

    photo: tf.Tensor  # float32 [1, H, W, 3] in [0, 1]
    mask: tf.Tensor  # float32 [1, H, W, 1]: 1 where it stays, 0 where it is painted


class Targets(NamedTuple):
    """What the picture is compared with.

    Where one style applies everywhere, which is the usual case, `kept` is the empty tuple and no
    term has guides: that step has nothing to multiply.
    """

    terms: dict[str, Any]  # name of a term -> its target
    kept: Kept | tuple[()] = ()


class State(NamedTuple):
    """Where the optimisation stands: everything that the next step needs."""

    image: tf.Tensor  # float32 [1, H, W, 3] in [0, 1], before the photo covers what is kept
    gradient: tf.Tensor  # of the total loss at `image`, the same shape
    losses: dict[str, tf.Tensor]  # at `image`, weighted: total, and one for each term
    finite: tf.Tensor  # bool: image, gradient and losses hold no NaN or infinity
    optimizer: Any  # the optimizer's own state


# Image, targets, weights -> losses and gradient there.
Evaluate = Callable[[Any, Targets, Weights], tuple[dict[str, Any], Any]]


@dataclass(frozen=True, eq=False)
class CompiledStep:
    """The two functions that paint, for one objective.

    start(image, targets, weights) -> State               losses and gradient at a first image
    step(state, targets, weights, learning_rate) -> State      one step further
    """

    start: Any
    step: Any


def bind(evaluate: Evaluate, init: Callable[..., Any], move: Callable[..., Any]) -> CompiledStep:
    """`start` and `step`, not yet compiled.

    Args:
        init: the optimizer's.
        move: what `moving` returns, or that compiled.
    """

    def start(image: tf.Tensor, targets: Targets, weights: Weights) -> State:
        losses, gradient = evaluate(image, targets, weights)
        finite = all_finite(image, gradient, losses["total"])
        return State(image, gradient, losses, finite, init(image))

    def step(state: State, targets: Targets, weights: Weights, learning_rate: tf.Tensor) -> State:
        image, memory, is_sound = move(state.image, state.gradient, state.optimizer, learning_rate)
        losses, gradient = evaluate(image, targets, weights)
        finite = is_sound & all_finite(gradient, losses["total"])
        return State(image, gradient, losses, finite, memory)

    return CompiledStep(start, step)


def moving(optimizer: Optimizer) -> Callable[..., Any]:
    """The optimizer's update, projected: the image, its state, and whether the move is finite."""

    def move(image: tf.Tensor, gradient: tf.Tensor, memory: Any, rate: tf.Tensor) -> Any:
        moved, memory = optimizer.update(image, gradient, memory, rate)
        return project(moved), memory, all_finite(moved)  # projecting would hide infinity

    return move


def compile_step(
    extractor: Extractor,
    terms: tuple[Term, ...],
    optimizer: Optimizer,
    *,
    regions: int = 0,
    use_xla: bool = False,
) -> CompiledStep:
    """Compile the step on the whole picture; shapes and weights stay open.

    The signatures leave height and width open, so a new image size does not trace again. With
    XLA it is compiled again all the same, by XLA.

    Args:
        regions: how many regions the targets have; 0 for one style everywhere, without guides.
    """

    inputs = (
        targets_signature(terms, regions, extractor.precision),
        weights_signature(terms),
    )

    def evaluate(image: tf.Tensor, targets: Targets, weights: Weights) -> tuple[Any, Any]:
        return evaluate_whole(terms, extractor, image, targets, weights)

    # Tracing network and gradient takes longest: once, for both functions that call this one.
    evaluated = compiled(evaluate, image_signature(), *inputs, use_xla=use_xla)
    plain = bind(evaluated, optimizer.init, moving(optimizer))
    start = compiled(plain.start, image_signature(), *inputs, use_xla=use_xla)
    # The state's own signature is what `start` returns, whatever the optimizer remembers.
    state = signature_of(start.get_concrete_function().structured_outputs)
    step = compiled(plain.step, state, *inputs, tf.TensorSpec([]), use_xla=use_xla)
    return CompiledStep(start, step)


# --- Losses -------------------------------------------------------------------------------------


def evaluate_whole(
    terms: tuple[Term, ...],
    extract: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    image: tf.Tensor,
    targets: Targets,
    weights: Weights,
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Losses and gradient of a picture that is looked at as a whole.

    Args:
        extract: the picture, [1, H, W, 3] -> the features that the terms need.
    """
    with tf.GradientTape() as tape:
        tape.watch(image)
        picture = lay_photo_over(image, targets.kept)
        statistics = statistics_of(terms, Part(extract(picture), picture), targets)
        size = tf.shape(picture)[1:3]
        losses = weighted_losses(terms, statistics, size, targets, weights)
    return losses, tape.gradient(losses["total"], image, unconnected_gradients="zero")


def statistics_of(terms: tuple[Term, ...], part: Part, targets: Targets) -> dict[str, Any]:
    """The statistics of a picture, or of a part of one with its part of the targets."""
    return {term.name: term.statistics(part, targets.terms[term.name]) for term in terms}


def weighted_losses(
    terms: tuple[Term, ...],
    statistics: Mapping[str, Any],
    size: tf.Tensor,
    targets: Targets,
    weights: Weights,
) -> dict[str, tf.Tensor]:
    """The total loss of a picture and its weighted terms, scalars.

    Args:
        statistics: of the whole picture.
        size: its height and width in pixels, int32 [2].
    """
    area = tf.cast(tf.reduce_prod(size), tf.float32)
    losses = {
        term.name: term.loss(
            statistics[term.name], targets.terms[term.name], weights[term.name], area
        )
        for term in terms
    }
    total = tf.add_n(list(losses.values())) if losses else tf.zeros([])
    return {"total": total, **losses}


def lay_photo_over(image: tf.Tensor, kept: Kept | tuple[()]) -> tf.Tensor:
    """The picture with the photo over what is kept of it.

    Part of the function that is optimised, so no gradient moves what is covered, and strokes that
    end there see what they meet.
    """
    return image + kept.mask * (kept.photo - image) if isinstance(kept, Kept) else image


def project(image: tf.Tensor) -> tf.Tensor:
    """The nearest picture that can be shown: every value in [0, 1]."""
    return tf.clip_by_value(image, 0.0, 1.0)


def all_finite(*tensors: tf.Tensor) -> tf.Tensor:
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(tensor)) for tensor in tensors])


# --- Compiling ----------------------------------------------------------------------------------


def compiled(function: Callable[..., Any], *signature: Any, use_xla: bool = False) -> Any:
    """The function compiled, and traced at once rather than while somebody watches."""
    made = tf.function(function, input_signature=signature, autograph=False, jit_compile=use_xla)
    made.get_concrete_function()
    return made


def image_signature() -> tf.TensorSpec:
    """A picture of any size."""
    return tf.TensorSpec([1, None, None, 3])


def targets_signature(terms: tuple[Term, ...], regions: int, precision: str) -> Targets:
    """The specifications of `Targets` with so many regions."""
    kept = Kept(image_signature(), tf.TensorSpec([1, None, None, 1])) if regions else ()
    return Targets({term.name: term.target_signature(regions, precision) for term in terms}, kept)


def weights_signature(terms: tuple[Term, ...]) -> Weights:
    """The specifications of `Weights`."""
    return {term.name: {name: tf.TensorSpec([]) for name in term.weight_names} for term in terms}


def signature_of(outputs: Any) -> Any:
    """The signature of a function that takes what another one returns."""
    return tf.nest.map_structure(lambda one: tf.TensorSpec(one.shape, one.dtype), outputs)
