"""The painting's palette laid where the photo has its colours, in the picture's light and dark.

After the colour step of Kolkin et al., "Neural Neighbor Style Transfer" (2022, arXiv 2203.13215),
in OkLab (B. Ottosson, "A perceptual color space for image processing", 2020), where lightness L and
the colours a and b hardly depend on each other.
"""

from __future__ import annotations

import numpy as np

from nst_core.colors.mode import ColorMode
from nst_core.pictures.smoothing import guided_filter

# Linear sRGB to the cones' responses, and their cube roots to L, a, b (Ottosson 2020).
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)

MIN_VARIANCE = 1e-5  # of a and b, so that grey pictures are not stretched without bound
MAX_GAIN = 2.0  # differences of colours are made so many times as large at most
RANGE = 1, 99  # percentiles of the painting's a and b that are not gone beyond

# The colours follow the edges of L, and are smooth between them: side of the window in percent of
# the long side, and the variance of L that counts as an edge.
WINDOW, EDGE = 2.0, 1e-3


def lay_palette(picture: np.ndarray, photo: np.ndarray, painting: np.ndarray) -> np.ndarray:
    """The picture's L, with the photo's a and b brought to the painting's mean and covariance.

    Args:
        picture, photo: uint8 [H, W, 3] of one shape.
        painting: its pixels, uint8 [..., 3].
    """
    light = to_oklab(picture)[..., 0]
    palette = to_oklab(painting.reshape(-1, 3))[:, 1:]
    colours = _matched(to_oklab(photo)[..., 1:], palette)
    colours = colours.clip(*np.percentile(palette, RANGE, axis=0))
    side = max(3, round(WINDOW / 100 * max(light.shape)))
    light = light[..., np.newaxis]
    smooth = guided_filter(colours, light, side, EDGE)
    return from_oklab(np.concatenate([light, smooth], axis=-1))


OKLAB = ColorMode("The painting's palette, laid like the photo's colours", picture=lay_palette)


def to_oklab(pixels: np.ndarray) -> np.ndarray:
    """L in [0, 1], a and b of sRGB pixels, uint8 [..., 3]; float32."""
    values = pixels.astype(np.float32) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ np.float32(TO_CONES.T)) @ np.float32(TO_LAB.T)


def from_oklab(lab: np.ndarray) -> np.ndarray:
    """The opposite of `to_oklab`; what lies outside of sRGB is clipped."""
    cones = (lab @ np.float32(np.linalg.inv(TO_LAB).T)) ** 3
    linear = (cones @ np.float32(np.linalg.inv(TO_CONES).T)).clip(0, 1)
    values = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(values * 255).astype(np.uint8)


def _matched(colours: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Colours [..., 2] with the palette's mean and covariance, by the linear map W^1/2 S^-1/2."""
    flat = colours.reshape(-1, 2)
    spread, wanted = (_root(x) for x in (flat, palette))
    left, gains, right = np.linalg.svd(wanted @ np.linalg.inv(spread))
    change = (left * gains.clip(0, MAX_GAIN)) @ right
    return (colours - flat.mean(axis=0)) @ change.T.astype(np.float32) + palette.mean(axis=0)


def _root(colours: np.ndarray) -> np.ndarray:
    """The symmetric root of the covariance of colours [P, 2]."""
    centred = colours.astype(np.float64) - colours.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred) + MIN_VARIANCE * np.eye(2))
    return (vectors * np.sqrt(values)) @ vectors.T
