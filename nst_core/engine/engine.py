"""The engine: minimises one objective on pictures of any size. It schedules nothing.

    engine = Engine(Settings())
    problem = engine.problem(photo, everywhere(painting))
    state = engine.start(photo, problem)
    for _ in range(20):
        state = engine.step(state, problem)

`photo` and `state.image` are float32 RGB [1, H, W, 3] in [0, 1], `painting` is a `Picture`. What is
found of paintings and photos is cached: another photo in the style of the same painting, or the
next frame of a film, does not measure the painting again.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from cachetools import LRUCache, cached
from cachetools.keys import hashkey

from nst_core.engine import device, tiles
from nst_core.engine.memory import nbytes
from nst_core.engine.objective import Objective
from nst_core.engine.step import CompiledStep, Kept, State, Targets, Weights, compile_step
from nst_core.engine.tiled_step import compile_tiled_step
from nst_core.lazy import tf
from nst_core.losses import completed
from nst_core.losses.guides import Guide, make_guide, part_of_guide
from nst_core.losses.term import Before, Features, PaintingPart, RegionMeasures, Term
from nst_core.networks.extractor import Extractor
from nst_core.optimizers import OPTIMIZERS
from nst_core.pictures.images import Picture, checksum
from nst_core.pictures.regions import Layout, Region
from nst_core.settings import Settings
from nst_core.stop import StopToken


@dataclass(frozen=True)
class Problem:
    """A picture to be painted at one size."""

    targets: Targets
    regions: int  # how many have masks; 0 for one style everywhere


class Engine:
    """An objective with its weights, on this machine.

    Args:
        settings: what is minimised and how; its choices must have been checked.
        precision: of the activations, one of `PRECISIONS`.
        tile: side of the tiles in px, for pictures with a longer side; None for no tiles.
        lbfgs_memory: one of `MEMORIES`.
        is_finest: whether pictures have the size of the result, or are those of a scale before it,
            where a style loss may be another.
        follows: whether pictures are held to one before, as frames of a film are.
    """

    def __init__(
        self,
        settings: Settings,
        precision: str = "float32",
        tile: int | None = None,
        lbfgs_memory: str = "full",
        *,
        is_finest: bool = True,
        follows: bool = False,
    ) -> None:
        self.objective = Objective.of(settings, is_finest=is_finest, follows=follows)
        settings = completed(settings)
        self._precision, self._tile, self._lbfgs_memory = precision, tile, lbfgs_memory
        self._weights = _weights(self.objective.terms, settings)
        self._rate = _learning_rate(settings)

    # --- Targets ---

    def problem(
        self,
        photo: np.ndarray,
        layout: Layout,
        shown: np.ndarray | None = None,
        query: np.ndarray | None = None,
        stop: StopToken | None = None,
        before: Before | None = None,
    ) -> Problem:
        """What a picture of the photo's size is compared with.

        Args:
            photo: float32 [1, H, W, 3] in [0, 1].
            layout: paintings of any size, masks of the photo's.
            shown: what is seen where the photo stays, like `photo`; that itself when left out.
            query: what matches are searched for, like `photo`; that itself when left out.
            stop: ends the search for matches.
            before: the picture that this one is held to, of the photo's size; None for none.

        Raises `StoppedError` where it was told to.
        """
        side = self._side_for(photo)
        with device.LOCK:
            measured = [self._measured(region, side) for region in layout.regions]
        # Without the lock: a search may take as long as many steps of another run.
        asked = PhotoFeatures(
            photo,
            photo if query is None else query,
            layout,
            self.objective,
            self._precision,
            side,
            stop or StopToken(),
            before,
        )
        targets = {
            term.name: term.target(asked, [found[term.name] for found in measured])
            for term in self.objective.terms
        }
        if not layout.has_masks:
            return Problem(Targets(targets), 0)
        kept = np.zeros_like(photo[..., :1]) if layout.kept is None else layout.kept
        under = tf.constant(photo if shown is None else shown)
        return Problem(Targets(targets, Kept(under, tf.constant(kept))), _count_masked(layout))

    def _measured(self, region: Region, side: int | None) -> dict[str, RegionMeasures]:
        """Of each term: the paintings of a region, and where the region is."""
        share, guides = 1.0, {}
        if region.mask is not None:
            share = float(region.mask.mean())
            guides = self._guides(region.mask)
        return {
            term.name: RegionMeasures(
                [(self.measure(painting, term, side), part) for painting, part in region.paintings],
                share,
                guides,
            )
            for term in self.objective.terms
        }

    def measure_painting(
        self, painting: Picture, photo: np.ndarray, stop: StopToken | None = None
    ) -> None:
        """Find what the terms need to know of a painting, and keep it for `problem`.

        Args:
            photo: that of the problem; where it is painted in tiles, the painting is measured so.
            stop: is checked before each term.

        Raises `StoppedError` where it was told to.
        """
        for term in self.objective.terms:
            (stop or StopToken()).check()
            with device.LOCK:
                self.measure(painting, term, self._side_for(photo))

    def measure(self, painting: Picture, term: Term, side: int | None = None) -> Any:
        """What a term needs to know of a painting; what is transparent of it does not count."""
        if not term.painting_layers:
            return ()
        extractor = self.objective.extractor(self._precision).at(term.painting_layers)
        return _measure_of_painting(painting.checksum, term, extractor, side, lambda: painting)

    def _guides(self, mask: np.ndarray) -> dict[str, Guide]:
        layers = {name for term in self.objective.terms for name in term.painting_layers}
        at_layers = self.objective.network.at_layers(mask, layers)
        return {name: make_guide(part) for name, part in at_layers.items()}

    # --- Steps ---

    def start(self, canvas: np.ndarray | tf.Tensor, problem: Problem) -> State:
        """The losses and the gradient at a first picture, [1, H, W, 3] of the problem's size."""
        with device.LOCK:
            image = tf.convert_to_tensor(canvas)
            return self._compiled(image, problem).start(image, problem.targets, self._weights)

    def step(self, state: State, problem: Problem) -> State:
        """One step further. Where the new state's `finite` is False, nothing good follows."""
        with device.LOCK:
            compiled = self._compiled(state.image, problem)
            return compiled.step(state, problem.targets, self._weights, self._rate)

    def prepare_for(self, photo: np.ndarray, layout: Layout) -> None:
        """`prepare`, for what `problem` makes of a photo of this size and a layout."""
        self.prepare(_count_masked(layout), self._side_for(photo))

    def prepare(self, regions: int = 0, side: int | None = None) -> None:
        """Load the network and compile the step for so many regions, before anyone waits.

        Args:
            regions: 0 for one style everywhere, 1 where part of the photo stays.
            side: of the tiles in px; None for the whole at once.
        """
        with device.LOCK:
            compiled = self._compiled_for(regions, side)
            if side is None and compiled not in _TRIED:
                self._try(compiled, regions)
                _TRIED.add(compiled)

    def _try(self, compiled: CompiledStep, regions: int) -> None:
        """Take a step on a small picture: the first one is when TensorFlow compiles the rest."""
        small = np.random.default_rng(0).random([1, *TRIAL_SIZE, 3], np.float32)
        mask = np.full([1, *TRIAL_SIZE, 1], 1 / regions, np.float32) if regions else None
        layout = Layout((Region(((Picture(small), 1.0),), mask),) * max(1, regions))
        targets = self.problem(small, layout).targets
        state = compiled.start(tf.constant(small), targets, self._weights)
        compiled.step(state, targets, self._weights, self._rate)

    def _compiled(self, image: tf.Tensor, problem: Problem) -> CompiledStep:
        return self._compiled_for(problem.regions, self._side_for(image))

    def _compiled_for(self, regions: int, side: int | None) -> CompiledStep:
        return compiled_step(self.objective, self._precision, self._lbfgs_memory, regions, side)

    def _side_for(self, image: np.ndarray | tf.Tensor) -> int | None:
        """The side of the tiles for a picture; one that is as small as a tile needs none."""
        is_small = max(image.shape[1:3]) <= (self._tile or 0)
        return None if is_small else self._tile


