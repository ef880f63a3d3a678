"""One step of the optimisation: optimizers of one call shape, and the compiled function.

A step is: move the pixels as the optimizer says, project them to [0, 1], compute the features,
the losses and the gradient there. All of it is one `tf.function` that is traced once for all
image shapes; what changes from run to run enters as tensors.

To add an optimizer, write its `init` and `update` and enter them in `OPTIMIZERS`. The command
line and the page find it there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from nst_core import losses
from nst_core.features import times_seen
from nst_core.lazy import tf
from nst_core.pyramid import over_scales

Extract = Callable[[Any], dict[str, Any]]  # image [1, H, W, 3] -> layer name -> features


# --- Optimizers ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Optimizer:
    """An algorithm that turns gradients into moves.

    init(x) -> state                                     before the first step
    update(x, gradient, state, learning_rate) -> x, state      one step, not yet projected

    `x` is a picture, float32 [1, H, W, 3], and `state` any nest of tensors. The next `x` that
    `update` gets may differ from the one it returned, because the pixels are projected in between.
    """

    init: Callable[[Any], Any]
    update: Callable[[Any, Any, Any, Any], tuple[Any, Any]]
    learning_rate: float  # the default: a good step for pixels in [0, 1]
    frugal_init: Callable[[Any], Any] | None = None  # the same for pictures that fill the memory


def gradient_descent_init(x: tf.Tensor) -> tuple[()]:
    """Gradient descent remembers nothing."""
    return ()


def gradient_descent_update(
    x: tf.Tensor, gradient: tf.Tensor, state: tuple[()], learning_rate: tf.Tensor
) -> tuple[tf.Tensor, tuple[()]]:
    """x - learning_rate * gradient: the paper's update of the pixels."""
    return x - learning_rate * gradient, state


class AdamState(NamedTuple):
    step: tf.Tensor  # steps done, float32
    mean: tf.Tensor  # of the gradients, like x
    square: tf.Tensor  # mean of the squared gradients, like x


def adam_init(x: tf.Tensor) -> AdamState:
    return AdamState(tf.zeros([]), tf.zeros_like(x), tf.zeros_like(x))


