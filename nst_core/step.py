"""One step of the optimisation: optimizers of one call shape, and the compiled function.

A step is: move the pixels as the optimizer says, project them to [0, 1], compute the features,
the losses and the gradient there. All of it is one `tf.function` that is traced once for all
image shapes; what changes from run to run enters as tensors.

To add an optimizer, write its `init` and `update` and enter them in `OPTIMIZERS`. The command
line and the page find it there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from nst_core import losses
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
LBFGS_FIRST_MOVE = 0.02  # mean move of the first step, when no curvature is known yet
LBFGS_LONGEST_MOVE = 0.03  # mean move that a step may not exceed; 0.1 overshot on some pairs

# Halvings of the picture that a step of L-BFGS moves as readily as single pixels. Against none, on
# four pairs at 256 px, the losses were 0 to 10 % lower at 40 to 80 steps, and after 10, where one
# pair had overshot, a sixth; the pictures were smoother. 2 and 6 made no difference.
LBFGS_LEVELS = 4


class LbfgsState(NamedTuple):
    x: tf.Tensor  # where the last update stood, like x
    gradient: tf.Tensor  # the gradient there, like x
    moves: tf.Tensor  # s_k = x_{k+1} - x_k, newest first, [LBFGS_MEMORY, *x.shape]
    bends: tf.Tensor  # y_k = g_{k+1} - g_k, the same shape
    rho: tf.Tensor  # 1 / (s_k . y_k), [LBFGS_MEMORY]; 0 marks an empty place


def lbfgs_init(x: tf.Tensor) -> LbfgsState:
    empty = tf.zeros(tf.concat([[LBFGS_MEMORY], tf.shape(x)], axis=0))
    empty = tf.ensure_shape(empty, [LBFGS_MEMORY, *x.shape])
    return LbfgsState(x, tf.zeros_like(x), empty, empty, tf.zeros([LBFGS_MEMORY]))


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
    move, bend = x - state.x, gradient - state.gradient
    curvature = _dot(move, bend)
    # The very first call has no move; its curvature is 0 and no pair is stored.
    is_sound = curvature > 1e-10 * tf.norm(move) * tf.norm(bend)
    moves, bends, rho = tf.cond(
        is_sound,
        lambda: (
            _push(state.moves, move),
            _push(state.bends, bend),
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
    moves: tf.Tensor,
    bends: tf.Tensor,
    rho: tf.Tensor,
    spread: Callable[[Any], Any],
) -> tf.Tensor:
    """The two-loop recursion: the inverse Hessian's estimate times the gradient.

    An empty place has rho = 0, so that it changes nothing and needs no branch.
    """
    direction, alphas = gradient, []
    for k in range(LBFGS_MEMORY):  # newest first
        alphas.append(rho[k] * _dot(moves[k], direction))
        direction -= alphas[k] * bends[k]
    direction = spread(direction)
    direction *= _first_scale(direction, _dot(bends[0], spread(bends[0])), rho[0])
    for k in reversed(range(LBFGS_MEMORY)):
        beta = rho[k] * _dot(bends[k], direction)
        direction += (alphas[k] - beta) * moves[k]
    return direction


def _first_scale(direction: tf.Tensor, bend_square: tf.Tensor, rho: tf.Tensor) -> tf.Tensor:
    """Size of the initial inverse Hessian: s.y / y.Py, or without a pair a small first move."""
    small = tf.math.divide_no_nan(LBFGS_FIRST_MOVE, tf.reduce_mean(tf.abs(direction)))
    return tf.where(rho > 0, tf.math.divide_no_nan(1.0, rho * bend_square), small)


def _dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(a * b)


def _push(memory: tf.Tensor, newest: tf.Tensor) -> tf.Tensor:
    """Put `newest` in front and drop the oldest."""
    return tf.concat([newest[tf.newaxis], memory[:-1]], axis=0)


_lbfgs_on_images = functools.partial(
    lbfgs_update, spread=functools.partial(over_scales, levels=LBFGS_LEVELS)
)

OPTIMIZERS: dict[str, Optimizer] = {
    "lbfgs": Optimizer(lbfgs_init, _lbfgs_on_images, 1.0),  # Gatys'
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

    content: tf.Tensor  # the photo's features at the content layer, float32 [1, H_l, W_l, N_l]
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
    use_xla: bool = False,
) -> CompiledStep:
    """Compile the step for an extractor and an optimizer; shapes and weights stay open.

    The signatures leave height and width open, so a new image shape does not trace again. With
    XLA it is compiled again all the same, by XLA.

    Args:
        regions: how many regions the targets have; 0 for one style everywhere, without guides.
    """

    def evaluate(image: tf.Tensor, targets: Targets, weights: Weights) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(image)
            picture = lay_photo_over(image, targets.kept)
            terms = loss_terms(picture, extract(picture), content_layer, targets, weights)
        return terms, tape.gradient(terms["total"], image)

    def start(image: tf.Tensor, targets: Targets, weights: Weights) -> State:
        terms, gradient = evaluate(image, targets, weights)
        finite = _all_finite(image, gradient, terms["total"])
        return State(image, gradient, terms, finite, optimizer.init(image))

    def step(state: State, targets: Targets, weights: Weights, learning_rate: tf.Tensor) -> State:
        moved, memory = optimizer.update(
            state.image, state.gradient, state.optimizer, learning_rate
        )
        image = project(moved)
        terms, gradient = evaluate(image, targets, weights)
        finite = _all_finite(moved, gradient, terms["total"])  # projecting would hide infinity
        return State(image, gradient, terms, finite, memory)

    scalar, image = tf.TensorSpec([]), tf.TensorSpec([1, None, None, 3])
    inputs = (
        _targets_signature(style_layers, regions),
        Weights(scalar, scalar, scalar, dict.fromkeys(style_layers, scalar)),
    )
    compiled_start = tf.function(
        start, input_signature=(image, *inputs), autograph=False, jit_compile=use_xla
    )
    # The state's own signature is what `start` returns, whatever the optimizer remembers.
    state = tf.nest.map_structure(
        lambda output: tf.TensorSpec(output.shape, output.dtype),
        compiled_start.get_concrete_function().structured_outputs,
    )
    compiled_step = tf.function(
        step, input_signature=(state, *inputs, scalar), autograph=False, jit_compile=use_xla
    )
    compiled_step.get_concrete_function()  # traced here, not while somebody watches
    return CompiledStep(compiled_start, compiled_step)


def _targets_signature(style_layers: tuple[str, ...], regions: int) -> Targets:
    """The shapes of `Targets` with so many regions, as `tf.function` wants to know them."""
    image, place = tf.TensorSpec([1, None, None, 3]), tf.TensorSpec([1, None, None, 1])
    guide = losses.Guide(tf.TensorSpec([2], tf.int32), place)
    style = StyleTargets(
        dict.fromkeys(style_layers, tf.TensorSpec([None, None])),
        tf.TensorSpec([]),
        dict.fromkeys(style_layers, guide) if regions else {},
    )
    kept = Kept(image, place) if regions else ()
    return Targets(tf.TensorSpec([1, None, None, None]), (style,) * max(1, regions), kept)


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
    """The total loss and its weighted terms, scalars.

        L_total = alpha s L_content + beta L_style + gamma TV       (Gatys et al. 2015, eq. 7)

    With regions, L_style is the sum of theirs (Gatys et al. 2017), each by its share of the
    picture, so that a pixel is pulled as hard in a small region as in a large one.

    TV and s = 512^2 / (H W) are ours: s keeps one alpha meaning one look at every size, because
    L_content grows with the number of positions while L_style does not; at 512 x 512 it is 1.
    """
    area = tf.cast(tf.shape(image)[1] * tf.shape(image)[2], tf.float32)
    content = losses.content_loss(features[content_layer], targets.content)
    style = tf.add_n([_style_loss(features, style, weights.layers) for style in targets.styles])
    terms = {
        "content": weights.content * 512.0**2 / area * content,
        "style": weights.style * style,
        "tv": weights.tv * losses.total_variation(image),
    }
    return {"total": tf.add_n(list(terms.values())), **terms}


def _style_loss(
    features: Mapping[str, tf.Tensor], style: StyleTargets, layer_weights: Mapping[str, tf.Tensor]
) -> tf.Tensor:
    if style.guides:
        features = {
            layer: losses.guided(features[layer], guide) for layer, guide in style.guides.items()
        }
    return style.share * losses.style_loss(features, style.grams, layer_weights)


def project(image: tf.Tensor) -> tf.Tensor:
    """The nearest picture that can be shown: every value in [0, 1]."""
    return tf.clip_by_value(image, 0.0, 1.0)


def _all_finite(*tensors: tf.Tensor) -> tf.Tensor:
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(tensor)) for tensor in tensors])