class PhotoFeatures:
    """A photo, as the targets ask about it: a `Photo`.

    Args:
        photo, query: float32 [1, H, W, 3] in [0, 1]; the second one is what `mapped` sees.
        layout: its masks of what is painted, and of the subject.
        side: of the tiles in px; None for the whole at once.
        stop: is checked for each tile, and when a term asks.
        before: what `Before` says, or None.
    """

    def __init__(
        self,
        photo: np.ndarray,
        query: np.ndarray,
        layout: Layout,
        objective: Objective,
        precision: str,
        side: int | None,
        stop: StopToken,
        before: Before | None = None,
    ) -> None:
        self._photo, self._query, self.before = photo, query, before
        self.painted, self.subject = layout.painted, layout.subject
        self._side, self._stop = side, stop
        self._extractor = objective.extractor(precision)
        self._kept = objective.network.in_order(
            name for term in objective.terms for name in term.photo_layers
        )

    @property
    def size(self) -> tuple[int, int]:
        height, width = self._photo.shape[1:3]
        return height, width

    @property
    def pixels(self) -> np.ndarray:
        return self._photo

    def __getitem__(self, layer: str) -> Any:
        self.check()
        extractor = self._extractor.at(self._kept)
        with device.LOCK:
            found = _features_of_photo(
                checksum(self._photo), extractor, self._side, lambda: self._photo
            )
        return found[layer]

    def mapped(self, layers: tuple[str, ...], function: Callable[[Features], Any]) -> Any:
        def unless_stopped(features: Features) -> Any:
            self.check()
            return function(features)

        return tiles.mapped(self._extractor.at(layers), self._query, self._side, unless_stopped)

    def check(self) -> None:
        self._stop.check()


