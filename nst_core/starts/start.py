"""What a start is: the picture that the optimisation begins with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nst_core.pictures.images import Picture
from nst_core.pictures.regions import Layout
from nst_core.settings import Settings


@dataclass(frozen=True)
class Request:
    """What a start may be made of."""

    photo: Picture  # at the size of the result
    layout: Layout  # the paintings, in the colours that they are painted in
    settings: Settings
    height: int  # of the first scale, pixels
    width: int


class Start(NamedTuple):
    """Where a run begins. Both float32 [1, H, W, 3] in [0, 1]."""

    canvas: np.ndarray  # what the optimisation starts from, of the first scale's size
    picture: np.ndarray  # what is shown first, of the photo's size


MakeStart = Callable[[Request], Start]
