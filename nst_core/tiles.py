"""The step tile by tile: the same losses and gradient, in memory that the picture does not set.

VGG-16's activations take a kilobyte for each pixel, and the gradient needs all of them at once. But
the losses depend on the picture only through a few sums over its positions (`step.Sums`), and those
of its parts add up:

    L = f(sum_t S_t(x))        grad L = sum_t (dS_t/dx)^T grad f

So one pass over the tiles adds up the sums, and a second one takes each tile's gradient against
those of the whole picture. A tile sees as far beyond its own pixels as VGG-16 does, so nothing is
approximated: up to rounding, it is the gradient of `step.py`.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nst_core import losses
from nst_core.features import (
    COARSEST_STRIDE,
    LAYERS,
    MARGIN,
    Extractor,
    mirror_borders,
    reach,
    stride,
)
from nst_core.lazy import tf
from nst_core.step import (
    CompiledStep,
    Kept,
    Optimizer,
    State,
    Sums,
    Targets,
    Weights,
    all_finite,
    image_signature,
    lay_photo_over,
    project,
    signature_of,
    sum_up,
    targets_signature,
    weighted_terms,
)

# Of a tile's own pixels, in a picture that is too large to be looked at as a whole. With what it
# sees around them it has 832 x 832, which take 0.6 GB, or 1.2 in float32 (see `memory`).
SIDE = 640

# Pictures of more pixels are painted in tiles: at 3 kB for each, they would take more than 7 GB.
MOST_AT_ONCE = 1536 * 1536

# Pixels, halos included, of all tiles of a picture that keep their activations from the first pass
# to the second. Those of a larger picture compute them again, which costs half a step more. A
# picture of 1024 x 1024 px keeps them.
MOST_KEPT = 1_500_000


# --- Where the tiles are ------------------------------------------------------------------------


Box = tuple[slice, slice]  # rows and columns, of pixels or of a layer's positions


class Span(NamedTuple):
    """A tile along one side of the continued picture, in pixels."""

    start: int  # its own pixels: `start` to `stop`
    stop: int
    seen_from: int  # and those that they see
    seen_to: int


@dataclass(frozen=True)
class Tile:
    """A part of the continued picture, and what VGG-16 sees around it."""

    rows: Span
    columns: Span

    @property
    def seen(self) -> Box:
        """Of the continued picture, what enters VGG-16."""
        rows, columns = self.rows, self.columns
        return slice(rows.seen_from, rows.seen_to), slice(columns.seen_from, columns.seen_to)

    @property
    def pixels(self) -> int:
        """How many enter VGG-16."""
        return math.prod(span.seen_to - span.seen_from for span in (self.rows, self.columns))

    def own(self, step: int) -> Box:
        """Of a layer with a position in every `step` pixels, the tile's own positions."""
        rows, columns = (slice(s.start // step, s.stop // step) for s in (self.rows, self.columns))
        return rows, columns

    def own_in_seen(self, step: int) -> Box:
        """The same, counted from where the tile begins to see."""
        before = self.rows.seen_from // step, self.columns.seen_from // step
        return _counted_from(before, self.own(step))

    def inside(self, height: int, width: int, *, further: int) -> Box:
        """Of what it sees, its own pixels without the margins, which may be none.

        Args:
            height, width: of the continued picture.
            further: rows below and columns to the right, as far as there are, that come with them.
        """
        rows, columns = (
            slice(*np.clip((span.start, span.stop + further), MARGIN, length - MARGIN))
            for span, length in ((self.rows, height), (self.columns, width))
        )
        return _counted_from((self.rows.seen_from, self.columns.seen_from), (rows, columns))


def split(height: int, width: int, side: int | None, layers: tuple[str, ...]) -> list[Tile]:
    """The tiles of a continued picture, row by row.

    Args:
        height, width: of the picture with its margins.
        side: of a tile's own pixels, at most, rounded up to `COARSEST_STRIDE`; None for one tile.
        layers: of VGG-16, that are looked at; the deepest one decides how far a tile sees.
    """
    halo = _rounded_up(max(map(reach, layers)))
    rows, columns = (_spans(length, side or length, halo) for length in (height, width))
    return [Tile(*spans) for spans in itertools.product(rows, columns)]


def _spans(length: int, side: int, halo: int) -> list[Span]:
    """A side cut into equal parts, beginning where the poolings of the whole do."""
    part = _rounded_up(math.ceil(length / math.ceil(length / side)))
    return [
        Span(
            start,
            min(length, start + part),
            max(0, start - halo),
            min(length, start + part + halo),
        )
        for start in range(0, length, part)
    ]


def _tiles_of(continued: tf.Tensor, side: int | None, extractor: Extractor) -> list[Tile]:
    _, height, width, _ = continued.shape
    return split(height, width, side, extractor.layers)


def _counted_from(before: tuple[int, int], box: Box) -> Box:
    rows, columns = (
        slice(side.start - first, side.stop - first)
        for first, side in zip(before, box, strict=True)
    )
    return rows, columns


def _rounded_up(pixels: int) -> int:
    return math.ceil(pixels / COARSEST_STRIDE) * COARSEST_STRIDE


def most_held(side: int) -> int:
    """Pixels whose activations are in memory at once: those kept, or one tile with its halo."""
    return max(MOST_KEPT, (_rounded_up(side) + 2 * _rounded_up(max(map(reach, LAYERS)))) ** 2)


# --- Features -----------------------------------------------------------------------------------


def features_by_tile(
    extractor: Extractor, image: np.ndarray, side: int | None
) -> Iterator[tuple[Tile, dict[str, tf.Tensor]]]:
    """Each tile of an image [1, H, W, 3] in [0, 1], with the features of its own positions."""
    continued = mirror_borders(tf.constant(image))
    for tile in _tiles_of(continued, side, extractor):
        features = extractor.of_continued(continued[:, *tile.seen])
        yield (
            tile,
            {
                layer: found[:, *tile.own_in_seen(stride(layer))]
                for layer, found in features.items()
            },
        )


def gram_matrices(
    extractor: Extractor,
    image: np.ndarray,
    layers: tuple[str, ...],
    guides: Mapping[str, losses.Guide],
    side: int | None,
) -> dict[str, tf.Tensor]:
    """Gram matrices of an image, guided where there are `guides`: layer -> [N_l, N_l]."""
    total: dict[str, Any] = dict.fromkeys(layers, 0.0)
    count: dict[str, Any] = dict.fromkeys(layers, 0.0)
    for tile, features in features_by_tile(extractor, image, side):
        for layer in layers:
            part = features[layer]
            if guides:
                part = losses.guided(part, part_of_guide(guides[layer], tile.own(stride(layer))))
            total[layer] += losses.correlations(part)
            count[layer] += losses.positions(part)
    return {layer: total[layer] / count[layer] for layer in layers}


def features_of(extractor: Extractor, image: np.ndarray, layer: str, side: int | None) -> tf.Tensor:
    """The features of an image at one layer, [1, H_l, W_l, N_l] in the extractor's precision."""
    rows: dict[int, list[tf.Tensor]] = {}
    for tile, features in features_by_tile(extractor, image, side):
        rows.setdefault(tile.rows.start, []).append(features[layer])
    return tf.concat([tf.concat(row, axis=2) for row in rows.values()], axis=1)


def part_of_guide(guide: losses.Guide, box: Box) -> losses.Guide:
    """A guide for the positions in a box alone, counted from its corner; none may be left."""
    corner = guide.corner.numpy()
    starts, stops = zip(*((side.start, side.stop) for side in box), strict=True)
    begin = np.clip(corner, starts, stops)
    end = np.clip(corner + guide.root.shape[1:3], starts, stops)
    rows, columns = map(slice, begin - corner, end - corner)
    return losses.Guide(tf.constant(begin - starts, tf.int32), guide.root[:, rows, columns])


# --- The step -----------------------------------------------------------------------------------


def compile_step(
    extractor: Extractor,
    content_layer: str,
    style_layers: tuple[str, ...],
    optimizer: Optimizer,
    *,
    side: int,
    regions: int = 0,
) -> CompiledStep:
    """`step.compile_step` for pictures of any size: what it returns works in tiles.

    What is compiled is compiled once for all sizes of pictures and tiles.

    Args:
        side: of a tile's own pixels, at most. The activations' memory is that of `most_held`.
        regions: how many regions the targets have; 0 for one style everywhere, without guides.
    """
    whole = targets_signature(style_layers, regions, extractor.precision)
    gradient_of = _TiledGradient(extractor, content_layer, side, whole)
    image = image_signature()

    def move(image: tf.Tensor, gradient: tf.Tensor, memory: Any, rate: tf.Tensor) -> Any:
        moved, memory = optimizer.update(image, gradient, memory, rate)
        return project(moved), memory, all_finite(moved)

    compiled_init = _compiled(optimizer.frugal_init or optimizer.init, image)
    memory = signature_of(compiled_init.get_concrete_function().structured_outputs)
    compiled_move = _compiled(move, image, image, memory, tf.TensorSpec([]))

    def start(image: tf.Tensor, targets: Targets, weights: Weights) -> State:
        terms, gradient = gradient_of(image, targets, weights)
        finite = all_finite(image, gradient, terms["total"])
        return State(image, gradient, terms, finite, compiled_init(image))

    def step(state: State, targets: Targets, weights: Weights, learning_rate: tf.Tensor) -> State:
        image, memory, is_sound = compiled_move(
            state.image, state.gradient, state.optimizer, learning_rate
        )
        terms, gradient = gradient_of(image, targets, weights)
        finite = is_sound & all_finite(gradient, terms["total"])
        return State(image, gradient, terms, finite, memory)

    return CompiledStep(start, step)


@dataclass(frozen=True)
class _Look:
    """What was seen of a tile, recorded so that its gradient can be told."""

    tape: Any
    part: tf.Tensor  # of the continued picture
    sums: Sums

    def gradient(self, upstream: Sums) -> np.ndarray:
        """The whole picture's, by way of this tile's sums, for the pixels that it sees."""
        own, of_own = _moving(self.sums), _moving(upstream)
        return self.tape.gradient(own, self.part, output_gradients=of_own).numpy()


class _TiledGradient:
    """The terms of the loss and its gradient, tile by tile: image, targets, weights -> both."""

    def __init__(
        self, extractor: Extractor, content_layer: str, side: int, signature: Targets
    ) -> None:
        self._extractor, self._content_layer, self._side = extractor, content_layer, side
        image, box = image_signature(), tf.TensorSpec([4], tf.int32)
        boxes = _Boxes(dict.fromkeys(extractor.layers, box), box, box)
        self._begin = _compiled(_begin, image, signature.kept)
        self._end = _compiled(_end, image, signature.kept, image)
        self._sum_up = _compiled(self._sum_up_part, image, boxes, signature._replace(kept=()))

    def __call__(
        self, image: tf.Tensor, targets: Targets, weights: Weights
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        continued = self._begin(image, targets.kept)
        tiles = _tiles_of(continued, self._side, self._extractor)
        sums, looks = self._first_pass(continued, targets, tiles)
        terms, of_sums = _terms(sums, image, targets, weights)
        total = np.zeros(continued.shape, np.float32)
        for tile in tiles:
            look = looks.popleft() if looks else self._look(continued, targets, tile)
            total[:, *tile.seen] += look.gradient(of_sums)
            del look  # before the next one is taken
        del continued  # each of these is as large as the picture
        gradient = tf.constant(total)
        del total
        return terms, self._end(image, targets.kept, gradient)

    def _first_pass(
        self, continued: tf.Tensor, targets: Targets, tiles: list[Tile]
    ) -> tuple[Sums, deque[_Look]]:
        """The whole picture's sums, and the look at each tile, or none if they are too many."""
        is_kept = sum(tile.pixels for tile in tiles) <= MOST_KEPT
        parts, looks = [], deque[_Look]()
        for tile in tiles:
            look = self._look(continued, targets, tile)
            parts.append(look.sums)
            if is_kept:
                looks.append(look)
            del look  # before the next one is taken
        return tf.nest.map_structure(lambda *parts: tf.add_n(parts), *parts), looks

    def _look(self, continued: tf.Tensor, targets: Targets, tile: Tile) -> _Look:
        part = continued[:, *tile.seen]
        boxes = _boxes(tile, self._extractor.layers, continued)
        own_targets = _part_of(targets, self._content_layer, tile)
        with tf.GradientTape() as tape:
            tape.watch(part)
            sums = self._sum_up(part, boxes, own_targets)
        return _Look(tape, part, sums)

    def _sum_up_part(self, part: tf.Tensor, boxes: _Boxes, targets: Targets) -> Sums:
        features = self._extractor.of_continued(part)
        own = {layer: _cut(features[layer], box) for layer, box in boxes.layers.items()}
        return sum_up(own, self._content_layer, targets, _variation(part, boxes))


def _moving(sums: Sums) -> tuple[Any, ...]:
    """The sums that change with the picture: all but the positions, which are only counted."""
    return sums.content, sums.correlations, sums.variation


def _variation(part: tf.Tensor, boxes: _Boxes) -> tf.Tensor:
    """The tile's share of the total variation: the pairs that begin with a pixel of its own."""
    seen = _cut(part, boxes.neighbours)
    height, width = boxes.pixels[2], boxes.pixels[3]
    next_row, next_column = seen[:, height:], seen[:, :, width:]  # whose own pairs are the others'
    return (
        losses.total_variation(seen)
        - losses.total_variation(next_row)
        - losses.total_variation(next_column)
    )


def _begin(image: tf.Tensor, kept: Kept | tuple[()]) -> tf.Tensor:
    """The picture as it is seen, continued beyond its borders."""
    return mirror_borders(lay_photo_over(image, kept))


def _end(image: tf.Tensor, kept: Kept | tuple[()], upstream: tf.Tensor) -> tf.Tensor:
    """The gradient for the image, from that for what `_begin` returned."""
    with tf.GradientTape() as tape:
        tape.watch(image)
        continued = _begin(image, kept)
    return tape.gradient(continued, image, output_gradients=upstream)


def _compiled(function: Callable[..., Any], *signature: Any) -> Any:
    """The function compiled, and traced at once rather than while somebody watches."""
    compiled = tf.function(function, input_signature=signature, autograph=False)
    compiled.get_concrete_function()
    return compiled


def _cut(features: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
    """Features [1, H, W, N] in a box: top, left, height, width."""
    top, left, height, width = tf.unstack(box)
    part = tf.slice(features, [0, top, left, 0], [1, height, width, -1])
    return tf.ensure_shape(part, [1, None, None, features.shape[-1]])


class _Boxes(NamedTuple):
    """A tile's own places, as `_cut` takes them, counted from where it begins to see."""

    layers: dict[str, tf.Tensor]  # layer -> positions
    pixels: tf.Tensor  # of the picture, without its margins
    neighbours: tf.Tensor  # those pixels, and the next row and column


def _boxes(tile: Tile, layers: tuple[str, ...], continued: tf.Tensor) -> _Boxes:
    _, height, width, _ = continued.shape
    return _Boxes(
        {layer: _as_tensor(tile.own_in_seen(stride(layer))) for layer in layers},
        _as_tensor(tile.inside(height, width, further=0)),
        _as_tensor(tile.inside(height, width, further=1)),
    )


def _as_tensor(box: Box) -> tf.Tensor:
    rows, columns = box
    size = rows.stop - rows.start, columns.stop - columns.start
    return tf.constant([rows.start, columns.start, *size], tf.int32)


def _part_of(targets: Targets, content_layer: str, tile: Tile) -> Targets:
    """What a tile is compared with."""
    content = targets.content[:, *tile.own(stride(content_layer))]
    styles = tuple(
        style._replace(
            guides={
                layer: part_of_guide(guide, tile.own(stride(layer)))
                for layer, guide in style.guides.items()
            }
        )
        for style in targets.styles
    )
    return Targets(content, styles)


def _terms(
    sums: Sums, image: tf.Tensor, targets: Targets, weights: Weights
) -> tuple[dict[str, tf.Tensor], Sums]:
    """The terms of the loss, and the gradient of the total for the sums."""
    with tf.GradientTape() as tape:
        tape.watch(sums)
        terms = weighted_terms(sums, tf.shape(image), targets, weights)
    return terms, tape.gradient(terms["total"], sums)
