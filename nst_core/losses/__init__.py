"""The terms of the total loss:

    L_total = alpha s k L_content + beta L_style + gamma TV + delta k L_edges + beta eta L_gram

with the settings content_weight alpha, style_weight beta, tv_weight gamma, edge_weight delta and
gram_weight eta, and k what the strength makes of what keeps the photo, 1 at 0.5, and more on whom
the photo shows (`strictness.py`). The first two are eq. 7 of Gatys et al. (2015); the last two
stand beside nearest features, and have no weight with other style losses unless one is set.
s is ours, see `content.py`. What a term is stands in `term.py`. A frame of a film has L_temporal
beside them.
To add a style loss, write it in a file of its own and enter it in `STYLE_LOSSES`; to add another
term, put it into `make_terms`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from nst_core.losses.content import Content
from nst_core.losses.edges import Edges
from nst_core.losses.gram import GramBeside, GramStyle
from nst_core.losses.hypercolumns import HypercolumnStyle
from nst_core.losses.nearest import NEAREST_LAYERS, NearestStyle
from nst_core.losses.temporal import Temporal
from nst_core.losses.term import Term
from nst_core.losses.total_variation import TotalVariation
from nst_core.losses.wasserstein import WassersteinStyle
from nst_core.settings import BRUSHWORK, Settings, StyleLayers

# The names of some style layers, and of the network -> the term.
MakeTerm = Callable[[tuple[str, ...], str], Term]


@dataclass(frozen=True)
class StyleLoss:
    """A choice of `Settings.style_loss`."""

    label: str
    finest: MakeTerm  # at the size of the result
    coarser: MakeTerm | None = None  # at the smaller scales before it; None for the same
    layers: StyleLayers = BRUSHWORK["balanced"]  # when the settings name none
    edge_weight: float = 0.0  # when the settings have none
    gram_weight: float = 0.0


STYLE_LOSSES: dict[str, StyleLoss] = {
    "nearest": StyleLoss(
        "Nearest features (Kolkin et al. 2022)",
        NearestStyle,
        HypercolumnStyle,
        NEAREST_LAYERS,
        edge_weight=1.0,
        gram_weight=1.0,
    ),
    "gram": StyleLoss("Gram matrices (Gatys et al. 2015)", GramStyle),
    "wasserstein": StyleLoss("Mean and covariance (Wasserstein-2)", WassersteinStyle),
}


def completed(settings: Settings) -> Settings:
    """The same settings, with the style loss's own layers and weights where they have none."""
    loss = STYLE_LOSSES[settings.style_loss]
    own: dict[str, Any] = {
        "style_layers": loss.layers,
        "edge_weight": loss.edge_weight,
        "gram_weight": loss.gram_weight,
    }
    missing = {name: value for name, value in own.items() if getattr(settings, name) is None}
    return replace(settings, **missing)


def make_terms(
    settings: Settings, *, is_finest: bool = True, follows: bool = False
) -> tuple[Term, ...]:
    """The terms of a run; what has no weight is left out, and so never computed.

    Args:
        is_finest: whether for the size of the result, or for the scales before it.
        follows: whether the picture is held to one before, as frames of a film are.
    """
    settings = completed(settings)
    layers = tuple(layer for layer, weight in settings.style_layers or () if weight > 0)
    loss = STYLE_LOSSES[settings.style_loss]
    make_style = loss.finest if is_finest else loss.coarser or loss.finest
    has_style = bool(layers) and settings.style_weight > 0
    has_beside = has_style and bool(settings.gram_weight) and not is_finest
    terms = (
        (Content(settings.content_layer), settings.content_weight > 0),
        (make_style(layers, settings.network), has_style),
        (Edges(), bool(settings.edge_weight)),
        (GramBeside(network=settings.network), has_beside),
        (TotalVariation(), settings.tv_weight > 0),
        (Temporal(), follows),
    )
    return tuple(term for term, counts in terms if counts)


# The losses that are always told, 0 where a run has no such term; others only where it has.
LOSS_NAMES = ("content", "style", "tv")
