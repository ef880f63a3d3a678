"""One picture at several sizes: shrinking, enlarging, and giving detail back.

Pictures are float32 RGB [1, H, W, 3], in [0, 1] if nothing else is said.
"""

from __future__ import annotations

import numpy as np

from nst_core.lazy import tf


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """`image` at another size, bicubic, with antialiasing where it shrinks; same size: itself."""
    if image.shape[1:3] == (height, width):
        return image
    return np.clip(_resized(image, height, width), 0.0, 1.0)


def add_detail(coarse: np.ndarray, photo: np.ndarray, share: float = 1.0) -> np.ndarray:
    """`coarse` enlarged to the photo's size, with the detail that only the photo's size can show.

        up(coarse) + share (photo - up(down(photo)))

    The two pyramid levels of Burt and Adelson (1983, "The Laplacian Pyramid as a Compact Image
    Code"), the lower one painted and the upper one the photo's. The optimisation of a larger
    scale starts from this: from the plain enlargement it would spend its first steps on finding
    the photo's edges again. At the same size, `coarse` itself.
    """
    height, width = photo.shape[1:3]
    if not share:
        return resize(coarse, height, width)
    if coarse.shape == photo.shape:
        return coarse
    low = _resized(_resized(photo, *coarse.shape[1:3]), height, width)
    detail = np.float32(share) * (photo - low)
    return np.clip(_resized(coarse, height, width) + detail, 0.0, 1.0)


def _resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    return tf.image.resize(image, [height, width], method="bicubic", antialias=True).numpy()
