"""The style loss of matched hypercolumns: every place of the picture beside one place of the
painting, chosen before the first step of a scale.

The first phase of Kolkin, Kucera, Paris, Sykora, Shechtman and Shakhnarovich, "Neural Neighbor
Style Transfer" (2022, arXiv 2203.13215). A hypercolumn is what all layers say of one place, joined:
each layer divided by its number of channels, at the positions of the deepest layer whose stride is
at most `STRIDE`. Which place of the painting a place of the picture is compared with follows from
the photo's hypercolumns: so its objects keep their shapes, whatever the picture comes to look like.

With c_p the hypercolumns of the picture, t_p those found for it, and T_p a region's mask:

    L = sum_p T_p (1 - cos(c_p, t_p)) / sum_p T_p

They are found by their directions from the mean, c from the photo's and t from the painting's, see
`matching.direction`. Nothing is joined to compute the cosines: products and squares add up over the
layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from nst_core.lazy import tf
from nst_core.losses.guides import Guide, guide_signature, mask_of, part_of_guide
from nst_core.losses.matching import (
    ROWS,
    direction,
    middle_of,
    moved_to,
    nearest_to,
    stacked,
    sums_of,
    unit,
)
from nst_core.losses.nearest import (
    CANVAS_SHARE,
    COARSEST_SIDE,
    DETAIL,
    SCALE,
    SCALES,
    Distances,
    painting_on_grid,
    painting_spacing,
    visible,
)
from nst_core.losses.term import Box, Features, PaintingPart, Part, Photo, RegionMeasures, Term
from nst_core.networks import NETWORKS
from nst_core.networks.network import Network
from nst_core.settings import Settings

STRIDE = 4  # pixels between two hypercolumns, at most

SOFTNESS = 0.5  # as `direction` takes it

# Added to the squares of lengths that are divided by.
EPSILON = 1e-8


class RegionTarget(NamedTuple):
    """What one region of the picture is compared with."""

    layers: dict[str, tf.Tensor]  # the paintings' hypercolumns, of length 1, [K, Q, N_l] each
    matches: tf.Tensor  # which of them each position is compared with, int32 [1, H, W, K]
    mix: tf.Tensor  # the paintings' shares, float32 [K]
    share: tf.Tensor  # of the picture that the region has, scalar
    guide: Guide | tuple[()]  # where the region is; empty: everywhere


@dataclass(frozen=True)
class HypercolumnStyle(Term):
    """The distances above as a term of the engine:

        L_style = beta sum_r share_r L_r

    Of several paintings in one region, each counts by its share. Weights of the layers do not: a
    hypercolumn is compared as a whole.
    """

    name = "style"
    keeps_tiles = False  # as in `NearestStyle`, which follows at the finest scale
    coarsest_side = COARSEST_SIDE
    max_scales = SCALES
    takes_colors = True
    blends_canvas = CANVAS_SHARE
    detail = DETAIL
    style_layers: tuple[str, ...]
    network: str = "vgg16"

    @property
    def painting_layers(self) -> tuple[str, ...]:
        return self.style_layers

    @property
    def weight_names(self) -> tuple[str, ...]:
        return ("beta",)

    def weights(self, settings: Settings) -> dict[str, float]:
        return {"beta": settings.style_weight}

    def flop(self, network: Network) -> float:
        """Of the products with the matches; finding them comes once in a scale."""
        return sum(6 * network[layer].channels for layer in self.style_layers) / STRIDE**2

    @property
    def reference(self) -> str:
        """The layer whose positions hypercolumns have."""
        network = NETWORKS[self.network]
        layers = network.in_order(self.style_layers)
        fine = [layer for layer in layers if network[layer].stride <= STRIDE]
        return fine[-1] if fine else layers[0]

    # --- Targets ---

    def measure(self, parts: Iterator[PaintingPart]) -> tf.Tensor:
        """The painting's hypercolumns on its grid, where it is visible, [Q, sum N_l]."""
        found = []
        for part in parts:
            stride = NETWORKS[self.network][self.reference].stride
            every = max(1, painting_spacing(*part.size) // stride)
            guide = part.guides.get(self.reference)
            # Each layer before they are joined: all joined, a large painting takes gigabytes.
            sampled = [
                painting_on_grid(self._aligned(part.features, layer), guide, every)
                for layer in self.style_layers
            ]
            rows = tf.concat([own for own, _ in sampled], axis=-1)
            found.append((rows, sampled[0][1]))
        return visible(found)

    def target(self, photo: Photo, regions: Sequence[RegionMeasures]) -> tuple[RegionTarget, ...]:
        middle = middle_of(photo.mapped(self.style_layers, lambda one: sums_of(self.joined(one))))
        columns = [stacked([own for own, _ in region.paintings]) for region in regions]
        searched = [
            tf.cast(direction(own, moved_to(middle, own), SOFTNESS), own.dtype) for own in columns
        ]

        def match(features: Features) -> tuple[tf.Tensor, ...]:
            joined = self.joined(features)
            query = direction(tf.reshape(joined, [-1, joined.shape[-1]]), middle, SOFTNESS)
            found = (_matches(query, samples, photo.check) for samples in searched)
            return tuple(tf.reshape(one, [*joined.shape[:3], -1]) for one in found)

        matches = photo.mapped(self.style_layers, match)
        return tuple(map(self._region_target, columns, matches, regions))

    def _region_target(
        self, columns: tf.Tensor, matches: tf.Tensor, region: RegionMeasures
    ) -> RegionTarget:
        channels = [NETWORKS[self.network][layer].channels for layer in self.style_layers]
        directions = tf.cast(unit(tf.cast(columns, tf.float32)), columns.dtype)
        layers = tf.split(directions, channels, axis=-1)
        return RegionTarget(
            dict(zip(self.style_layers, layers, strict=True)),
            matches,
            tf.constant([share for _, share in region.paintings], tf.float32),
            tf.constant(region.share, tf.float32),
            region.guides[self.reference] if region.guides else (),
        )

    def target_signature(self, regions: int, precision: str) -> tuple[RegionTarget, ...]:
        network = NETWORKS[self.network]
        one = RegionTarget(
            {
                layer: tf.TensorSpec([None, None, network[layer].channels], precision)
                for layer in self.style_layers
            },
            tf.TensorSpec([1, None, None, None], tf.int32),
            tf.TensorSpec([None]),
            tf.TensorSpec([]),
            guide_signature() if regions else (),
        )
        return (one,) * max(1, regions)

    def part_of_target(
        self, target: tuple[RegionTarget, ...], box_at: Callable[[str], Box]
    ) -> tuple[RegionTarget, ...]:
        box = box_at(self.reference)
        return tuple(
            region._replace(
                matches=region.matches[:, *box],
                guide=part_of_guide(region.guide, box) if region.guide else (),
            )
            for region in target
        )

    # --- The loss ---

    def statistics(self, part: Part, target: tuple[RegionTarget, ...]) -> tuple[Distances, ...]:
        aligned = {layer: self._aligned(part.features, layer) for layer in self.style_layers}
        squares = tf.add_n(
            [tf.reduce_sum(tf.square(tf.cast(own, tf.float32)), -1) for own in aligned.values()]
        )
        lengths = tf.math.rsqrt(squares + EPSILON)[..., tf.newaxis]  # [1, H, W, 1]
        return tuple(self._distances(aligned, lengths, region) for region in target)

    def _distances(self, aligned: Features, lengths: tf.Tensor, region: RegionTarget) -> Distances:
        products = tf.add_n(
            [
                products_with(aligned[layer], region.layers[layer], region.matches)
                for layer in self.style_layers
            ]
        )
        mixed = tf.linalg.matvec(1 - products * lengths, region.mix)  # [1, H, W]
        if not isinstance(region.guide, Guide):
            return Distances(tf.reduce_sum(mixed), tf.cast(tf.size(mixed), tf.float32))
        weight = mask_of(region.guide, tf.shape(mixed)[1:3])
        return Distances(tf.reduce_sum(weight * mixed), tf.reduce_sum(weight))

    def loss(
        self,
        statistics: tuple[Distances, ...],
        target: tuple[RegionTarget, ...],
        weights: Mapping[str, tf.Tensor],
        area: tf.Tensor,
    ) -> tf.Tensor:
        return (SCALE * weights["beta"]) * tf.add_n(
            [
                region.share * tf.math.divide_no_nan(found.total, found.weight)
                for found, region in zip(statistics, target, strict=True)
            ]
        )

    # --- Hypercolumns ---

    def _aligned(self, features: Features, layer: str) -> tf.Tensor:
        """A layer divided by its number of channels, at the positions of the reference."""
        network = NETWORKS[self.network]
        size = tf.shape(features[self.reference])[1:3]
        wanted = network[self.reference].stride
        found = _brought_to(features[layer], network[layer].stride, wanted, size)
        return found / network[layer].channels

    def joined(self, features: Features) -> tf.Tensor:
        """The hypercolumns, [1, H, W, sum N_l]."""
        return tf.concat([self._aligned(features, layer) for layer in self.style_layers], axis=-1)


def _matches(query: tf.Tensor, samples: tf.Tensor, check: Callable[[], None]) -> tf.Tensor:
    """The nearest of `samples` [K, Q, N] to each row of `query` [P, N], int32 [P, K]."""
    found = []
    for start in range(0, query.shape[0], ROWS):
        check()
        found.append(nearest_to(query[tf.newaxis, start : start + ROWS], samples))
    return tf.transpose(tf.concat(found, axis=1))


def _brought_to(features: tf.Tensor, stride: int, wanted: int, size: tf.Tensor) -> tf.Tensor:
    """Features at the positions of another stride: means of several, or each one repeated."""
    if stride < wanted:
        return tf.nn.avg_pool2d(features, wanted // stride, wanted // stride, "VALID")
    for axis in (1, 2):
        last = tf.shape(features)[axis] - 1
        index = tf.minimum(tf.range(size[axis - 1]) * wanted // stride, last)
        features = features if stride == wanted else tf.gather(features, index, axis=axis)
    return features


def products_with(features: tf.Tensor, samples: tf.Tensor, matches: tf.Tensor) -> tf.Tensor:
    """The scalar product at each position with each of its matches, float32 [1, H, W, K].

    With its gradient by hand, which gathers the matches again rather than keep them: a layer's
    matches take as much memory as its features.

    Args:
        features: [1, H, W, N].
        samples: [K, Q, N].
        matches: int32 [1, H, W, K].
    """

    def found(index: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.gather(own, index), tf.float32)

    indices = tf.transpose(matches, [3, 0, 1, 2])

    @tf.custom_gradient
    def product(features: tf.Tensor) -> tuple[tf.Tensor, Any]:
        exact = tf.cast(features, tf.float32)

        def of_painting(pair: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            return tf.reduce_sum(exact * found(*pair), axis=-1)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            each = tf.transpose(upstream, [3, 0, 1, 2])[..., tf.newaxis]

            def weighted(triple: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
                return triple[2] * found(*triple[:2])

            parts = tf.map_fn(weighted, (indices, samples, each), fn_output_signature=tf.float32)
            return tf.cast(tf.reduce_sum(parts, axis=0), features.dtype)

        of_all = tf.map_fn(of_painting, (indices, samples), fn_output_signature=tf.float32)
        return tf.transpose(of_all, [1, 2, 3, 0]), gradient

    return product(features)
