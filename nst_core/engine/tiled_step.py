"""The step tile by tile: the same losses and gradient, in memory that the picture does not set.

The network's activations take a kilobyte for each pixel, and the gradient needs all of them at
once. But the losses depend on the picture only through a few sums over its positions
(`Term.statistics`), and those of its parts add up:

    L = f(sum_t S_t(x))        grad L = sum_t (dS_t/dx)^T grad f

So one pass over the tiles adds up the sums, and a second one takes each tile's gradient against
those of the whole picture. With its halo a tile's features are the whole picture's, so nothing is
approximated: up to rounding, it is the gradient of `step.py`. Terms that look at no features, but
at pixels, are cheap, and looked at on the whole picture.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from nst_core.engine import tiles
from nst_core.engine.step import (
    CompiledStep,
    Kept,
    Targets,
    Weights,
    bind,
    compiled,
    evaluate_whole,
    image_signature,
    lay_photo_over,
    moving,
    signature_of,
    statistics_of,
    targets_signature,
    weighted_losses,
    weights_signature,
)
from nst_core.engine.tiles import Tile
from nst_core.lazy import tf
from nst_core.losses.term import Box, Part, Term
from nst_core.networks.extractor import Extractor
from nst_core.networks.network import Network
from nst_core.optimizers.optimizer import Optimizer

Statistics = dict[str, Any]  # name of a term -> its statistics


def compile_tiled_step(
    extractor: Extractor,
    terms: tuple[Term, ...],
    optimizer: Optimizer,
    *,
    side: int,
    regions: int = 0,
) -> CompiledStep:
    """`step.compile_step` for pictures of any size: what it returns works in tiles.

    What is compiled is compiled once for all sizes of pictures and tiles.

    Args:
        side: of a tile in px, without halo, at most.
        regions: how many regions the targets have; 0 for one style everywhere, without guides.
    """
    image = image_signature()
    init = compiled(optimizer.init, image)
    memory = signature_of(init.get_concrete_function().structured_outputs)
    move = compiled(moving(optimizer), image, image, memory, tf.TensorSpec([]))
    return bind(TiledEvaluation(extractor, terms, side, regions), init, move)


@dataclass(frozen=True)
class _Recorded:
    """A tile's statistics, recorded so that their gradient can be taken later."""

    tape: Any
    padded: tf.Tensor  # the tile with its halo
    statistics: Statistics

    def gradient(self, upstream: Statistics) -> np.ndarray:
        """The whole picture's gradient by way of this tile, for the pixels that it sees."""
        found = self.tape.gradient(
            self.statistics,
            self.padded,
            output_gradients=upstream,
            unconnected_gradients="zero",
        )
        return found.numpy()


