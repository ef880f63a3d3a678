"""How strictly the picture keeps to the photo: by the strength, and more on whom the photo shows.

Terms that keep the photo add up what is away from it in two sums, `Split`, and weigh each.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nst_core.settings import Settings

# What keeps the photo is multiplied by this at strength 0, and divided by it at strength 1.
STRENGTH_RANGE = 30.0


class Split(NamedTuple):
    """Something for the photo's subject, and the same for the rest of it."""

    rest: Any
    subject: Any


def strictness(settings: Settings) -> Split:
    """How much stricter the photo is kept than at strength 0.5: `STRENGTH_RANGE` times at 0.

    k = STRENGTH_RANGE^(1 - 2 strength), and sqrt(k) on the subject where that is more: with k
    itself, a face would be given up as early as a wall.
    """
    k = float(STRENGTH_RANGE ** (1 - 2 * settings.strength))
    return Split(k, max(k, k**0.5))


def split(weight: Any, subject: Any, factor: float) -> Split:
    """A weight of positions, divided by a mask of the subject; there it is `factor` times as much.

    Together they are the weight outside of the mask, and `factor` times the weight where it is 1.
    """
    return Split(weight * (1 - subject), factor * weight * subject)
