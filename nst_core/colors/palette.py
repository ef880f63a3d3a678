"""The painting in the photo's colours, before the run.

After Gatys, Bethge, Hertzmann and Shechtman, "Preserving Color in Neural Artistic Style Transfer"
(2016, arXiv 1606.05897).
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from nst_core.colors.mode import ColorMode

# Added to the variances of a painting's colours, in squared grey levels of 0 to 255: a painting
# that has no spread in some direction, like a grey one, is not stretched there without bound.
MIN_VARIANCE = 1.0


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