class TiledEvaluation:
    """Losses and gradient of a picture, tile by tile: an `Evaluate`."""

    def __init__(
        self, extractor: Extractor, terms: tuple[Term, ...], side: int, regions: int
    ) -> None:
        self._extractor, self._side = extractor, side
        self._terms = tuple(term for term in terms if term.layers)
        self._pixel_terms = tuple(term for term in terms if not term.layers)
        signature = targets_signature(self._terms, regions, extractor.precision)
        image, box = image_signature(), tf.TensorSpec([4], tf.int32)
        boxes = dict.fromkeys(extractor.layers, box)
        self._begin = compiled(self._padded, image, signature.kept)
        self._end = compiled(self._unpadded_gradient, image, signature.kept, image)
        self._sum_up = compiled(self._part_statistics, image, boxes, signature._replace(kept=()))
        self._on_the_whole = compiled(
            self._of_pixels,
            image,
            image,
            targets_signature(self._pixel_terms, regions, extractor.precision),
            weights_signature(self._pixel_terms),
        )

    def __call__(
        self, image: tf.Tensor, targets: Targets, weights: Weights
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        padded = self._begin(image, targets.kept)
        all_tiles = tiles.of_padded(padded, self._side, self._extractor)
        statistics, recorded = self._first_pass(padded, targets, all_tiles)
        losses, upstream = self._losses(statistics, image, targets, weights)
        total = np.zeros(padded.shape, np.float32)
        for tile in all_tiles:
            one = recorded.popleft() if recorded else self._record(padded, targets, tile)
            total[:, *tile.seen] += one.gradient(upstream)
            del one  # before the next one is taken
        del padded  # each of these is as large as the picture
        gradient = tf.constant(total)
        del total
        gradient = self._end(image, targets.kept, gradient)
        if not self._pixel_terms:
            return losses, gradient
        own_weights = {term.name: weights[term.name] for term in self._pixel_terms}
        by_pixels, gradient = self._on_the_whole(
            image, gradient, _of(self._pixel_terms, targets), own_weights
        )
        return losses | by_pixels | {"total": losses["total"] + by_pixels["total"]}, gradient

    def _of_pixels(
        self, image: tf.Tensor, gradient: tf.Tensor, targets: Targets, weights: Weights
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Losses of the terms without layers, and their gradient added to that of the others."""
        losses, own = evaluate_whole(self._pixel_terms, lambda _: {}, image, targets, weights)
        return losses, gradient + own

    def _first_pass(
        self, padded: tf.Tensor, targets: Targets, all_tiles: list[Tile]
    ) -> tuple[Statistics, deque[_Recorded]]:
        """The whole picture's statistics, and each tile recorded, or none if they are too many."""
        pixels = sum(tile.pixels for tile in all_tiles)
        is_kept = all(term.keeps_tiles for term in self._terms) and pixels <= tiles.MAX_KEPT
        parts, recorded = [], deque[_Recorded]()
        for tile in all_tiles:
            one = self._record(padded, targets, tile)
            parts.append(one.statistics)
            if is_kept:
                recorded.append(one)
            del one  # before the next one is taken
        return tf.nest.map_structure(lambda *parts: tf.add_n(parts), *parts), recorded

    def _record(self, padded: tf.Tensor, targets: Targets, tile: Tile) -> _Recorded:
        network = self._extractor.network
        seen = padded[:, *tile.seen]
        boxes = {
            name: _as_tensor(tile.own_in_seen(network[name].stride))
            for name in self._extractor.layers
        }
        own_targets = _part_of_targets(self._terms, targets, tile, network)
        with tf.GradientTape() as tape:
            tape.watch(seen)
            statistics = self._sum_up(seen, boxes, own_targets)
        return _Recorded(tape, seen, statistics)

    def _part_statistics(
        self, seen: tf.Tensor, boxes: dict[str, tf.Tensor], targets: Targets
    ) -> Statistics:
        features = self._extractor.of_padded(seen)
        own = {name: _cut(features[name], box) for name, box in boxes.items()}
        return statistics_of(self._terms, Part(own), targets)

    def _losses(
        self, statistics: Statistics, image: tf.Tensor, targets: Targets, weights: Weights
    ) -> tuple[dict[str, tf.Tensor], Statistics]:
        """The losses, and the gradient of the total for the statistics."""
        with tf.GradientTape() as tape:
            tape.watch(statistics)
            size = tf.shape(image)[1:3]
            losses = weighted_losses(self._terms, statistics, size, targets, weights)
        upstream = tape.gradient(losses["total"], statistics, unconnected_gradients="zero")
        return losses, upstream

    def _padded(self, image: tf.Tensor, kept: Kept | tuple[()]) -> tf.Tensor:
        """The picture as the network sees it."""
        return self._extractor.network.pad(lay_photo_over(image, kept))

    def _unpadded_gradient(
        self, image: tf.Tensor, kept: Kept | tuple[()], upstream: tf.Tensor
    ) -> tf.Tensor:
        """The gradient for the image, from that for what `_padded` returned."""
        with tf.GradientTape() as tape:
            tape.watch(image)
            padded = self._padded(image, kept)
        return tape.gradient(padded, image, output_gradients=upstream)


def _cut(features: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
    """Features [1, H, W, N] in a box: top, left, height, width."""
    top, left, height, width = tf.unstack(box)
    part = tf.slice(features, [0, top, left, 0], [1, height, width, -1])
    return tf.ensure_shape(part, [1, None, None, features.shape[-1]])


def _as_tensor(box: Box) -> tf.Tensor:
    rows, columns = box
    size = rows.stop - rows.start, columns.stop - columns.start
    return tf.constant([rows.start, columns.start, *size], tf.int32)


def _of(terms: tuple[Term, ...], targets: Targets) -> Targets:
    """The targets of some terms alone."""
    return targets._replace(terms={term.name: targets.terms[term.name] for term in terms})


def _part_of_targets(
    terms: tuple[Term, ...], targets: Targets, tile: Tile, network: Network
) -> Targets:
    """What a tile is compared with."""

    def box_at(layer: str) -> Box:
        return tile.own(network[layer].stride)

    return Targets(
        {term.name: term.part_of_target(targets.terms[term.name], box_at) for term in terms}
    )
