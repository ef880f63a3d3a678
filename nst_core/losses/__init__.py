"""The terms of the total loss:

    L_total = alpha s L_content + beta L_style + gamma TV           (Gatys et al. 2015, eq. 7)

TV and s are ours, see `total_variation.py` and `content.py`. What a term is stands in `term.py`.
To add a style loss, write it in a file of its own and enter it in `STYLE_LOSSES`; to add another
term, put it into `make_terms` and its name into `LOSS_NAMES`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from nst_core.losses.content import Content
from nst_core.losses.gram import GramStyle
from nst_core.losses.hypercolumns import HypercolumnStyle
from nst_core.losses.nearest import NEAREST_LAYERS, NearestStyle
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


STYLE_LOSSES: dict[str, StyleLoss] = {
    "nearest": StyleLoss(
        "Nearest features (Kolkin et al. 2022)",
        NearestStyle,
        HypercolumnStyle,
        NEAREST_LAYERS,
    ),
    "gram": StyleLoss("Gram matrices (Gatys et al. 2015)", GramStyle),
    "wasserstein": StyleLoss("Mean and covariance (Wasserstein-2)", WassersteinStyle),
}


def completed(settings: Settings) -> Settings:
    """The same settings, with the style loss's own layers where they name none."""
    if settings.style_layers is not None:
        return settings
    return replace(settings, style_layers=STYLE_LOSSES[settings.style_loss].layers)


def make_terms(settings: Settings, *, is_finest: bool = True) -> tuple[Term, ...]:
    """The terms of a run; what has no weight is left out, and so never computed.

    Args:
        is_finest: whether for the size of the result, or for the scales before it.
    """
    settings = completed(settings)
    layers = tuple(layer for layer, weight in settings.style_layers or () if weight > 0)
    loss = STYLE_LOSSES[settings.style_loss]
    make_style = loss.finest if is_finest else loss.coarser or loss.finest
    terms = (
        (Content(settings.content_layer), settings.content_weight > 0),
        (make_style(layers, settings.network), bool(layers) and settings.style_weight > 0),
        (TotalVariation(), settings.tv_weight > 0),
    )
    return tuple(term for term, counts in terms if counts)


# The names of all losses that a run may have, in the order in which they are told.
LOSS_NAMES = ("content", "style", "tv")
