"""The style loss of nearest features: each feature of the picture beside the most similar one of
the painting.

After Kolkin, Kucera, Paris, Sykora, Shechtman and Shakhnarovich, "Neural Neighbor Style Transfer"
(2022, arXiv 2203.13215), whose second phase compares each layer by itself, with the nearest found
anew at every step. Gram matrices are met by any picture with the right averages, a tinted photo
among them; here every place has to look like some place of the painting.

For one layer, F_p are the features of the picture at the positions p of a grid, B_q those of the
painting, and T_p a region's mask:

    D = sum_p T_p min_q |u(F_p - f) - u(B_q - b)|^2 / 2 / sum_p T_p

u is a direction, of length 1 but for what lies near to the mean, see `matching.direction`; were it
of length 1 everywhere, this would be 1 - cos, as in the original. b is the mean over q, and f that
of the photo's features: the picture's own, which there is in the original, depends on the whole
picture at every step, and so does not add up over tiles.

Features are [1, H, W, N], in float32 or bfloat16; sums are float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nst_core.lazy import tf
from nst_core.losses.guides import Guide, guide_signature, mask_of, part_of_guide
from nst_core.losses.matching import (
    Middle,
    direction,
    middle_of,
    moved_to,
    nearest_to,
    stacked,
    sums_of,
)
from nst_core.losses.term import Box, Features, PaintingPart, Part, Photo, RegionMeasures, Term
from nst_core.networks import NETWORKS
from nst_core.networks.network import Layer, Network
from nst_core.settings import Settings

# What is compared when the settings name no layers: all up to the deepest of block4. Block5 is slow
# and adds nothing.
NEAREST_LAYERS = tuple(
    (f"block{block}_conv{number}", 0.1)
    for block, count in enumerate((2, 2, 3, 3), start=1)
    for number in range(1, count + 1)
)

# Multiplies the loss, so that the default weights of the other terms suit this one, too.
SCALE = 2.8e9

# As `direction` takes it. At 0.2 strokes of the painting show up in skies, at 0.5 strokes of little
# contrast are lost.
SOFTNESS = 0.35

# About so many positions along the long side are compared, but of a large picture every eighth
# pixel at least, where block4 has all of its positions.
GRID, COARSEST_SPACING = 64, 8

# Layers of a stride of 2 at most have four times as many positions there: what lies between is
# free, and shows as grain.
FINE_STRIDE, FINE_SPACING = 2, 4

# In which quarter of its cells each layer is compared, down and right: were it the same one in all,
# the grid would show in skies.
SHIFTS = (0, 0), (1, 1), (0, 1), (1, 0)

# Each scale has its own strokes. So that they have one size in the picture whatever its pixels,
# there are always as many scales, where the coarsest is not smaller than this.
SCALES, COARSEST_SIDE = 4, 32

# Share of the picture so far in what the next scale searches matches for, as in Kolkin et al.
CANVAS_SHARE = 0.25

# Share of the photo's detail that the picture gets where a scale begins: without it whiskers and
# masts are lost, and all is soft; with all of it strokes are.
DETAIL = 0.7

# Similarities of some rows to all samples, and what is kept of the paintings at all scales. Equal
# runs differ by up to 190 MB at their peaks, as the threads happened to share the work: the highest
# counts.
FIXED_BYTES = 310e6

# Of a picture of 512 px and more a step keeps at each position the features and their nearest in
# float32, and half as much on the way: 384 channels in every 16 pixels, 2304 in every 64. In
# float32 the gradients of all layers stand beside each other as well. Measured at 512 and 1024 px.
KEPT_BYTES = 3 * 4 * (384 / 16 + 2304 / 64)
BYTES_PER_PIXEL = {"float32": KEPT_BYTES + 4 * 384, "bfloat16": KEPT_BYTES}


# Features at a grid's positions [P, N], and a mask there [P]; None for everywhere.
OnGrid = tuple[Any, Any]


class RegionTarget(NamedTuple):
    """What one region of the picture is compared with."""

    # Layer name -> u(B_q - b) of the region's paintings, [K, Q, N], in the precision of the
    # features.
    layers: dict[str, tf.Tensor]
    mix: tf.Tensor  # the paintings' shares, float32 [K]
    share: tf.Tensor  # of the picture that the region has, scalar
    guides: dict[str, Guide]  # layer name -> where the region is; empty: everywhere


class Target(NamedTuple):
    every: dict[str, tf.Tensor]  # layer name -> positions from one compared to the next, int32
    middles: dict[str, Middle]  # layer name -> f, and how far the photo's features lie from it
    regions: tuple[RegionTarget, ...]


class Distances(NamedTuple):
    """Sums over the positions of one layer."""

    total: tf.Tensor  # sum_p T_p min_q (1 - cos), float32 scalar
    weight: tf.Tensor  # sum_p T_p, float32 scalar


@dataclass(frozen=True)
class NearestStyle(Term):
    """The distances above as a term of the engine:

        L_style = beta sum_l w_l sum_r share_r D_l(region r)

    Of several paintings in one region, each counts by its share, with the nearest of its own.
    """

    name = "style"
    keeps_tiles = False  # 2.9 kB for each pixel, where Gram matrices keep 0.9
    coarsest_side = COARSEST_SIDE
    max_scales = SCALES
    takes_colors = True
    blends_canvas = CANVAS_SHARE
    detail = DETAIL
    fixed_bytes = FIXED_BYTES
    bytes_per_pixel = BYTES_PER_PIXEL
    style_layers: tuple[str, ...]
    network: str = "vgg16"

    @property
    def painting_layers(self) -> tuple[str, ...]:
        return self.style_layers

    @property
    def weight_names(self) -> tuple[str, ...]:
        return ("beta", *self.style_layers)

    def weights(self, settings: Settings) -> dict[str, float]:
        """beta, and w_l under the layers' names."""
        layer_weights = dict(settings.style_layers or ())
        return {
            "beta": settings.style_weight,
            **{layer: layer_weights[layer] for layer in self.style_layers},
        }

    def flop(self, network: Network) -> float:
        """Of the similarities to a painting's usual number of samples."""
        layers = [network[name] for name in self.style_layers]
        grids = (spacing_of(layer, COARSEST_SPACING) ** -2 * layer.channels for layer in layers)
        return 2 * GRID**2 * sum(grids)

    # --- Targets ---

    def measure(self, parts: Iterator[PaintingPart]) -> dict[str, tf.Tensor]:
        """Features of a painting at the positions of its grid that are visible, [Q, N] a layer."""
        found: dict[str, list[OnGrid]] = {layer: [] for layer in self.style_layers}
        for part in parts:
            spacing = painting_spacing(*part.size)
            for layer, sampled in found.items():
                every = max(1, spacing // NETWORKS[self.network][layer].stride)
                sampled.append(
                    painting_on_grid(part.features[layer], part.guides.get(layer), every)
                )
        return {layer: visible(sampled) for layer, sampled in found.items()}

    def target(self, photo: Photo, regions: Sequence[RegionMeasures]) -> Target:
        sums = photo.mapped(self.style_layers, _sums)
        middles = {layer: middle_of(found) for layer, found in sums.items()}
        return Target(
            {
                layer: self._every(layer, picture_spacing(*photo.size))
                for layer in self.style_layers
            },
            middles,
            tuple(
                RegionTarget(
                    {
                        layer: _directions(
                            [measured[layer] for measured, _ in region.paintings], middle
                        )
                        for layer, middle in middles.items()
                    },
                    tf.constant([share for _, share in region.paintings], tf.float32),
                    tf.constant(region.share, tf.float32),
                    {layer: region.guides[layer] for layer in self.style_layers}
                    if region.guides
                    else {},
                )
                for region in regions
            ),
        )

    def _every(self, name: str, spacing: int) -> tf.Tensor:
        layer = NETWORKS[self.network][name]
        return tf.constant(spacing_of(layer, spacing) // layer.stride)

    def target_signature(self, regions: int, precision: str) -> Target:
        one = RegionTarget(
            dict.fromkeys(self.style_layers, tf.TensorSpec([None, None, None], precision)),
            tf.TensorSpec([None]),
            tf.TensorSpec([]),
            {layer: guide_signature() for layer in self.style_layers} if regions else {},
        )
        return Target(
            dict.fromkeys(self.style_layers, tf.TensorSpec([], tf.int32)),
            dict.fromkeys(self.style_layers, Middle(tf.TensorSpec([None]), tf.TensorSpec([]))),
            (one,) * max(1, regions),
        )

    def part_of_target(self, target: Target, box_at: Callable[[str], Box]) -> Target:
        return target._replace(
            regions=tuple(
                region._replace(
                    guides={
                        layer: part_of_guide(guide, box_at(layer))
                        for layer, guide in region.guides.items()
                    }
                )
                for region in target.regions
            )
        )

    # --- The loss ---

    def statistics(self, part: Part, target: Target) -> tuple[dict[str, Distances], ...]:
        return tuple(
            {
                layer: distances(
                    part.features[layer],
                    region.guides.get(layer),
                    at_quarters(target.every[layer], *SHIFTS[number % len(SHIFTS)]),
                    target.middles[layer],
                    region.layers[layer],
                    region.mix,
                )
                for number, layer in enumerate(self.style_layers)
            }
            for region in target.regions
        )

    def loss(
        self,
        statistics: Any,
        target: Target,
        weights: Mapping[str, tf.Tensor],
        area: tf.Tensor,
    ) -> tf.Tensor:
        return (SCALE * weights["beta"]) * tf.add_n(
            [
                weights[layer]
                * region.share
                * tf.math.divide_no_nan(found[layer].total, found[layer].weight)
                for found, region in zip(statistics, target.regions, strict=True)
                for layer in self.style_layers
            ]
        )


def distances(
    features: tf.Tensor,
    guide: Guide | None,
    grid: Grid,
    middle: Middle,
    samples: tf.Tensor,
    mix: tf.Tensor,
) -> Distances:
    """The distances of a picture's features, or of one tile's, to their nearest samples.

    The gradient is that of the distance to the one found: the minimum's own, by the envelope
    theorem.

    Args:
        features: [1, H, W, N].
        guide: where the region is; None for everywhere.
        grid: the positions that are compared.
        middle: of the photo's features.
        samples: directions of the paintings' features, [K, Q, N].
        mix: shares of the paintings in `samples`.
    """
    own, weight = on_grid(features, guide, grid)
    asked = direction(own, middle, SOFTNESS)[tf.newaxis]  # [1, P, N]
    nearest = nearest_to(tf.stop_gradient(asked), samples)  # [K, P]
    # No gradient for the samples, which tiles would otherwise compute and throw away.
    found = tf.stop_gradient(tf.cast(tf.gather(samples, nearest, batch_dims=1), tf.float32))
    each = tf.reduce_sum(tf.square(asked - found), axis=-1) / 2  # [K, P]
    mixed = tf.linalg.matvec(each, mix, transpose_a=True)  # [P]
    if weight is None:
        return Distances(tf.reduce_sum(mixed), tf.cast(tf.size(mixed), tf.float32))
    return Distances(tf.reduce_sum(weight * mixed), tf.reduce_sum(weight))


# --- The grid -----------------------------------------------------------------------------------


def painting_spacing(height: int, width: int) -> int:
    """Pixels between two positions of a painting's grid.

    The power of 2 that makes it about `GRID` positions long, so that no painting has many more of
    them to be searched; but no more than fits into a narrow one.
    """
    wanted = min(max(height, width) / GRID, min(height, width))
    return int(2 ** round(np.log2(max(1.0, wanted))))


def picture_spacing(height: int, width: int) -> int:
    """Pixels between two positions of the picture's grid: as a painting's, but 8 at most."""
    return min(COARSEST_SPACING, painting_spacing(height, width))


def spacing_of(layer: Layer, spacing: int) -> int:
    """Pixels between two positions of a layer that are compared, on a grid of so many."""
    finest = FINE_SPACING if layer.stride <= FINE_STRIDE else COARSEST_SPACING
    return max(layer.stride, min(finest, spacing))


class Grid(NamedTuple):
    """The positions of a layer that are compared: one in each cell, all at the same place of it."""

    every: tf.Tensor | int  # positions from one to the next
    top: tf.Tensor | int  # row and column of the first one
    left: tf.Tensor | int


def at_centres(every: int) -> Grid:
    """The centre of each cell."""
    return Grid(every, every // 2, every // 2)


def at_quarters(every: tf.Tensor | int, down: int, right: int) -> Grid:
    """The centre of a quarter of each cell: 0 is the upper or left half, 1 the other."""
    return Grid(every, every // 4 + down * (every // 2), every // 4 + right * (every // 2))


def on_grid(features: tf.Tensor, guide: Guide | None, grid: Grid) -> OnGrid:
    """Features at the positions of a grid [P, N], and a region's mask there [P], None without one.

    Args:
        features: [1, H, W, N]; of a tile, it begins where a cell of the grid does.
    """
    every, first = grid.every, (grid.top, grid.left)
    if guide is None:
        found = features[:, grid.top :: every, grid.left :: every]
        return _rows(found, features.shape[-1]), None
    size = tf.shape(guide.root)[1:3]
    top, left = tf.unstack(guide.corner)
    height, width = tf.unstack(size)
    box = features[:, top : top + height, left : left + width]
    down, right = tf.unstack(tf.math.floormod(first - guide.corner, every))
    own = _rows(box[:, down::every, right::every], features.shape[-1])
    return own, _rows(tf.square(guide.root)[:, down::every, right::every], 1)[:, 0]


def painting_on_grid(features: tf.Tensor, guide: Guide | None, every: int) -> OnGrid:
    """The same with all positions, also those where the mask is 0."""
    own, _ = on_grid(features, None, at_centres(every))
    if guide is None:
        return own, None
    mask = mask_of(guide, tf.shape(features)[1:3])[..., tf.newaxis]
    weight, _ = on_grid(mask, None, at_centres(every))
    return own, weight[:, 0]


def visible(parts: Sequence[OnGrid]) -> tf.Tensor:
    """The features of a painting's parts where its mask is not 0; all if that is nowhere."""
    rows = tf.concat([own for own, _ in parts], axis=0)
    if any(weight is None for _, weight in parts):
        return rows
    seen = tf.concat([weight for _, weight in parts], axis=0) > 0
    return tf.boolean_mask(rows, seen) if tf.reduce_any(seen) else rows


def _rows(features: tf.Tensor, channels: int) -> tf.Tensor:
    return tf.reshape(features, [-1, channels])


def _directions(paintings: Sequence[tf.Tensor], middle: Middle) -> tf.Tensor:
    """Where the features of several paintings, each [Q_k, N], point from the mean of their own."""
    features = stacked(paintings)
    return tf.cast(direction(features, moved_to(middle, features), SOFTNESS), features.dtype)


def _sums(features: Features) -> dict[str, tf.Tensor]:
    """Of each layer `sums_of` it."""
    return {layer: sums_of(found) for layer, found in features.items()}
