"""The terms of the total loss:

    L_total = alpha s L_content + beta L_style + gamma TV           (Gatys et al. 2015, eq. 7)

TV and s are ours, see `total_variation.py` and `content.py`. What a term is stands in `term.py`.
To add a style loss, write it in a file of its own and enter it in `STYLE_LOSSES`; to add another
term, put it into `make_terms` and its name into `LOSS_NAMES`.
"""

from collections.abc import Callable

from nst_core.losses.content import Content
from nst_core.losses.gram import GramStyle
from nst_core.losses.term import Term
from nst_core.losses.total_variation import TotalVariation
from nst_core.losses.wasserstein import WassersteinStyle
from nst_core.settings import Settings

# Name of `Settings.style_loss` -> the term of some style layers.
STYLE_LOSSES: dict[str, Callable[[tuple[str, ...]], Term]] = {
    "gram": GramStyle,
    "wasserstein": WassersteinStyle,
}


def make_terms(settings: Settings) -> tuple[Term, ...]:
    """The terms of a run; what has no weight is left out, and so never computed."""
    style_layers = tuple(layer for layer, weight in settings.style_layers if weight > 0)
    has_style = bool(style_layers) and settings.style_weight > 0
    terms = (
        (Content(settings.content_layer), settings.content_weight > 0),
        (STYLE_LOSSES[settings.style_loss](style_layers), has_style),
        (TotalVariation(), settings.tv_weight > 0),
    )
    return tuple(term for term, counts in terms if counts)


# The names of all losses that a run may have, in the order in which they are told.
LOSS_NAMES = ("content", "style", "tv")
