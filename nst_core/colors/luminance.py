"""The photo's colours in the picture's light and dark.

After Gatys, Bethge, Hertzmann and Shechtman, "Preserving Color in Neural Artistic Style Transfer"
(2016, arXiv 1606.05897), "luminance-only transfer".
"""

from __future__ import annotations

import numpy as np

from nst_core.colors.mode import ColorMode


def keep_chroma(picture: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """The picture's luminance with the photo's chroma, both uint8 [..., 3] of one shape.

    In YIQ, as in the paper: the luma Y' of ITU-R BT.601 and two differences of colour, both of the
    gamma-encoded sRGB values. What lies outside of sRGB is clipped.
    """
    from skimage import color  # at first use: half a second

    yiq = color.rgb2yiq(_floats(photo))
    yiq[..., 0] = color.rgb2yiq(_floats(picture))[..., 0]
    return _pixels(color.yiq2rgb(yiq) * 255)


LUMINANCE = ColorMode(
    "The photo's", picture=lambda picture, photo, paintings: keep_chroma(picture, photo)
)


def _floats(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / 255


def _pixels(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)
