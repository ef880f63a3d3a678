"""What all style losses share that compare means over positions: layers, regions, paintings, tiles.

A subclass says for one layer what is summed over the positions, what target comes of the painting's
means, and how far the picture's means are from it. Gram matrices (`gram.py`) are one example.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from nst_core.lazy import tf
from nst_core.losses.guides import Guide, guide_signature, guided, part_of_guide
from nst_core.losses.term import Box, Features, PaintingPart, Part, Photo, RegionMeasures, Term
from nst_core.networks.network import Network
from nst_core.settings import Settings


class RegionTarget(NamedTuple):
    """What one region of the picture is compared with."""

    layers: dict[str, Any]  # layer name -> `layer_target`
    share: tf.Tensor  # of the picture that the region has, scalar
    guides: dict[str, Guide]  # layer name -> where the region is; empty: everywhere


class LayerStatistics(NamedTuple):
    """Sums over the positions of one layer."""

    sums: Any  # as the subclass has them
    positions: tf.Tensor  # how many there are, M_l, float32 scalar


@dataclass(frozen=True)
class StyleTerm(Term):
    """A style loss made of one distance for each layer:

        L_style = beta sum_l w_l sum_r share_r distance_l(means of region r, target of region r)

    With one region that is eq. 5 of Gatys et al. (2015). With several, each counts by its share
    of the picture, so that a pixel is pulled as hard in a small region as in a large one.
    """

    name = "style"
    style_layers: tuple[str, ...]
    network: str = "vgg16"

    # --- What a subclass defines, for one layer ---

    @abstractmethod
    def sums(self, features: tf.Tensor, root: tf.Tensor | float) -> Any:
        """What is summed over the positions, a nest of float32 tensors.

        Args:
            features: [1, H, W, N], where a guide applies already multiplied by `root`.
            root: square roots of the guide's weights, [1, H, W, 1]; 1 without a guide.
        """

    @abstractmethod
    def layer_target(self, means: Any) -> Any:
        """The target, from the paintings' means: `sums` divided by positions, and mixed."""

    @abstractmethod
    def layer_signature(self) -> Any:
        """The tensor specifications of `layer_target`."""

    @abstractmethod
    def distance(self, means: Any, target: Any) -> tf.Tensor:
        """How far the picture is from the target, float32 scalar; about 0 where they agree."""

    # --- What follows from it ---

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
        """Of the products between channels, once forward and once back."""
        layers = [network[name] for name in self.style_layers]
        return sum(2 * 2 * layer.channels**2 / layer.stride**2 for layer in layers)

    def measure(self, parts: Iterator[PaintingPart]) -> dict[str, Any]:
        """The means over a painting's visible positions: layer name -> nest like `sums`."""
        total: dict[str, LayerStatistics] = {}
        for part in parts:
            for layer, found in self._statistics(part.features, part.guides).items():
                before = total.get(layer)
                total[layer] = found if before is None else _added(before, found)
        return {layer: _means(found) for layer, found in total.items()}

    def target(self, photo: Photo, regions: Sequence[RegionMeasures]) -> tuple[RegionTarget, ...]:
        return tuple(
            RegionTarget(
                {
                    layer: self.layer_target(_mixed(layer, region.paintings))
                    for layer in self.style_layers
                },
                tf.constant(region.share, tf.float32),
                {layer: region.guides[layer] for layer in self.style_layers}
                if region.guides
                else {},
            )
            for region in regions
        )

    def target_signature(self, regions: int, precision: str) -> tuple[RegionTarget, ...]:
        one = RegionTarget(
            {layer: self.layer_signature() for layer in self.style_layers},
            tf.TensorSpec([]),
            {layer: guide_signature() for layer in self.style_layers} if regions else {},
        )
        return (one,) * max(1, regions)

    def part_of_target(self, target: Any, box_at: Callable[[str], Box]) -> Any:
        return tuple(
            region._replace(
                guides={
                    layer: part_of_guide(guide, box_at(layer))
                    for layer, guide in region.guides.items()
                }
            )
            for region in target
        )

    def statistics(self, part: Part, target: Any) -> tuple[dict[str, LayerStatistics], ...]:
        return tuple(self._statistics(part.features, region.guides) for region in target)

    def loss(
        self, statistics: Any, target: Any, weights: Mapping[str, tf.Tensor], area: tf.Tensor
    ) -> tf.Tensor:
        regions = zip(statistics, target, strict=True)
        return weights["beta"] * tf.add_n(
            [region.share * self._region_loss(found, region, weights) for found, region in regions]
        )

    def _region_loss(
        self,
        found: Mapping[str, LayerStatistics],
        region: RegionTarget,
        weights: Mapping[str, tf.Tensor],
    ) -> tf.Tensor:
        return tf.add_n(
            [
                weights[layer] * self.distance(_means(found[layer]), region.layers[layer])
                for layer in self.style_layers
            ]
        )

    def _statistics(
        self, features: Features, guides: Mapping[str, Guide]
    ) -> dict[str, LayerStatistics]:
        found = {}
        for layer in self.style_layers:
            own, root = features[layer], 1.0
            if guides:
                own, root = guided(own, guides[layer]), guides[layer].root
            found[layer] = LayerStatistics(self.sums(own, root), count_positions(own))
        return found


def count_positions(features: tf.Tensor) -> tf.Tensor:
    """M = H W of features [1, H, W, N], float32 scalar."""
    return tf.cast(tf.reduce_prod(tf.shape(features)[:3]), tf.float32)


def _added(one: Any, other: Any) -> Any:
    return tf.nest.map_structure(tf.add, one, other)


def _means(found: LayerStatistics) -> Any:
    return tf.nest.map_structure(lambda total: total / found.positions, found.sums)


def _mixed(layer: str, paintings: Sequence[tuple[Any, float]]) -> Any:
    """The means of several paintings, each by its share."""
    means, shares = [measured[layer] for measured, _ in paintings], [s for _, s in paintings]
    return tf.nest.map_structure(
        lambda *parts: tf.add_n([s * p for s, p in zip(shares, parts, strict=True)]), *means
    )
