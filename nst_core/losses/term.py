"""What a term of the total loss is: the one call shape of everything that is minimised.

A term goes through four stages:

    measure  = term.measure(features of a painting)         once per painting and size, cached
    target   = term.target(photo's features, regions)       once per scale
    sums     = term.statistics(part of the picture, target) at every step; add up over tiles
    loss     = term.loss(sums, target, weights, area)       at every step, for the whole picture

To add a style loss, write a subclass in a file of its own, made from the names of the style layers
and of the network, and enter it in the table of `nst_core.losses`. Terms are frozen dataclasses
that hold no pictures: runs with equal terms share what is compiled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from nst_core.lazy import tf
from nst_core.losses.guides import Guide
from nst_core.networks.network import Network
from nst_core.settings import Settings

Features = Mapping[str, Any]  # layer name -> features [1, H, W, N]
Box = tuple[slice, slice]  # rows and columns, of pixels or of a layer's positions


class Part(NamedTuple):
    """What a term sees of the picture being painted: all of it, or one tile.

    A term without layers always gets all of it. One with layers must not ask for pixels.
    """

    features: dict[str, tf.Tensor]  # layer name -> the part's own positions, [1, H_l, W_l, N_l]
    pixels: tf.Tensor | None = None  # of all of the picture, [1, H, W, 3]; None for a tile


class PaintingPart(NamedTuple):
    """A painting, or one tile of it."""

    features: dict[str, tf.Tensor]  # layer name -> [1, H_l, W_l, N_l]
    guides: dict[str, Guide]  # layer name -> what of it is visible; empty: everything
    size: tuple[int, int]  # height and width of all of the painting, pixels


class Before(NamedTuple):
    """The frame before of a film, moved to where things are in the present one."""

    picture: Any  # float32 [1, H, W, 3] in [0, 1], as the optimisation left it
    known: Any  # float32 [1, H, W, 1] in [0, 1]: 1 where it can be told, 0 where things appear


class Photo(Protocol):
    """What a target may ask about the photo."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""

    @property
    def pixels(self) -> np.ndarray:
        """The photo, float32 [1, H, W, 3] in [0, 1]; with `takes_colors` in the painting's."""

    @property
    def painted(self) -> np.ndarray | None:
        """A mask of what is painted and not kept or transparent, [1, H, W, 1]; None for all."""

    @property
    def subject(self) -> np.ndarray | None:
        """A mask of whom the photo shows, [1, H, W, 1], 1 on faces; None for nobody."""

    @property
    def before(self) -> Before | None:
        """The frame before, where the photo is one of a film; None for any other."""

    def __getitem__(self, layer: str) -> tf.Tensor:
        """Its features at one of the term's `photo_layers`."""

    def mapped(self, layers: tuple[str, ...], function: Callable[[Features], Any]) -> Any:
        """What a function of features gives, tile by tile, put together: [1, H, W, ...].

        Of the photo's features, or with `blends_canvas` of those with some of the picture in them.
        """

    def check(self) -> None:
        """Between the parts of a long computation: end it here if the run was told to stop."""


class RegionMeasures(NamedTuple):
    """The paintings of one region of the picture, measured."""

    paintings: Sequence[tuple[Any, float]]  # measures and their shares, which sum to 1
    share: float  # of the picture that the region has
    guides: dict[str, Guide]  # layer name -> where the region is; empty: everywhere


class Term(ABC):
    """One term of the total loss. Methods return nests of tensors."""

    name: ClassVar[str]  # of its loss in `Frame.losses`

    # Whether the statistics of parts of a picture add up to the whole's. A term that needs the
    # features of the whole picture at once says False, and is refused for pictures in tiles.
    adds_up: ClassVar[bool] = True

    # Whether it is worth its memory to keep what a tile's first pass found for the second one.
    keeps_tiles: ClassVar[bool] = True

    # Long side in px that no coarser scale is smaller than. For Gram matrices, from a preview
    # start, a scale of 192 px under one of 384 lowered no loss at the same cost; 256 under 512 did,
    # on both pairs tried.
    coarsest_side: ClassVar[int] = 256

    # How many scales there are at most.
    max_scales: ClassVar[int] = 16

    # Whether the photo is given the paintings' palette before anything is compared with it.
    takes_colors: ClassVar[bool] = False

    # Share of the picture so far in what a finer scale searches matches for.
    blends_canvas: ClassVar[float] = 0.0

    # Share of the photo's detail that the picture is given where a finer scale begins.
    detail: ClassVar[float] = 1.0

    # Bytes that it takes whatever the picture's size, beside the activations.
    fixed_bytes: ClassVar[float] = 0.0

    # Precision -> bytes that a step takes beside the activations for each pixel that it sees.
    bytes_per_pixel: ClassVar[Mapping[str, float]] = {}

    @property
    def photo_layers(self) -> tuple[str, ...]:
        """The layers whose features of the photo the target needs."""
        return ()

    @property
    def painting_layers(self) -> tuple[str, ...]:
        """The layers whose features of the paintings the target needs."""
        return ()

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers whose features of the picture the statistics need."""
        return (*self.photo_layers, *self.painting_layers)

    @property
    @abstractmethod
    def weight_names(self) -> tuple[str, ...]:
        """The keys of `weights`."""

    @abstractmethod
    def weights(self, settings: Settings) -> dict[str, float]:
        """The weights of the term and of its parts; they may change without compiling again."""

    def flop(self, network: Network) -> float:
        """Arithmetic of a step for each pixel of the picture, without the network's own."""
        return 0.0

    def measure(self, parts: Iterator[PaintingPart]) -> Any:
        """What the target needs to know of one painting; parts are looked at one after another."""
        return ()

    def target(self, photo: Photo, regions: Sequence[RegionMeasures]) -> Any:
        """What the picture is compared with.

        Args:
            photo: its features at `photo_layers`, and more when asked.
            regions: one for each region of the picture; a single one without guides if one style
                applies everywhere.
        """
        return ()

    def target_signature(self, regions: int, precision: str) -> Any:
        """The tensor specifications of `target`, heights and widths left open.

        Args:
            regions: how many have guides; 0 for one style everywhere.
            precision: of the photo's features.
        """
        return ()

    def part_of_target(self, target: Any, box_at: Callable[[str], Box]) -> Any:
        """The target of one tile: what has a value per position is cut to the box of its layer."""
        return target

    @abstractmethod
    def statistics(self, part: Part, target: Any) -> Any:
        """What the loss needs to know of the picture; sums over positions, in float32."""

    @abstractmethod
    def loss(
        self, statistics: Any, target: Any, weights: Mapping[str, tf.Tensor], area: tf.Tensor
    ) -> tf.Tensor:
        """The weighted loss, float32 scalar.

        Args:
            statistics: of the whole picture.
            weights: those of `weights`, float32 scalars.
            area: H W of the picture in pixels, float32 scalar.
        """
