"""What is minimised and by which algorithm: the network, the terms of the loss, the optimizer.

Everything that the compiled step depends on, beside precision, tiles and L-BFGS' memory, which the
plan of a run settles. Weights of the terms are not in it: they may change without compiling again.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from nst_core.engine.first_guess import first_guess_for
from nst_core.engine.schedule import Coarse
from nst_core.losses import make_terms
from nst_core.losses.term import Term
from nst_core.networks import NETWORKS
from nst_core.networks.extractor import Extractor
from nst_core.networks.network import Network
from nst_core.optimizers import OPTIMIZERS
from nst_core.optimizers.optimizer import MEMORIES, Optimizer
from nst_core.settings import Settings


@dataclass(frozen=True)
class Objective:
    """Equal objectives share what is compiled."""

    network_name: str
    pooling: str
    weights: str | None  # the network's file; None for the embedded one
    terms: tuple[Term, ...]
    optimizer_name: str

    @classmethod
    def of(cls, settings: Settings, *, is_finest: bool = True, follows: bool = False) -> Objective:
        """The objective of a run: at the size of the result, or at the scales before it.

        Args:
            follows: whether the picture is held to one before, as frames of a film are.
        """
        return cls(
            settings.network,
            settings.pooling,
            settings.weights,
            make_terms(settings, is_finest=is_finest, follows=follows),
            settings.optimizer,
        )

    @property
    def network(self) -> Network:
        return NETWORKS[self.network_name]

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that any term looks at, in the order of the network."""
        return self.network.in_order(name for term in self.terms for name in term.layers)

    @property
    def coarse(self) -> Coarse:
        """The scales that a run gains by before the finest one: the style's, where there is one."""
        style = next((term for term in self.terms if term.name == "style"), Term)
        return Coarse(style.coarsest_side, style.max_scales)

    @property
    def takes_colors(self) -> bool:
        """Whether the photo is given the paintings' palette first."""
        return any(term.takes_colors for term in self.terms)

    @property
    def blends_canvas(self) -> float:
        """Share of the picture so far in what a finer scale searches matches for."""
        return max((term.blends_canvas for term in self.terms), default=0.0)

    @property
    def detail(self) -> float:
        """Share of the photo's detail that the picture is given where a finer scale begins."""
        return min((term.detail for term in self.terms), default=1.0)

    @property
    def adds_up(self) -> bool:
        """Whether the picture can be painted in tiles."""
        return all(term.adds_up for term in self.terms)

    @property
    def keeps_tiles(self) -> bool:
        """Whether tiles keep what their first pass found, where they are few."""
        return all(term.keeps_tiles for term in self.terms)

    @property
    def activations(self) -> float:
        """Numbers for each pixel that a step's gradient needs again."""
        return self.network.activations(self.layers)

    @property
    def fixed_bytes(self) -> float:
        """What the terms take whatever the picture's size."""
        return sum(term.fixed_bytes for term in self.terms)

    def bytes_per_pixel(self, precision: str) -> float:
        """What the terms take in a step for each pixel that it sees."""
        return sum(term.bytes_per_pixel.get(precision, 0.0) for term in self.terms)

    @property
    def flop(self) -> float:
        """Arithmetic of a step for each pixel: the network forward and back, and the terms."""
        terms = sum(term.flop(self.network) for term in self.terms)
        return 2 * self.network.flop(self.layers) + terms

    def extractor(self, precision: str) -> Extractor:
        return Extractor(self.layers, self.network_name, self.pooling, self.weights, precision)

    def optimizer(self, lbfgs_memory: str) -> Optimizer:
        """The optimizer, knowing how often the network sees each pixel."""
        return _fitted_optimizer(self.optimizer_name, self.network_name, lbfgs_memory)


@functools.cache
def _fitted_optimizer(name: str, network_name: str, lbfgs_memory: str) -> Optimizer:
    first_guess = first_guess_for(NETWORKS[network_name])
    return OPTIMIZERS[name].fitted(first_guess, MEMORIES[lbfgs_memory])
