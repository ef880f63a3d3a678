"""What a colour mode is: a way to choose whose colours a picture has.

Pixels are uint8 RGB, [..., 3], of any shape; pictures and photos that are compared pixel by pixel
have the same. Grey or plain pictures give no NaN anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Pixels and the photo's pixels -> the same pixels in other colours.
Recolor = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ColorMode:
    """One way to choose the colours; None leaves them as they are."""

    label: str
    painting: Recolor | None = None  # of the painting, before the run
    picture: Recolor | None = None  # of the picture, at once, at any moment of the run or after it
