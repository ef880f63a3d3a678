"""What a colour mode is: a way to choose whose colours a picture has.

Pixels are uint8 RGB, [..., 3], of any shape; pictures and photos that are compared pixel by pixel
have the same. Grey or plain pictures give no NaN anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# A painting's pixels and the photo's -> the painting's in other colours.
RecolorPainting = Callable[[np.ndarray, np.ndarray], np.ndarray]

# The picture, the photo, and the pixels of all paintings -> the picture in other colours.
RecolorPicture = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ColorMode:
    """One way to choose the colours; None leaves them as they are."""

    label: str
    painting: RecolorPainting | None = None  # of the painting, before the run
    picture: RecolorPicture | None = (
        None  # of the picture, at once, at any moment of the run or after it
    )