def adam_update(
    x: tf.Tensor,
    gradient: tf.Tensor,
    state: AdamState,
    learning_rate: tf.Tensor,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[tf.Tensor, AdamState]:
    """Adam (Kingma and Ba 2015, algorithm 1), epsilon outside the root as there."""
    step = state.step + 1
    mean = beta1 * state.mean + (1 - beta1) * gradient
    square = beta2 * state.square + (1 - beta2) * tf.square(gradient)
    unbiased_mean = mean / (1 - beta1**step)
    unbiased_square = square / (1 - beta2**step)
    move = learning_rate * unbiased_mean / (tf.sqrt(unbiased_square) + epsilon)
    return x - move, AdamState(step, mean, square)


LBFGS_MEMORY = 10  # pairs remembered; each costs two images of memory

# Of a picture that fills the memory, half as many pairs in half as many bits: a quarter of it. On
# three pairs at 320 px the losses were within 1.3 % after 24 steps, and within 0.5 % after 60.
LBFGS_FRUGAL_MEMORY, LBFGS_FRUGAL_TYPE = 5, "bfloat16"
LBFGS_FIRST_MOVE = 0.02  # mean move of the first step, when no curvature is known yet
LBFGS_LONGEST_MOVE = 0.03  # mean move that a step may not exceed; 0.1 overshot on some pairs

# Halvings of the picture that a step of L-BFGS moves as readily as single pixels. Against none, on
# four pairs at 256 px, the losses were 0 to 10 % lower at 40 to 80 steps, and after 10, where one
# pair had overshot, a sixth; the pictures were smoother. 2 and 6 made no difference.
LBFGS_LEVELS = 4


class LbfgsState(NamedTuple):
    x: tf.Tensor  # where the last update stood, like x
    gradient: tf.Tensor  # the gradient there, like x
    moves: tuple[tf.Tensor, ...]  # s_k = x_{k+1} - x_k, newest first, like x
    bends: tuple[tf.Tensor, ...]  # y_k = g_{k+1} - g_k, like x
    rho: tuple[tf.Tensor, ...]  # 1 / (s_k . y_k), scalars; 0 marks an empty place


def lbfgs_init(x: tf.Tensor, pairs: int = LBFGS_MEMORY, dtype: str = "float32") -> LbfgsState:
    empty = tf.zeros_like(x, dtype)  # one tensor in all places, so that they take no memory
    places = (empty,) * pairs
    return LbfgsState(x, tf.zeros_like(x), places, places, (tf.zeros([]),) * pairs)


def lbfgs_update(
    x: tf.Tensor,
    gradient: tf.Tensor,
    state: LbfgsState,
    learning_rate: tf.Tensor,
    spread: Callable[[Any], Any] = lambda x: x,
) -> tuple[tf.Tensor, LbfgsState]:
    """L-BFGS (Liu and Nocedal 1989; Nocedal and Wright, algorithm 7.4), Gatys' optimizer.

    Without a line search, which would cost whole evaluations: each step is learning_rate times
    the quasi-Newton direction, limited to a mean move of `LBFGS_LONGEST_MOVE`. The pairs are
    taken between the points where gradients were really measured, so the projection of the
    pixels between two updates keeps them true. A pair without positive curvature is left out.

    `spread` is the shape of the initial inverse Hessian, a symmetric, positive definite linear
    map; without it that is the identity, as in the textbook.
    """
    # As they are remembered, so that their curvature is theirs when the numbers are short.
    move = _shortened(x - state.x, state.moves[0].dtype)
    bend = _shortened(gradient - state.gradient, state.bends[0].dtype)
    curvature = _dot(move, bend)
    # The very first call has no move; its curvature is 0 and no pair is stored.
    is_sound = curvature > 1e-10 * tf.norm(move) * tf.norm(bend)
    moves, bends, rho = tf.cond(
        is_sound,
        lambda: (
            _push(state.moves, tf.cast(move, state.moves[0].dtype)),
            _push(state.bends, tf.cast(bend, state.bends[0].dtype)),
            _push(state.rho, 1 / curvature),
        ),
        lambda: (state.moves, state.bends, state.rho),
    )
    step = -learning_rate * _quasi_newton(gradient, moves, bends, rho, spread)
    mean_move = tf.reduce_mean(tf.abs(step))
    step *= tf.minimum(1.0, tf.math.divide_no_nan(LBFGS_LONGEST_MOVE, mean_move))
    return x + step, LbfgsState(x, gradient, moves, bends, rho)


def _quasi_newton(
    gradient: tf.Tensor,
    moves: Sequence[tf.Tensor],
    bends: Sequence[tf.Tensor],
    rho: Sequence[tf.Tensor],
    spread: Callable[[Any], Any],
) -> tf.Tensor:
    """The two-loop recursion: the inverse Hessian's estimate times the gradient.

    An empty place has rho = 0, so that it changes nothing and needs no branch.
    """
    direction, alphas = gradient, []
    for k in range(len(rho)):  # newest first
        alphas.append(rho[k] * _dot(moves[k], direction))
        direction -= alphas[k] * _at_full_length(bends[k], direction)
    direction = spread(direction)
    newest = _at_full_length(bends[0], direction)
    direction *= _first_scale(direction, _dot(newest, spread(newest)), rho[0])
    for k in reversed(range(len(rho))):
        beta = rho[k] * _dot(bends[k], direction)
        direction += (alphas[k] - beta) * _at_full_length(moves[k], direction)
    return direction


def _first_scale(direction: tf.Tensor, bend_square: tf.Tensor, rho: tf.Tensor) -> tf.Tensor:
    """Size of the initial inverse Hessian: s.y / y.Py, or without a pair a small first move."""
    small = tf.math.divide_no_nan(LBFGS_FIRST_MOVE, tf.reduce_mean(tf.abs(direction)))
    return tf.where(rho > 0, tf.math.divide_no_nan(1.0, rho * bend_square), small)


def _dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Of a remembered tensor, or of one like any other, and of one in full precision."""
    return tf.reduce_sum(_at_full_length(a, b) * b)


def _at_full_length(remembered: tf.Tensor, beside: tf.Tensor) -> tf.Tensor:
    """In the precision of `beside`, and not before that is there.

    TensorFlow does at once what it can: all pairs would be in memory at full length together.
    """
    with tf.control_dependencies([beside]):
        return tf.cast(remembered, beside.dtype)


def _shortened(x: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """With the digits that another dtype leaves."""
    return tf.cast(tf.cast(x, dtype), x.dtype)


def _push(memory: tuple[tf.Tensor, ...], newest: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Put `newest` in front and drop the oldest; nothing is copied."""
    return (newest, *memory[:-1])


def _spread_on_images(image: tf.Tensor) -> tf.Tensor:
    """C^-1/2 P C^-1/2 `image`: P `over_scales`, C the `times_seen` of each pixel.

    A pixel near a border is in VGG's image twice, so its loss bends twice as much. Without C the
    first steps of each scale go too far there, and where steps are few they leave a speckled rim.
    """
    height, width = tf.unstack(tf.shape(image)[1:3])
    rows = tf.math.rsqrt(times_seen(height))[:, tf.newaxis, tf.newaxis]
    columns = tf.math.rsqrt(times_seen(width))[:, tf.newaxis]
    return over_scales(image * rows * columns, LBFGS_LEVELS) * rows * columns


_frugal_lbfgs_init = functools.partial(
    lbfgs_init, pairs=LBFGS_FRUGAL_MEMORY, dtype=LBFGS_FRUGAL_TYPE
)
_lbfgs_on_images = functools.partial(lbfgs_update, spread=_spread_on_images)

OPTIMIZERS: dict[str, Optimizer] = {
    "lbfgs": Optimizer(lbfgs_init, _lbfgs_on_images, 1.0, _frugal_lbfgs_init),  # Gatys'
    "adam": Optimizer(adam_init, adam_update, 0.02),
    "gradient_descent": Optimizer(gradient_descent_init, gradient_descent_update, 1e-8),  # paper's
}


# --- The step -----------------------------------------------------------------------------------


class StyleTargets(NamedTuple):
    """What one region of the picture is compared with."""

    grams: dict[str, tf.Tensor]  # style layer -> the painting's Gram matrix / M, [N_l, N_l]
    share: tf.Tensor  # of the picture that the region has, scalar
    guides: dict[str, losses.Guide]  # style layer -> where the region is; empty: everywhere


class Kept(NamedTuple):
    """What of the picture stays as in the photo."""

    photo: tf.Tensor  # float32 [1, H, W, 3] in [0, 1]
    place: tf.Tensor  # float32 [1, H, W, 1]: 1 where it stays, 0 where it is painted


class Targets(NamedTuple):
    """What the picture is compared with.

    Where a single style rules everywhere, which is the usual case, its guides are empty and `kept`
    is the empty tuple: that step has nothing to multiply.
    """

    content: tf.Tensor  # the photo's features at the content layer, [1, H_l, W_l, N_l]
    styles: tuple[StyleTargets, ...]
    kept: Kept | tuple[()] = ()


class Weights(NamedTuple):
    """The weights of the losses, float32 scalars."""

    content: tf.Tensor  # alpha
    style: tf.Tensor  # beta
    tv: tf.Tensor  # gamma
    layers: dict[str, tf.Tensor]  # style layer -> w_l


class State(NamedTuple):
    """Where the optimisation stands: everything that the next step needs."""

    image: tf.Tensor  # float32 [1, H, W, 3] in [0, 1], before the photo covers what is kept
    gradient: tf.Tensor  # of the total loss at `image`, the same shape
    losses: dict[str, tf.Tensor]  # at `image`, weighted: total, content, style, tv
    finite: tf.Tensor  # bool: image, gradient and losses hold no NaN or infinity
    optimizer: Any  # the optimizer's own state


@dataclass(frozen=True)
class CompiledStep:
    """The two compiled functions of one extractor and one optimizer.

    start(image, targets, weights) -> State               losses and gradient at a first image
    step(state, targets, weights, learning_rate) -> State      one step further
    """

    start: Any
    step: Any


def compile_step(
    extract: Extract,
    content_layer: str,
    style_layers: tuple[str, ...],
    optimizer: Optimizer,
    *,
    regions: int = 0,
    precision: str = "float32",
    use_xla: bool = False,
) -> CompiledStep:
    """Compile the step for an extractor and an optimizer; shapes and weights stay open.

    The signatures leave height and width open, so a new image shape does not trace again. With
    XLA it is compiled again all the same, by XLA.

    Args:
        regions: how many regions the targets have; 0 for one style everywhere, without guides.
        precision: of the features that `extract` returns, and of the photo's among the targets.
    """

    def evaluate(image: tf.Tensor, targets: Targets, weights: Weights) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(image)
            picture = lay_photo_over(image, targets.kept)
            terms = loss_terms(picture, extract(picture), content_layer, targets, weights)
        return terms, tape.gradient(terms["total"], image)

    def start(image: tf.Tensor, targets: Targets, weights: Weights) -> State:
        terms, gradient = evaluate(image, targets, weights)
        finite = all_finite(image, gradient, terms["total"])
        return State(image, gradient, terms, finite, optimizer.init(image))

    def step(state: State, targets: Targets, weights: Weights, learning_rate: tf.Tensor) -> State:
        moved, memory = optimizer.update(
            state.image, state.gradient, state.optimizer, learning_rate
        )
        image = project(moved)
        terms, gradient = evaluate(image, targets, weights)
        finite = all_finite(moved, gradient, terms["total"])  # projecting would hide infinity
        return State(image, gradient, terms, finite, memory)

    scalar = tf.TensorSpec([])
    inputs = (
        targets_signature(style_layers, regions, precision),
        Weights(scalar, scalar, scalar, dict.fromkeys(style_layers, scalar)),
    )
    compiled_start = tf.function(
        start, input_signature=(image_signature(), *inputs), autograph=False, jit_compile=use_xla
    )
    # The state's own signature is what `start` returns, whatever the optimizer remembers.
    state = signature_of(compiled_start.get_concrete_function().structured_outputs)
    compiled_step = tf.function(
        step, input_signature=(state, *inputs, scalar), autograph=False, jit_compile=use_xla
    )
    compiled_step.get_concrete_function()  # traced here, not while somebody watches
    return CompiledStep(compiled_start, compiled_step)


def image_signature() -> tf.TensorSpec:
    """A picture of any size."""
    return tf.TensorSpec([1, None, None, 3])


def signature_of(outputs: Any) -> Any:
    """The signature of a function that takes what another one returns."""
    return tf.nest.map_structure(lambda one: tf.TensorSpec(one.shape, one.dtype), outputs)


def targets_signature(style_layers: tuple[str, ...], regions: int, precision: str) -> Targets:
    """The shapes of `Targets` with so many regions, as `tf.function` wants to know them."""
    content = tf.TensorSpec([1, None, None, None], precision)
    place = tf.TensorSpec([1, None, None, 1])
    guide = losses.Guide(tf.TensorSpec([2], tf.int32), place)
    style = StyleTargets(
        dict.fromkeys(style_layers, tf.TensorSpec([None, None])),
        tf.TensorSpec([]),
        dict.fromkeys(style_layers, guide) if regions else {},
    )
    kept = Kept(image_signature(), place) if regions else ()
    return Targets(content, (style,) * max(1, regions), kept)


def lay_photo_over(image: tf.Tensor, kept: Kept | tuple[()]) -> tf.Tensor:
    """The picture with the photo over what is kept of it.

    Part of the function that is optimised, so no gradient moves what is covered, and strokes that
    end there see what they meet.
    """
    return image + kept.place * (kept.photo - image) if isinstance(kept, Kept) else image


def loss_terms(
    image: tf.Tensor,
    features: Mapping[str, tf.Tensor],
    content_layer: str,
    targets: Targets,
    weights: Weights,
) -> dict[str, tf.Tensor]:
    """The total loss of a picture [1, H, W, 3] and its weighted terms, scalars.

    See `weighted_terms` for what they are.
    """
    variation = losses.total_variation(image)
    sums = sum_up(features, content_layer, targets, variation)
    return weighted_terms(sums, tf.shape(image), targets, weights)


class Sums(NamedTuple):
    """What the losses are made of; the sums of the parts of a picture add up to its own."""

    content: tf.Tensor  # L_content, scalar
    correlations: tuple[dict[str, tf.Tensor], ...]  # of each region: layer -> [N_l, N_l]
    positions: tuple[dict[str, tf.Tensor], ...]  # of each region: layer -> M_l, scalar
    variation: tf.Tensor  # TV, scalar


def sum_up(
    features: Mapping[str, tf.Tensor], content_layer: str, targets: Targets, variation: tf.Tensor
) -> Sums:
    """The sums of a picture, or of a part of one with its part of the targets."""
    parts = [_part_of_region(features, style) for style in targets.styles]
    return Sums(
        losses.content_loss(features[content_layer], targets.content),
        tuple({layer: losses.correlations(f) for layer, f in part.items()} for part in parts),
        tuple({layer: losses.positions(f) for layer, f in part.items()} for part in parts),
        variation,
    )


def _part_of_region(features: Mapping[str, tf.Tensor], style: StyleTargets) -> dict[str, tf.Tensor]:
    if not style.guides:
        return {layer: features[layer] for layer in style.grams}
    return {layer: losses.guided(features[layer], guide) for layer, guide in style.guides.items()}


def weighted_terms(
    sums: Sums, shape: tf.Tensor, targets: Targets, weights: Weights
) -> dict[str, tf.Tensor]:
    """The total loss and its weighted terms, scalars.

        L_total = alpha s L_content + beta L_style + gamma TV       (Gatys et al. 2015, eq. 7)

    With regions, L_style is the sum of theirs (Gatys et al. 2017), each by its share of the
    picture, so that a pixel is pulled as hard in a small region as in a large one.

    TV and s = 512^2 / (H W) are ours: s keeps one alpha meaning one look at every size, because
    L_content grows with the number of positions while L_style does not; at 512 x 512 it is 1.

    Args:
        sums, shape: of the whole picture; shape is [1, H, W, 3].
    """
    area = tf.cast(shape[1] * shape[2], tf.float32)
    terms = {
        "content": weights.content * 512.0**2 / area * sums.content,
        "style": weights.style * _style_loss(sums, targets, weights.layers),
        "tv": weights.tv * sums.variation,
    }
    return {"total": tf.add_n(list(terms.values())), **terms}


def _style_loss(sums: Sums, targets: Targets, layer_weights: Mapping[str, tf.Tensor]) -> tf.Tensor:
    regions = zip(sums.correlations, sums.positions, targets.styles, strict=True)
    return tf.add_n(
        [
            style.share
            * losses.gram_loss(
                {layer: correlations[layer] / positions[layer] for layer in layer_weights},
                style.grams,
                layer_weights,
            )
            for correlations, positions, style in regions
        ]
    )


def project(image: tf.Tensor) -> tf.Tensor:
    """The nearest picture that can be shown: every value in [0, 1]."""
    return tf.clip_by_value(image, 0.0, 1.0)


def all_finite(*tensors: tf.Tensor) -> tf.Tensor:
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(tensor)) for tensor in tensors])
