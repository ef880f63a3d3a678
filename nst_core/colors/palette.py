"""The painting in the photo's colours, before the run.

After Gatys, Bethge, Hertzmann and Shechtman, "Preserving Color in Neural Artistic Style Transfer"
(2016, arXiv 1606.05897).
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from nst_core.colors.mode import ColorMode
from nst_core.pictures.images import LUMA

# Added to the variances of a painting's colours, in squared grey levels of 0 to 255: a painting
# that has no spread in some direction, like a grey one, is not stretched there without bound.
MIN_VARIANCE = 1.0

# The colours of Auvers spread 1.8 to 5.4 times as far as those of the owl, which is bright before
# dark leaves: without a limit the bird burns out in a white glow.
MAX_GAIN = 1.5

# The range of a picture in each channel, percentiles. A plain painting has none, but is given a few
# grey levels.
RANGE, MIN_REACH = (0.2, 99.8), 4.0

# Percentiles of luminance that count as dark and light, and how far contrast may be raised, or its
# inverse lowered, to bring them where the painting's are.
LEVELS, MAX_LEVELS_GAIN = (3, 97), 1.3


def match_histograms(painting: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """The painting with the photo's histograms of R, G and B (Gatys et al. 2016, "histogram").

    After `match_moments`: matched by themselves, the channels of unlike pictures make up hues that
    neither has, and a grey photo does not make the painting grey.
    """
    from skimage import exposure

    matched = exposure.match_histograms(
        match_moments(painting, photo).reshape(-1, 3), photo.reshape(-1, 3), channel_axis=-1
    )
    return np.asarray(matched).reshape(painting.shape)


def match_moments(painting: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """The painting with the photo's mean colour and covariance, by a linear map of RGB.

        x' = A (x - mu_S) + mu_C,   A = Sigma_C^(1/2) Sigma_S^(-1/2)

    The linear colour transfer of Gatys et al. (2016), with symmetric square roots and not
    Cholesky's factors, as they prefer; `MIN_VARIANCE` keeps Sigma_S invertible.
    """
    change, own, wanted = _linear_map(painting, photo)
    return _mapped(painting, np.column_stack([change, wanted - change @ own]))


def to_palette(
    picture: np.ndarray, painting: np.ndarray, own: np.ndarray | None = None
) -> np.ndarray:
    """A picture with the painting's mean colour and covariance, moved no more than it takes:

        x' = A (x - mu) + mu_S,   A = S^(-1/2) (S^(1/2) T S^(1/2))^(1/2) S^(-1/2)

    with S and T the covariances of picture and painting (Pitie and Kokaram 2007, "The linear
    Monge-Kantorovitch linear colour mapping for example-based colour transfer").

    It turns no hues, as that of `match_moments` may: a wall in the sun would become pink where it
    is light and green in its shadows. Nowhere are differences of colours made more than `MAX_GAIN`
    times as large, and in the end all lie within the painting's own range: a dull photo of one
    bright thing would otherwise burn out there, and its noise turn into colours.

    Args:
        own: a mask of the pixels whose mean and covariance count, bool; None for all.
    """
    mean, spread = _moments(picture if own is None else picture[own])
    wanted, wanted_spread = _moments(painting)
    spread += MIN_VARIANCE * np.eye(3)
    root, inverse = _power(spread, 0.5), _power(spread, -0.5)
    gains, axes = np.linalg.eigh(inverse @ _power(root @ wanted_spread @ root, 0.5) @ inverse)
    change = ((axes * gains.clip(0, MAX_GAIN)) @ axes.T).astype(np.float32)
    mapped = picture.reshape(-1, 3) @ change.T
    mapped += (wanted - change @ mean).astype(np.float32)
    counted = mapped if own is None else mapped[own.reshape(-1)]
    bounds, found = (
        np.percentile(pixels.reshape(-1, 3), RANGE, axis=0).T - wanted[:, np.newaxis]
        for pixels in (painting, counted)
    )
    for values, middle, reach, ends in zip(mapped.T, wanted, bounds, found, strict=True):
        values -= middle
        _bend_both(values, reach, ends)
        values += middle
    return _rounded(mapped, picture)


def to_levels(
    picture: np.ndarray, painting: np.ndarray, own: np.ndarray | None = None
) -> np.ndarray:
    """A picture whose dark and light, `LEVELS` of its luminance, are the painting's.

    Where a mean is met by other areas than in the painting, as with more sky, paper would be grey.
    What is darker or lighter than that is drawn together into the painting's range, so that a few
    bright things keep their shades. Arguments are those of `to_palette`.
    """
    own_light, painted_light = picture @ LUMA, painting.reshape(-1, 3) @ LUMA
    counted = own_light if own is None else own_light[own]
    dark, light = (float(x) for x in np.percentile(counted, LEVELS))
    low, high = (float(x) for x in np.percentile(painted_light, LEVELS))
    gain = (high - low) / max(light - dark, 1.0)
    gain = min(max(gain, 1 / MAX_LEVELS_GAIN), MAX_LEVELS_GAIN)
    middle = (low + high) / 2
    values = (gain * (own_light - (dark + light) / 2)).astype(np.float32)
    ends = gain * (np.percentile(counted, RANGE) - (dark + light) / 2)
    _bend_both(values, np.percentile(painted_light, RANGE) - middle, ends)
    return _rounded(picture + (values + middle - own_light)[..., np.newaxis], picture)


def _rounded(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    return np.rint(values.clip(0, 255)).astype(np.uint8).reshape(like.shape)


def _bend_both(values: np.ndarray, reach: np.ndarray, ends: np.ndarray) -> None:
    """Bring what lies around 0 within `reach`, the lowest and the highest; `ends` are its own."""
    _bend(values, max(reach[1], MIN_REACH), ends[1])
    np.negative(values, out=values)
    _bend(values, max(-reach[0], MIN_REACH), -ends[0])
    np.negative(values, out=values)


def _bend(values: np.ndarray, reach: float, highest: float) -> None:
    """Bring what is above 0 within `reach`, the more the higher it is.

    With t = x / reach and w = highest / reach:

        t' = t / sqrt(1 + (1 - 1 / w^2) t^2)

    so that the highest comes to the end of the reach, and what is near to 0 stays. Where the
    highest is within anyway, nothing changes.
    """
    widest = max(1.0, highest / reach)
    above = values > 0
    t = values[above] / reach
    values[above] = reach * np.minimum(1, t / np.sqrt(1 + (1 - widest**-2) * t**2))


def _linear_map(
    pixels: np.ndarray, pattern: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A of `match_moments`, and the means of both."""
    own, own_spread = _moments(pixels)
    wanted, wanted_spread = _moments(pattern)
    change = _power(wanted_spread, 0.5) @ _power(own_spread + MIN_VARIANCE * np.eye(3), -0.5)
    return change, own, wanted


LINEAR = ColorMode("The photo's palette (linear)", painting=match_moments)
HISTOGRAM = ColorMode("The photo's palette (histograms)", painting=match_histograms)


def _moments(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [3] and covariance [3, 3] of pixels."""
    values = np.ascontiguousarray(pixels.reshape(-1, 3).T).astype(np.float32)  # fast to sum, so
    mean = values.mean(axis=1)
    values -= mean[:, np.newaxis]
    return mean.astype(np.float64), (values @ values.T).astype(np.float64) / values.shape[1]


def _power(symmetric: np.ndarray, exponent: float) -> np.ndarray:
    """A positive semidefinite matrix to a power; rounding may have made it slightly less."""
    values, vectors = np.linalg.eigh(symmetric)
    return (vectors * np.maximum(values, 0.0) ** exponent) @ vectors.T


def _mapped(pixels: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Pixels under an affine map [3, 4]; Pillow takes a quarter of the time of NumPy's product."""
    row = Image.fromarray(pixels.reshape(1, -1, 3))
    return np.asarray(row.convert("RGB", tuple(affine.ravel()))).reshape(pixels.shape)