# Compiled steps that are kept. All panels of "How it works" take 23 of them: with 16, each panel
# took away what another had compiled, and textures took twice as long. Those of the textures added
# 36 MB each, on average, to the process.
KEPT_STEPS = 32


@functools.lru_cache(KEPT_STEPS)
def compiled_step(
    objective: Objective, precision: str, lbfgs_memory: str, regions: int, side: int | None
) -> CompiledStep:
    """The compiled step, kept between runs; in tiles of this side, or None for the whole."""
    with device.LOCK:
        extractor = objective.extractor(precision)
        extractor.load()  # outside of the trace, or the step would be traced a second time
        optimizer = objective.optimizer(lbfgs_memory)
        if side is not None:
            return compile_tiled_step(
                extractor, objective.terms, optimizer, side=side, regions=regions
            )
        return compile_step(
            extractor, objective.terms, optimizer, regions=regions, use_xla=device.xla_helps()
        )


# Height and width in px of the picture that a step is tried on; block5 has some positions there.
TRIAL_SIZE = (64, 64)

_TRIED: weakref.WeakSet[CompiledStep] = weakref.WeakSet()


def _count_masked(layout: Layout) -> int:
    """How many regions have masks; 0 for one style everywhere."""
    return len(layout.regions) if layout.has_masks else 0


def _weights(terms: tuple[Term, ...], settings: Settings) -> Weights:
    return {
        term.name: {
            name: tf.constant(weight, tf.float32) for name, weight in term.weights(settings).items()
        }
        for term in terms
    }


def _learning_rate(settings: Settings) -> tf.Tensor:
    rate = settings.learning_rate
    own = OPTIMIZERS[settings.optimizer].learning_rate
    return tf.constant(own if rate is None else rate, tf.float32)


# --- What is found of photos and paintings ------------------------------------------------------

# A photo's features at 512 px take 8 MB in float32; a painting's Gram matrices take 2 MB at any
# size, its hypercolumns 44.
PHOTO_CACHE_BYTES, PAINTING_CACHE_BYTES = 64e6, 400e6


def _without_the_picture(*key: Any) -> Any:
    """The key of a cache: all arguments but the last, which gets the picture."""
    return hashkey(*key[:-1])


@cached(LRUCache(PHOTO_CACHE_BYTES, nbytes), _without_the_picture, threading.Lock())
def _features_of_photo(
    checksum: str, extractor: Extractor, side: int | None, photo: Any
) -> dict[str, Any]:
    return tiles.features_of(extractor, photo(), side)


@cached(LRUCache(PAINTING_CACHE_BYTES, nbytes), _without_the_picture, threading.Lock())
def _measure_of_painting(
    checksum: str, term: Term, extractor: Extractor, side: int | None, painting: Any
) -> Any:
    return term.measure(_painting_parts(painting(), extractor, side))


def forget_pictures() -> None:
    """Let go what was found of photos and paintings; the next run finds it again."""
    _features_of_photo.cache_clear()
    _measure_of_painting.cache_clear()


def _painting_parts(
    painting: Picture, extractor: Extractor, side: int | None
) -> Iterator[PaintingPart]:
    network, guides = extractor.network, {}
    if painting.alpha is not None:
        alpha = painting.alpha[np.newaxis, :, :, np.newaxis] / np.float32(255)
        at_layers = network.at_layers(alpha, extractor.layers)
        guides = {name: make_guide(part) for name, part in at_layers.items()}
    for tile, features in tiles.features_by_tile(extractor, painting.rgb, side):
        yield PaintingPart(
            features,
            {
                name: part_of_guide(guide, tile.own(network[name].stride))
                for name, guide in guides.items()
            },
            painting.rgb.shape[1:3],
        )
