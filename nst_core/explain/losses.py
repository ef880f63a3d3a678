"""The loss taken apart: layer by layer, and what each term wants of the picture.

Symbols are those of Gatys, Ecker and Bethge (2015), as in `nst_core.losses`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nst_core.engine import device
from nst_core.engine.engine import Engine
from nst_core.engine.job import load_job
from nst_core.engine.objective import Objective
from nst_core.explain.maps import NETWORK
from nst_core.losses.content import content_loss
from nst_core.losses.gram import gram_matrix, layer_loss
from nst_core.networks.extractor import Extractor
from nst_core.pictures.images import ImageSource
from nst_core.pictures.regions import as_styles
from nst_core.sentence import Sentence
from nst_core.settings import Settings

# Name of a term in `Frame.losses` -> the setting that weighs it.
WEIGHTS = {"content": "content_weight", "style": "style_weight", "tv": "tv_weight"}


@dataclass(frozen=True)
class Equation:
    """A term of the loss as the papers write it, in HTML."""

    term: str  # its name in `Frame.losses`
    label: Sentence
    html: str
    source: Sentence


TERMS = ("total", *WEIGHTS)  # of a run's losses

EQUATIONS = (
    Equation(
        "total",
        Sentence("total"),
        "L = &alpha; L<sub>content</sub> + &beta; L<sub>style</sub> + &gamma; TV",
        Sentence("Gatys et al. 2015, eq. 7; total variation is added"),
    ),
    Equation(
        "content",
        Sentence("content"),
        "L<sub>content</sub> = &frac12; &sum;<sub>ij</sub> "
        "(F<sub>ij</sub> &minus; P<sub>ij</sub>)&sup2;",
        Sentence("Gatys et al. 2015, eq. 1"),
    ),
    Equation(
        "style",
        Sentence("style"),
        "L<sub>style</sub> = &sum;<sub>l</sub> w<sub>l</sub> &middot; 1 / (4 N<sub>l</sub>&sup2; "
        "M<sub>l</sub>&sup2;) &sum;<sub>ij</sub> (G<sub>ij</sub> &minus; A<sub>ij</sub>)&sup2;, "
        "&nbsp; G<sub>ij</sub> = &sum;<sub>k</sub> F<sub>ik</sub> F<sub>jk</sub>",
        Sentence("Gatys et al. 2015, eq. 3 to 5"),
    ),
    Equation(
        "tv",
        Sentence("smoothness"),
        "TV = &sum;<sub>ij</sub> |x<sub>i+1,j</sub> &minus; x<sub>ij</sub>| + "
        "|x<sub>i,j+1</sub> &minus; x<sub>ij</sub>|",
        Sentence("Rudin et al. 1992"),
    ),
)


@dataclass(frozen=True)
class LayerLosses:
    """Each layer's part, unweighted: layer -> L_content of eq. 1, and E_l of eq. 4."""

    content: dict[str, float]
    style: dict[str, float]


def layer_losses(
    picture: np.ndarray,
    photo: np.ndarray,
    painting: np.ndarray,
    content_layers: tuple[str, ...],
    style_layers: tuple[str, ...],
) -> LayerLosses:
    """How far a picture is from a photo at some layers, and from a painting at others.

    Args:
        picture, photo, painting: float32 RGB [1, H, W, 3] in [0, 1], the first two of one size.
    """
    extractor = Extractor(tuple(dict.fromkeys([*content_layers, *style_layers])))
    with device.LOCK:
        own, kept, painted = map(extractor, (picture, photo, painting))
    return LayerLosses(
        {name: float(content_loss(own[name], kept[name])) for name in content_layers},
        {
            name: float(layer_loss(gram_matrix(own[name]), gram_matrix(painted[name])))
            for name in style_layers
        },
    )


def gradients(
    canvas: np.ndarray, content: ImageSource, style: ImageSource, settings: Settings
) -> Iterator[tuple[str, np.ndarray]]:
    """Where each term wants to change a picture: its part of the gradient.

    They add up to the gradient of the total loss.

    Args:
        canvas: float32 RGB [1, H, W, 3] in [0, 1], of the photo's size under these settings.

    Yields a term of `WEIGHTS` that weighs anything, and float32 [H, W, 3], one after another.
    Raises `ImageError`, `SettingsError`, `WeightsError` as `stream` does.
    """
    job, plan = load_job(content, as_styles(style), settings, None, Objective.of(settings))
    counting = {term: name for term, name in WEIGHTS.items() if getattr(settings, name) > 0}
    for term in counting:
        others: dict[str, Any] = {name: 0.0 for other, name in counting.items() if other != term}
        engine = Engine(replace(settings, **others), plan.precision)
        state = engine.start(canvas, engine.problem(job.photo.rgb, job.layout))
        yield term, state.gradient.numpy()[0]


def wish(gradient: np.ndarray) -> np.ndarray:
    """A gradient as a picture, uint8 [H, W, 3]: grey where nothing is to change.

    Lighter where a step down the gradient makes the picture lighter; the strongest hundredth is
    cut off, or single pixels would leave the rest grey.
    """
    largest = max(float(np.quantile(np.abs(gradient), 0.99)), 1e-12)
    return np.rint(127.5 - 127.5 * (gradient / largest).clip(-1, 1)).astype(np.uint8)


def blocks_up_to(last: int) -> tuple[str, ...]:
    """The first layer of each block from the first to this one, as Gatys et al. take them."""
    return tuple(f"block{block}_conv1" for block in range(1, last + 1))


BLOCKS = tuple(range(1, 1 + len({name.partition("_")[0] for name in NETWORK.names})))
